//! `regate token trigger`: the one right that is never given at minting.

use clap::{Args, Subcommand};

use super::one::OneToken;
use crate::{
    cli::{
        exit::{CommandError, Exit},
        rows,
        store::Access,
    },
    types::{Clock, SystemClock},
};

/// Grant an MCP token the right to trigger, or withdraw it
///
/// Restarting, rerunning and aborting count as triggering.
#[derive(Debug, Args)]
pub(super) struct Trigger {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Grant a live token of kind mcp the right to trigger; harmless when repeated
    Grant(OneToken),
    /// Withdraw the right to trigger, from any token; harmless when repeated
    Withdraw(OneToken),
}

impl Trigger {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let (one, allowed) = match &self.action {
            Action::Grant(one) => (one, true),
            Action::Withdraw(one) => (one, false),
        };
        let now = SystemClock.now();
        let (written, token) = one.run(Access::Change, "nothing was changed", async |store, id| {
            let written = store.set_trigger(id, one.tenant.as_ref(), allowed, now).await?;
            Ok((written, one.read(store, id, now).await?))
        })?;
        rows::write_done(&token, &written, one.json)?;
        Ok(Exit::Done)
    }
}
