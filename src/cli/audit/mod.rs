//! `regate audit`: the decision log, as it is kept in the database.
//!
//! **For:** one file an action. **Must never know:** how records are chained.

mod export;
mod verify;

use clap::{Args, Subcommand};

use super::exit::{CommandError, Exit};

/// Verify that nobody changed the decision log, and write it as JSON lines
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Verify(verify::Verify),
    Export(export::Export),
}

impl Audit {
    /// Runs the action.
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        match &self.action {
            Action::Verify(verify) => verify.run(),
            Action::Export(export) => export.run(),
        }
    }
}
