//! `regate token revoke`.

use std::io::{self, Write};

use clap::Args;

use super::one::OneToken;
use crate::{
    cli::{
        exit::{CommandError, Exit},
        printable::printable,
        rows,
        store::Access,
    },
    store::Written,
    types::{Clock, SystemClock},
};

/// Revoke a token; the row stays, and doing it again is harmless
///
/// Processes that serve see it within milliseconds on Postgres and some 20 ms on SQLite. A question with the revision
/// that this prints as its min_revision waits for it. A token that leaked: regate token revoke --stdin < FILE
#[derive(Debug, Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    one: OneToken,
}

impl Revoke {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let (one, now) = (&self.one, SystemClock.now());
        let (revocation, token) = one.run(Access::Change, "nothing was revoked", async |store, id| {
            let revocation = store.revoke_token(id, one.tenant.as_ref(), now).await?;
            Ok((revocation, one.read(store, id, now).await?))
        })?;
        let (revision, changed) = (revocation.revision, revocation.changed);
        if one.json {
            rows::write_done(&token, &Written { revision, created: false, changed }, true)?;
        } else {
            let word = if changed { "revoked" } else { "was revoked already" };
            let (id, since) = (printable(&token.row.id), revocation.revoked_at);
            writeln!(io::stdout(), "{id} {word} ({since}), revision {revision}")?;
        }
        Ok(Exit::Done)
    }
}
