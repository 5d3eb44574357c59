//! `regate credentials list`.

use clap::Args;

use super::row::ShownCredential;
use crate::{
    cli::{
        exit::{CommandError, Exit},
        rows::PageArguments,
        store::{Access, StoreArguments},
        values::{WithinTenant, credential_state, holder_kind, refuse_token},
    },
    decision::facts::CredentialState,
    store::upstreams::CredentialFilter,
    types::{Clock, HolderKind, SystemClock},
    upstream::read_cursor,
};

/// List upstream credentials, by upstream and holder; never a value
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    within: WithinTenant,
    /// Only for this upstream
    #[arg(long, value_name = "UPSTREAM")]
    upstream: Option<String>,
    /// Only of this kind of holder
    #[arg(long, value_parser = holder_kind())]
    holder: Option<HolderKind>,
    /// Only of holders with this id
    #[arg(long, value_name = "ID")]
    holder_id: Option<String>,
    /// Only of the token with this id; not the token itself
    #[arg(long, value_name = "TOKEN_ID", conflicts_with_all = ["holder", "holder_id"])]
    token: Option<String>,
    /// Only those behind which this user is: theirs, and their tokens'
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only in this state
    #[arg(long, value_parser = credential_state())]
    state: Option<CredentialState>,
    /// Only those in whose upstream's or holder's id this text stands, whatever its case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
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
        let after = self.page.after.as_deref().map(read_cursor);
        if after == Some(None) {
            let text = "--after: it is none that a list before told";
            return Err(CommandError::Usage(text.to_owned()));
        }
        self.token.as_deref().map_or(Ok(()), |id| refuse_token("--token", id))?;
        let filter = CredentialFilter {
            tenant: self.within.tenant.clone(),
            upstream_id: self.upstream.clone(),
            holder: self.holder.or(self.token.as_ref().map(|_| HolderKind::Token)),
            holder_id: self.holder_id.clone().or_else(|| self.token.clone()),
            user_id: self.user.clone(),
            state: self.state,
            search: self.search.clone(),
            after: after.flatten(),
            limit: self.page.rows_to_read(),
        };
        let now = SystemClock.now();
        let rows =
            self.store.run(Access::Read, async |store| Ok(store.list_credentials(&filter).await?.value))?;
        self.page.write(rows.into_iter().map(|row| ShownCredential::new(row, now)).collect(), self.json)?;
        Ok(Exit::Done)
    }
}
