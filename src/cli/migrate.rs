//! `regate migrate`: the store's tables.

use std::io::{self, Write};

use clap::Args;

use super::{
    exit::{CommandError, Exit},
    store::{StoreArguments, block_on, connect},
};

/// Bring the store's tables up to date
///
/// `serve` and the other commands do it at their start, unless migrate = false stands in [database].
/// Any number of processes may do it at once; doing it again changes nothing.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    store: StoreArguments,
}

impl Migrate {
    /// Migrates and says what was done.
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let applied = block_on(async {
            let store = connect(&self.store.configuration()?).await?;
            let applied = store.migrate().await?;
            store.close().await;
            Ok(applied)
        })?;
        let mut output = io::stdout();
        if applied.is_empty() {
            writeln!(output, "nothing to do: the tables are up to date")?;
        }
        for name in applied {
            writeln!(output, "applied {name}")?;
        }
        Ok(Exit::Done)
    }
}
