//! `regate token change`.

use clap::{ArgGroup, Args};

use super::{
    confinement::Confinement,
    flags::in_words_of_flags,
    one::{OneToken, Refusal},
};
use crate::{
    cli::{
        exit::{CommandError, Exit},
        rows,
        store::Access,
    },
    store::{
        InvalidField, TokenChange, TokenLimits, import::ProjectList, token_expiry, token_name,
        token_projects, token_tools,
    },
    types::{Clock, SystemClock, Timestamp, TokenKind},
};

/// Change a live token's name, its lists or its expiry
///
/// What is left out stays. A list that is given takes the place of the one before. The token itself, its kind and whose
/// it is never change: mint another one for that.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args([
    "name", "only_projects", "no_projects", "any_project", "tools", "no_tools", "any_tool", "expires_in_days",
    "never_expires",
])))]
pub(super) struct Change {
    #[command(flatten)]
    one: OneToken,
    /// For people, 1 to 128 characters
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    confinement: Confinement,
    /// Not limited to a list of projects any more
    #[arg(long, conflicts_with_all = ["only_projects", "no_projects"])]
    any_project: bool,
    /// Not limited to a list of tools any more
    #[arg(long, conflicts_with_all = ["tools", "no_tools"])]
    any_tool: bool,
    /// So many days from now; the most is max_days of [tokens]
    #[arg(long, value_name = "DAYS", allow_negative_numbers = true)]
    expires_in_days: Option<i64>,
    /// It does not expire any more
    #[arg(long, conflicts_with = "expires_in_days")]
    never_expires: bool,
}

impl Change {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let (one, now) = (&self.one, SystemClock.now());
        let limits = one.store().configuration()?.token_limits();
        let projects = self.confinement.projects()?;
        let (written, token) = one.run(Access::Change, "nothing was changed", async |store, id| {
            let kind = one.read(store, id, now).await?.row.kind;
            let change = self
                .change(projects, kind, limits, now)
                .map_err(|invalid| Refusal::Command(self.explain(&invalid, limits)))?;
            let written = store.change_token(id, one.tenant.as_ref(), &change, now).await?;
            Ok((written, one.read(store, id, now).await?))
        })?;
        rows::write_done(&token, &written, one.json)?;
        Ok(Exit::Done)
    }

    /// As at minting, but for the expiry: left out, it stays.
    fn explain(&self, invalid: &InvalidField, limits: TokenLimits) -> CommandError {
        if invalid.field == "expires_in_days" {
            let days = limits.days;
            return CommandError::Usage(format!(
                "--expires-in-days: it must be 1 to {days}; --never-expires takes the expiry away"
            ));
        }
        in_words_of_flags(invalid, &self.confinement)
    }

    /// The change to a token of this kind, by the rules that hold for minting.
    fn change(
        &self,
        projects: Option<ProjectList>,
        kind: TokenKind,
        limits: TokenLimits,
        now: Timestamp,
    ) -> Result<TokenChange, InvalidField> {
        if let Some(name) = &self.name {
            token_name(name)?;
        }
        let tools = self.confinement.tools();
        if let Some(tools) = &tools {
            token_tools(tools, kind)?;
        }
        let projects = projects.map(|list| token_projects(list, kind, limits, now)).transpose()?;
        let expires_at = self.expires_in_days.map(|days| token_expiry(days, limits, now)).transpose()?;
        Ok(TokenChange {
            name: self.name.clone(),
            projects: given(projects, self.any_project),
            tools: given(tools, self.any_tool),
            expires_at: given(expires_at, self.never_expires),
        })
    }
}

/// What to write: a value, none, or nothing at all.
fn given<T>(value: Option<T>, lift: bool) -> Option<Option<T>> {
    if lift { Some(None) } else { value.map(Some) }
}
