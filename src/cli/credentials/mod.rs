//! `regate credentials`: what goes on to upstreams, and the keys that seal it.
//!
//! **For:** one file an action. **Must never know:** how something is sealed. A secret comes in by a file or standard
//! input, and none goes out but the new key that `new-key` makes.

mod check;
mod list;
mod new_key;
mod place;
mod put;
mod rekey;
mod remove;
mod row;

use clap::{Args, Subcommand};

pub(super) use self::check::no_key;
use super::exit::{CommandError, Exit};

/// Give, list and remove upstream credentials; make keys, and seal everything anew with another one
#[derive(Debug, Args)]
pub(super) struct UpstreamCredentials {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Put(put::Put),
    List(list::List),
    Remove(remove::Remove),
    NewKey(new_key::NewKey),
    Check(check::Check),
    Rekey(rekey::Rekey),
}

impl UpstreamCredentials {
    /// Runs the action.
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        match &self.action {
            Action::Put(put) => put.run(),
            Action::List(list) => list.run(),
            Action::Remove(remove) => remove.run(),
            Action::NewKey(new_key) => new_key.run(),
            Action::Check(check) => check.run(),
            Action::Rekey(rekey) => rekey.run(),
        }
    }
}
