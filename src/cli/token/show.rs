//! `regate token show`.

use clap::Args;

use super::{one::OneToken, row::ShownToken};
use crate::{
    cli::{
        exit::{CommandError, Exit},
        rows,
        store::Access,
    },
    store::AsOf,
    types::{Clock, SystemClock},
};

/// Show one token; never the secret, never the hash
///
/// Of a token that was found somewhere: regate token show --stdin < FILE
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    one: OneToken,
}

impl Show {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let one = &self.one;
        let AsOf { value, revision } = one.run(Access::Read, "nothing to show", async |store, id| {
            Ok(store.token(id, one.tenant.as_ref()).await?)
        })?;
        rows::write_one(&ShownToken { row: value, now: SystemClock.now() }, revision, one.json)?;
        Ok(Exit::Done)
    }
}
