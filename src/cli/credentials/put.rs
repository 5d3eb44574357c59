//! `regate credentials put`.

use std::io::{self, Write};

use clap::Args;

use super::{check::no_key, place::Place, row::ShownCredential};
use crate::{
    cli::{
        exit::{CommandError, Exit},
        printable::{as_argument, printable},
        rows,
        secret_input::SecretInput,
        store::{block_on, open_to_change, randomness},
    },
    decision::facts::CredentialState,
    store::{read_time, upstreams::UpstreamRow},
    types::{Clock, Holder, SystemClock, Timestamp},
    upstream::{CredentialError, CredentialSettings, Credentials, Given, check_given_form, not_asked_for},
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
        self.input.refuse_argument()?;
        if self.expires_at.is_some_and(|moment| moment.unix_seconds() <= now.unix_seconds()) {
            return Err(CommandError::Usage("--expires-at: it has passed".to_owned()));
        }
        let key = place.key()?;
        let configuration = place.store.configuration()?;
        // What is missing is told before anybody types a secret.
        let Some(keys) = configuration.key_ring()? else {
            return Err(CommandError::Refused(no_key(&place.store)));
        };
        let (written, row, left_out) = block_on(async {
            let store = open_to_change(&configuration).await?;
            let explain = |error| place.explain("nothing was stored", error);
            let upstream = store.upstream(&key.tenant, &key.upstream_id).await.map_err(explain)?.value;
            let given = self.given(&upstream)?;
            let left_out = not_asked_for(&upstream, &given).join(", ");
            let settings = CredentialSettings::default();
            let credentials = Credentials::new(store.clone(), Some(keys), settings, randomness()?);
            let written = credentials.put(&key, given, self.expires_at, now).await;
            let written = written.map_err(|error| self.explain(error, &left_out))?;
            let row = store.credential(&key).await?.value;
            store.close().await;
            Ok((written, row, left_out))
        })?;
        let orphaned = row.state == CredentialState::Orphaned;
        rows::write_new(&ShownCredential::new(row, now), written.created, written.revision, place.json)?;
        if !left_out.is_empty() {
            self.note(&format!("{left_out}: not asked for, and left out"))?;
        }
        if let (true, Holder::Token(id)) = (orphaned, &key.holder) {
            let id = as_argument(id);
            let note = format!(
                "it is orphaned, and goes on nowhere, until the token has the grant: regate token grants {id}, with all of \
                 its upstreams"
            );
            self.note(&note)?;
        }
        Ok(Exit::Done)
    }

    /// Reads what is given, as the upstream wants it.
    fn given(&self, upstream: &UpstreamRow) -> Result<Given, CommandError> {
        if let (Some(wanted), false) = (&upstream.value_headers, self.headers) {
            let (id, wanted) = (&upstream.id, wanted.join(", "));
            let text = format!(
                "{id:?} wants values of headers, and no token: give --headers, and a line \"Name: value\" for each of {wanted}"
            );
            return Err(CommandError::Usage(text));
        }
        let given = match self.headers {
            true => Given::Headers(self.input.headers()?),
            false => Given::Token(self.input.line("the token")?),
        };
        check_given_form(upstream, &given).map_err(|wrong| CommandError::Usage(wrong.to_string()))?;
        Ok(given)
    }

    /// Something beside what was done: on standard error where standard output is for programs.
    fn note(&self, text: &str) -> io::Result<()> {
        let text = printable(text);
        if self.place.json {
            writeln!(io::stderr(), "regate: {text}")
        } else {
            writeln!(io::stdout(), "{text}")
        }
    }

    fn explain(&self, error: CredentialError, left_out: &str) -> CommandError {
        match error {
            CredentialError::Store(error) => self.place.explain("nothing was stored", error),
            error if left_out.is_empty() => CommandError::Usage(error.to_string()),
            error => CommandError::Usage(format!("{error}; not asked for: {left_out}")),
        }
    }
}
