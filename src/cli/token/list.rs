//! `regate token list`.

use clap::Args;

use super::row::ShownToken;
use crate::{
    cli::{
        exit::{Absent, CommandError, Exit},
        rows::PageArguments,
        store::{Access, StoreArguments},
        values::{tenant, token_state},
    },
    store::{StoreError, TokenFilter, TokenState},
    types::{Clock, SystemClock, TenantId, TokenKind},
};

/// List tokens, oldest first; never the secret, never the hash
///
/// When a token was last used is known with a delay of last_used_interval of [tokens].
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only this tenant's
    #[arg(long, value_parser = tenant)]
    tenant: Option<TenantId>,
    /// Only of this kind
    #[arg(long)]
    kind: Option<TokenKind>,
    /// Only this user's
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only this project's own tokens
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Only those in this state
    #[arg(long, value_parser = token_state())]
    state: Option<TokenState>,
    /// Leave revoked ones out
    #[arg(long, conflicts_with = "state")]
    unrevoked: bool,
    /// Only those that were not used for so many days; one that was never used counts from when it was made
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    unused_days: Option<u32>,
    #[command(flatten)]
    page: PageArguments,
    #[command(flatten)]
    store: StoreArguments,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let now = SystemClock.now();
        let filter = TokenFilter {
            tenant: self.tenant.clone(),
            kind: self.kind,
            user_id: self.user.clone(),
            project_id: self.project.clone(),
            sha256: None,
            include_revoked: !self.unrevoked,
            state: self.state,
            now,
            unused_since: self.unused_days.map(|days| now.plus_days(-i64::from(days))),
            after: self.page.after.clone(),
            limit: self.page.rows_to_read(),
        };
        let rows = self.store.run(Access::Read, async |store| {
            let found = store.list_tokens(&filter).await.map_err(|error| match error {
                StoreError::NotFound { .. } => CommandError::Nothing {
                    outcome: "nothing to list",
                    because: Absent("--after: there is no such token to go on after".to_owned()),
                },
                other => other.into(),
            })?;
            Ok(found.value)
        })?;
        self.page.write(rows.into_iter().map(|row| ShownToken { row, now }).collect(), self.json)?;
        Ok(Exit::Done)
    }
}
