//! `regate token show`.

use clap::Args;

use super::{one::OneToken, row::ShownToken};
use crate::{
    cli::{
        exit::{CommandError, Exit},
        rows,
    },
    store::AsOf,
    types::{Clock, SystemClock},
};

/// Show one token; never the secret, never the hash
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    one: OneToken,
}

impl Show {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let one = &self.one;
        let AsOf { value, revision } =
            one.run("nothing to show", async |store| Ok(store.token(&one.id, one.tenant.as_ref()).await?))?;
        rows::write_one(&ShownToken { row: value, now: SystemClock.now() }, revision, one.json)?;
        Ok(Exit::Done)
    }
}
