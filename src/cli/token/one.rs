//! One token, named by its id.

use clap::Args;

use super::row::ShownToken;
use crate::{
    auth::{self, TokenFormat},
    cli::{
        exit::{Absent, CommandError},
        store::StoreArguments,
        values::tenant,
    },
    store::{Store, StoreError},
    types::{TenantId, Timestamp},
};

/// Flags of every action on one token.
#[derive(Debug, Args)]
pub(super) struct OneToken {
    /// The token's id, as regate token list shows it; not the token itself
    #[arg(value_name = "ID")]
    pub(super) id: String,
    /// Only if it belongs to this tenant
    #[arg(long, value_parser = tenant)]
    pub(super) tenant: Option<TenantId>,
    #[command(flatten)]
    store: StoreArguments,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl OneToken {
    /// Runs work on the store. What it says of the store's errors begins with `outcome`.
    pub(super) fn run<T>(
        &self,
        outcome: &'static str,
        work: impl AsyncFnOnce(&dyn Store) -> Result<T, Refusal>,
    ) -> Result<T, CommandError> {
        // INVARIANT: nothing below repeats an id that is a secret.
        if matches!(auth::identify(&self.id), TokenFormat::Regate(_)) {
            let text = "ID: that is a token itself, which other users of this machine could see now: revoke it by its \
                        id, which regate token list shows beside its first characters";
            return Err(CommandError::Usage(text.to_owned()));
        }
        self.store.run(async |store| {
            work(store).await.map_err(|refusal| match refusal {
                Refusal::Store(error) => self.explain(outcome, error),
                Refusal::Command(error) => error,
            })
        })
    }

    /// The token as it is now.
    pub(super) async fn read(&self, store: &dyn Store, now: Timestamp) -> Result<ShownToken, Refusal> {
        let row = store.token(&self.id, self.tenant.as_ref()).await?.value;
        Ok(ShownToken { row, now })
    }

    /// The configuration's flags.
    pub(super) fn store(&self) -> &StoreArguments {
        &self.store
    }

    fn explain(&self, outcome: &'static str, error: StoreError) -> CommandError {
        let because = match (&error, &self.tenant) {
            (StoreError::NotFound { .. }, None) => {
                format!("there is no token {:?}: see regate token list", self.id)
            }
            (StoreError::NotFound { .. }, Some(tenant)) => format!(
                "there is no token {:?} in the tenant \"{tenant}\": see regate token list --tenant {tenant}",
                self.id
            ),
            (StoreError::NotLive { .. }, _) => error.to_string(),
            _ => return error.into(),
        };
        CommandError::Nothing { outcome, because: Absent(because) }
    }
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
