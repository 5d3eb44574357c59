//! `regate upstream`: the servers behind the gateway, which credential goes on to them, and which tokens may reach them.
//!
//! **For:** one file an action that is more than a few lines. **Must never know:** what an upstream may be, which
//! `crate::upstream` says; no secret is an argument, and none is shown.

mod client_secret;
mod grants;
mod put;
mod row;

use clap::{Args, Subcommand};

use super::{
    exit::{CommandError, Exit},
    rows::{self, PageArguments},
    store::{Access, StoreArguments},
    values::{WithinTenant, credential_mode},
};
use crate::{
    decision::facts::CredentialMode,
    store::{StoreError, upstreams::UpstreamFilter},
    types::TenantId,
};

/// Add, change, show, list and remove upstreams; say which tokens may reach them
#[derive(Debug, Args)]
pub(super) struct Upstreams {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Put(Box<put::Put>),
    Show(One),
    List(List),
    /// Remove an upstream, with its grants, credentials and consent flows, for good
    Remove(One),
    Grants(grants::Grants),
    ClientSecret(client_secret::ClientSecret),
}

impl Upstreams {
    /// Runs the action.
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        match &self.action {
            Action::Put(put) => put.run(),
            Action::Show(one) => one.show(),
            Action::List(list) => list.run(),
            Action::Remove(one) => one.remove(),
            Action::Grants(grants) => grants.run(),
            Action::ClientSecret(secret) => secret.run(),
        }
    }
}

/// Show one upstream; never a secret
#[derive(Debug, Args)]
struct One {
    /// The upstream's id
    #[arg(value_name = "UPSTREAM")]
    id: String,
    #[command(flatten)]
    within: WithinTenant,
    #[command(flatten)]
    store: StoreArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// List upstreams, by id; never a secret
#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    within: WithinTenant,
    /// Only with this kind of credential
    #[arg(long, value_parser = credential_mode())]
    credential: Option<CredentialMode>,
    /// Only those that every token may reach; --allow-all=false: only others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_all: Option<bool>,
    #[command(flatten)]
    page: PageArguments,
    #[command(flatten)]
    store: StoreArguments,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl One {
    fn tenant(&self) -> &TenantId {
        &self.within.tenant
    }

    fn explain(&self, outcome: &'static str, error: StoreError) -> CommandError {
        self.within.explain("upstream", &self.id, outcome, error)
    }

    fn show(&self) -> Result<Exit, CommandError> {
        let found = self.store.run(Access::Read, async |store| {
            let reading = store.upstream(self.tenant(), &self.id);
            reading.await.map_err(|error| self.explain("nothing to show", error))
        })?;
        rows::write_one(&found.value, found.revision, self.json)?;
        Ok(Exit::Done)
    }

    fn remove(&self) -> Result<Exit, CommandError> {
        let revision = self.store.run(Access::Change, async |store| {
            let removing = store.remove_upstream(self.tenant(), &self.id);
            removing.await.map_err(|error| self.explain("nothing was removed", error))
        })?;
        rows::write_removed(&format!("upstream {}", self.id), revision, self.json)?;
        Ok(Exit::Done)
    }
}

impl List {
    fn run(&self) -> Result<Exit, CommandError> {
        let filter = UpstreamFilter {
            tenant: self.within.tenant.clone(),
            credential: self.credential,
            allow_all: self.allow_all,
            after: self.page.after.clone(),
            limit: self.page.rows_to_read(),
        };
        let listed = async |store: &dyn crate::store::Store| Ok(store.list_upstreams(&filter).await?.value);
        let upstreams = self.store.run(Access::Read, listed)?;
        self.page.write(upstreams, self.json)?;
        Ok(Exit::Done)
    }
}
