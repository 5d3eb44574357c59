//! `regate upstream client-secret`.

use clap::Args;

use super::One;
use crate::{
    cli::{
        credentials::no_key,
        exit::{CommandError, Exit},
        rows,
        secret_input::SecretInput,
        store::{block_on, open_to_change, randomness},
    },
    store::Written,
    upstream::{CredentialError, Credentials},
};

/// Store what regate shows to an upstream's authorization server, or remove it
///
/// It is read from a file or standard input, sealed with the first of the configured keys, and never shown again.
#[derive(Debug, Args)]
pub(super) struct ClientSecret {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    input: SecretInput,
    /// Remove the one that is there; harmless when there is none
    #[arg(long, conflicts_with = "file")]
    remove: bool,
}

impl ClientSecret {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let one = &self.one;
        self.input.refuse_argument()?;
        let configuration = one.store.configuration()?;
        let keys = configuration.key_ring()?;
        let secret = if self.remove { None } else { Some(self.input.line("the client secret")?) };
        let (before, after) = block_on(async {
            let store = open_to_change(&configuration).await?;
            let explain = |error| one.explain("nothing was changed", error);
            let before = store.upstream(one.tenant(), &one.id).await.map_err(explain)?.value;
            if secret.is_some() && before.oauth.is_none() {
                let text = format!(
                    "nobody consents at the upstream {:?}: regate upstream put with --authorization-endpoint first",
                    one.id
                );
                return Err(CommandError::Refused(text));
            }
            let settings = configuration.credential_settings();
            let credentials = Credentials::new(store.clone(), keys, settings, randomness()?);
            let putting = credentials.put_client_secret(one.tenant(), &one.id, secret);
            putting.await.map_err(|error| match error {
                CredentialError::Store(error) => explain(error),
                CredentialError::NoKey => CommandError::Refused(no_key(&one.store)),
                error => CommandError::Refused(error.to_string()),
            })?;
            let after = store.upstream(one.tenant(), &one.id).await.map_err(explain)?;
            store.close().await;
            Ok((before, after))
        })?;
        let changed = !self.remove || before.has_client_secret;
        let written = Written { revision: after.revision, created: false, changed };
        rows::write_done(&after.value, &written, one.json)?;
        Ok(Exit::Done)
    }
}
