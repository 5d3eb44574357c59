//! One token, named by its id, or by itself on standard input.

use std::io::{self, IsTerminal, Read, Write};

use clap::Args;

use super::row::ShownToken;
use crate::{
    auth,
    cli::{
        exit::{Absent, CommandError},
        store::{Access, StoreArguments},
        values::{refuse_token, tenant},
    },
    store::{Store, StoreError, TokenFilter},
    types::{TenantId, Timestamp, TokenHash},
};

/// Flags of every action on one token.
#[derive(Debug, Args)]
pub(super) struct OneToken {
    /// The token's id, as regate token list shows it; not the token itself
    #[arg(value_name = "ID", required_unless_present = "stdin")]
    id: Option<String>,
    /// Find it by the token itself, or another system's key, which is read from standard input; only its SHA-256 is
    /// looked for
    #[arg(long, conflicts_with = "id")]
    stdin: bool,
    /// Only if it belongs to this tenant
    #[arg(long, value_parser = tenant)]
    pub(super) tenant: Option<TenantId>,
    #[command(flatten)]
    store: StoreArguments,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Longer texts are no token.
const LONGEST: u64 = 64 * 1024;

impl OneToken {
    /// Runs work on the store, with the token's id. What it says of the store's errors begins with `outcome`.
    pub(super) fn run<T>(
        &self,
        access: Access,
        outcome: &'static str,
        work: impl AsyncFnOnce(&dyn Store, &str) -> Result<T, Refusal>,
    ) -> Result<T, CommandError> {
        // INVARIANT: nothing below repeats an id that is a secret.
        if let Some(id) = &self.id {
            refuse_token("ID", id)?;
        }
        let hash = if self.stdin { Some(hash_of_input()?) } else { None };
        self.store.run(access, async |store| {
            let worked = async {
                let id = match (hash, &self.id) {
                    (Some(hash), _) => self.find(store, hash).await?,
                    (None, id) => id.clone().unwrap_or_default(),
                };
                work(store, &id).await
            };
            worked.await.map_err(|refusal| match refusal {
                Refusal::Store(error) => self.explain(outcome, error),
                Refusal::Command(error) => error,
            })
        })
    }

    /// The id of the token with this hash.
    async fn find(&self, store: &dyn Store, hash: TokenHash) -> Result<String, StoreError> {
        let filter = TokenFilter {
            tenant: self.tenant.clone(),
            sha256: Some(hash),
            limit: 1,
            ..TokenFilter::default()
        };
        let found = store.list_tokens(&filter).await?.value;
        found.into_iter().next().map(|row| row.id).ok_or(StoreError::NotFound { what: "token" })
    }

    /// The token as it is now.
    pub(super) async fn read(
        &self,
        store: &dyn Store,
        id: &str,
        now: Timestamp,
    ) -> Result<ShownToken, Refusal> {
        let row = store.token(id, self.tenant.as_ref()).await?.value;
        Ok(ShownToken { row, now })
    }

    /// The configuration's flags.
    pub(super) fn store(&self) -> &StoreArguments {
        &self.store
    }

    fn explain(&self, outcome: &'static str, error: StoreError) -> CommandError {
        let within = |tenant: &TenantId| format!(" in the tenant \"{tenant}\"");
        let within = self.tenant.as_ref().map(within).unwrap_or_default();
        let because = match (&error, &self.id) {
            (StoreError::NotFound { .. }, None) => {
                format!(
                    "no token{within} has the SHA-256 of what was read: it was never one here, or it was removed"
                )
            }
            (StoreError::NotFound { .. }, Some(id)) => {
                let flag =
                    self.tenant.as_ref().map(|tenant| format!(" --tenant {tenant}")).unwrap_or_default();
                format!("there is no token {id:?}{within}: see regate token list{flag}")
            }
            (StoreError::NotLive { .. } | StoreError::WrongKind { .. }, _) => error.to_string(),
            _ => return error.into(),
        };
        CommandError::Nothing { outcome, because: Absent(because) }
    }
}

/// The hash of the token on standard input. An end of line behind it is no part of it.
///
/// INVARIANT: the text goes no further than this.
fn hash_of_input() -> Result<TokenHash, CommandError> {
    let usage = |text: &str| Err(CommandError::Usage(text.to_owned()));
    let input = io::stdin().lock();
    if input.is_terminal() {
        let _ = writeln!(io::stderr(), "reading the token from standard input; Ctrl-D ends it");
    }
    let mut bytes = Vec::new();
    let failed = |source| CommandError::Read { path: "standard input".to_owned(), source };
    input.take(LONGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    let Ok(text) = std::str::from_utf8(&bytes) else { return usage("--stdin: that is no text") };
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return usage("--stdin: there is no token on standard input");
    }
    if text.contains('\n') || bytes.len() as u64 > LONGEST {
        return usage("--stdin: write one token, on one line");
    }
    Ok(auth::hash(text))
}

/// Why work on a token came to nothing.
pub(super) enum Refusal {
    /// The store says so.
    Store(StoreError),
    /// The command does.
    Command(CommandError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
