//! `regate credentials put`.

use clap::Args;

use super::{place::Place, row::ShownCredential};
use crate::{
    cli::{
        exit::{CommandError, Exit},
        rows,
        secret_input::SecretInput,
        store::{block_on, open_to_change, randomness},
    },
    store::read_time,
    types::{Clock, SystemClock, Timestamp},
    upstream::{CredentialError, CredentialSettings, Credentials, Given},
};

/// Give an upstream credential, in place of the one that is there
///
/// It is read from a file or standard input, sealed with the first of the configured keys ([credentials] key_file), and
/// never shown again: regate credentials put github --user ada < github.token
#[derive(Debug, Args)]
pub(super) struct Put {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    input: SecretInput,
    /// Read values of headers, one "Name: value" a line, in place of a token; for upstreams with --value-header
    #[arg(long)]
    headers: bool,
    /// When it expires, such as 2030-01-01T00:00:00Z; left out: not before it is removed
    #[arg(long, value_name = "TIME", value_parser = moment)]
    expires_at: Option<Timestamp>,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    read_time(text).ok_or_else(|| "it must be a time such as 2030-01-01T00:00:00Z, with an offset".to_owned())
}

impl Put {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let (place, now) = (&self.place, SystemClock.now());
        if self.expires_at.is_some_and(|moment| moment.unix_seconds() <= now.unix_seconds()) {
            return Err(CommandError::Usage("--expires-at: it has passed".to_owned()));
        }
        let key = place.key()?;
        let configuration = place.store.configuration()?;
        // A key that is missing is told before anybody types a secret.
        let Some(keys) = configuration.key_ring()? else {
            return Err(CommandError::Refused(CredentialError::NoKey.to_string()));
        };
        let given = match self.headers {
            true => Given::Headers(self.input.headers()?),
            false => Given::Token(self.input.line("the token")?),
        };
        let (written, row) = block_on(async {
            let store = open_to_change(&configuration).await?;
            let settings = CredentialSettings::default();
            let credentials = Credentials::new(store.clone(), Some(keys), settings, randomness()?);
            let written = credentials.put(&key, given, self.expires_at, now).await;
            let written = written.map_err(|error| self.explain(error))?;
            let row = store.credential(&key).await?.value;
            store.close().await;
            Ok((written, row))
        })?;
        rows::write_new(&ShownCredential::from(row), written.created, written.revision, place.json)?;
        Ok(Exit::Done)
    }

    fn explain(&self, error: CredentialError) -> CommandError {
        match error {
            CredentialError::Store(error) => self.place.explain("nothing was stored", error),
            error => CommandError::Usage(error.to_string()),
        }
    }
}
