//! `regate token`: the operations of the management API on tokens, for operators with access to the database; and what
//! can be said of a token without one.
//!
//! **For:** one file an action. **Must never know:** rules about tokens, which are the store's; no secret leaves a
//! function here but the one that `mint` shows.

mod change;
mod confinement;
mod flags;
mod grants;
mod identify;
mod list;
mod mint;
mod one;
mod revoke;
mod row;
mod show;
mod trigger;

use clap::{Args, Subcommand};

pub(super) use self::grants::unknown;
use super::exit::{CommandError, Exit};

/// Mint, list, show, change and revoke tokens; grant them upstreams; tell whether a text is one
#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Mint(Box<mint::Mint>),
    List(list::List),
    Show(show::Show),
    Change(Box<change::Change>),
    Revoke(revoke::Revoke),
    Trigger(trigger::Trigger),
    Grants(grants::Grants),
    Identify(identify::Identify),
}

impl Token {
    /// Runs the action.
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        match &self.action {
            Action::Mint(mint) => mint.run(),
            Action::List(list) => list.run(),
            Action::Show(show) => show.run(),
            Action::Change(change) => change.run(),
            Action::Revoke(revoke) => revoke.run(),
            Action::Trigger(trigger) => trigger.run(),
            Action::Grants(grants) => grants.run(),
            Action::Identify(identify) => identify.run(),
        }
    }
}
