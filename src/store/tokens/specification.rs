//! What a token is to be, before it is made or changed: the rules that hold for everybody who mints, by HTTP or by
//! command line.

use std::{borrow::Cow, collections::BTreeMap};

use thiserror::Error;

use super::NewToken;
use crate::{
    store::{import::ProjectList, time},
    types::{TenantId, Timestamp, TokenHash, TokenKind, check_id, check_name, check_text},
};

/// How many live tokens a user may have, and how long a token may live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLimits {
    /// Tokens of one user that are neither revoked nor expired.
    pub live_tokens: u32,
    /// Days from minting to expiry, for the token and for each project on its list.
    pub days: u16,
}

impl Default for TokenLimits {
    fn default() -> Self {
        Self { live_tokens: 20, days: 365 }
    }
}

/// A field of a token that is to be made or changed, and what is wrong with it. It does not repeat the value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct InvalidField {
    /// The field, or the place in it.
    pub field: Cow<'static, str>,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl InvalidField {
    fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field: Cow::Borrowed(field), problem: problem.into() }
    }
}

/// What a token is to be. The right to trigger is not here: it is granted by a call of its own.
#[derive(Clone, Debug)]
pub struct TokenSpecification {
    /// What it is for.
    pub kind: TokenKind,
    /// For people; 1 to 128 characters, no control characters.
    pub name: String,
    /// `None` is a gateway of all tenants.
    pub tenant: Option<TenantId>,
    /// Whose it is.
    pub user_id: Option<String>,
    /// The one project of a project token.
    pub project_id: Option<String>,
    /// May read (project tokens).
    pub scope_pull: bool,
    /// May write.
    pub scope_push: bool,
    /// The projects that it is limited to; `None`: not limited to a list.
    pub projects: Option<ProjectList>,
    /// The tools that it is limited to; `None`: not limited to a list.
    pub tools: Option<Vec<String>>,
    /// When it expires; `None`: never.
    pub expires_in_days: Option<i64>,
}

/// Entries of a list of projects or tools.
const LONGEST_LIST: usize = 1_000;
/// Bytes of all entries of a list: each is kept in the memory of every process.
const LARGEST_LIST: usize = 16 * 1024;
/// Characters of a tool's name.
const LONGEST_TOOL: usize = 256;

impl TokenSpecification {
    /// The token that is to be stored, made at `now`, with the id and hash that it will have.
    ///
    /// # Errors
    /// The first field that is not as it should be. A restriction that has no effect on a token of this kind is refused
    /// as well: a token must not be wider than whoever minted it thinks. So are scopes where no rule could ask for them;
    /// elsewhere they are kept, since a bundle of the organisation's own may.
    pub fn into_new_token(
        self,
        id: String,
        sha256: TokenHash,
        prefix: String,
        limits: TokenLimits,
        now: Timestamp,
    ) -> Result<NewToken, InvalidField> {
        self.check_kind()?;
        token_name(&self.name)?;
        let references = [("user_id", &self.user_id), ("project_id", &self.project_id)];
        for (field, id) in references {
            if let Some(Err(error)) = id.as_deref().map(check_id) {
                return Err(InvalidField::new(field, error.to_string()));
            }
        }
        let projects = self.projects.map(|list| token_projects(list, self.kind, limits, now)).transpose()?;
        if let Some(tools) = &self.tools {
            token_tools(tools, self.kind)?;
        }
        let expires_at = self.expires_in_days.map(|days| token_expiry(days, limits, now)).transpose()?;
        Ok(NewToken {
            id,
            tenant: self.tenant,
            kind: self.kind,
            name: self.name,
            sha256,
            prefix: Some(prefix),
            user_id: self.user_id,
            project_id: self.project_id,
            scope_pull: self.scope_pull,
            scope_push: self.scope_push,
            projects,
            tools: self.tools,
            expires_at,
            created_at: now,
        })
    }

    /// Which fields a token of this kind must have, and must not.
    fn check_kind(&self) -> Result<(), InvalidField> {
        let kind = self.kind;
        let is = |kinds: &[TokenKind]| kinds.contains(&kind);
        let gateway = is(&[TokenKind::Gateway]);
        let wrong = [
            (!gateway && self.tenant.is_none(), "tenant", "only a gateway can be of all tenants".to_owned()),
            (gateway && self.user_id.is_some(), "user_id", without_effect(kind, "a user")),
            (
                self.scope_push && is(&[TokenKind::Gateway, TokenKind::Admin]),
                "scope_push",
                without_effect(kind, "scope_push"),
            ),
            (
                self.scope_pull && is(&[TokenKind::Gateway, TokenKind::Admin]),
                "scope_pull",
                without_effect(kind, "scope_pull"),
            ),
            (
                self.project_id.is_some() && !is(&[TokenKind::Project]),
                "project_id",
                format!(
                    "it is for project tokens; to confine a token of kind {kind} give a list of projects"
                ),
            ),
            (
                is(&[TokenKind::Global]) && self.user_id.is_none(),
                "user_id",
                "a global token needs the user whose it is".to_owned(),
            ),
            (
                is(&[TokenKind::Project]) && self.project_id.is_none(),
                "project_id",
                "a project token needs its project".to_owned(),
            ),
            (
                is(&[TokenKind::Project]) && !self.scope_pull && !self.scope_push,
                "scope_pull",
                "a project token needs scope_pull, scope_push or both".to_owned(),
            ),
        ];
        match wrong.into_iter().find(|(wrong, _, _)| *wrong) {
            Some((_, field, problem)) => Err(InvalidField::new(field, problem)),
            None => Ok(()),
        }
    }
}

/// A token's name: 1 to 128 characters, none of which hides or reorders others.
///
/// # Errors
/// What is wrong with it.
pub fn token_name(name: &str) -> Result<(), InvalidField> {
    check_name(name).map_err(|error| InvalidField::new("name", error.to_string()))
}

/// The list of projects, each with its own expiry: RFC 3339, in the future, within the limit.
///
/// # Errors
/// What is wrong with which entry.
pub fn token_projects(
    list: ProjectList,
    kind: TokenKind,
    limits: TokenLimits,
    now: Timestamp,
) -> Result<BTreeMap<String, Option<Timestamp>>, InvalidField> {
    match kind {
        TokenKind::Gateway => {
            return Err(InvalidField::new("projects", without_effect(kind, "a list of projects")));
        }
        TokenKind::Admin => {
            let problem =
                "a list of projects does not confine what a token of kind admin manages: leave it out";
            return Err(InvalidField::new("projects", problem));
        }
        TokenKind::Global | TokenKind::Project | TokenKind::Mcp => {}
    }
    if list.0.len() > LONGEST_LIST {
        return Err(InvalidField::new("projects", format!("at most {LONGEST_LIST} projects are taken")));
    }
    bounded("projects", list.0.iter().map(|(project, _)| project.len()).sum())?;
    let mut projects = BTreeMap::new();
    for (place, (project, expiry)) in list.0.into_iter().enumerate() {
        let wrong = |problem: String| InvalidField { field: format!("projects[{place}]").into(), problem };
        check_id(&project).map_err(|error| wrong(error.to_string()))?;
        let expiry = match expiry {
            None => None,
            Some(text) => {
                let read = time::parse(&text).ok_or_else(|| {
                    wrong("the expiry must be a time such as 2030-01-01T00:00:00Z, with an offset".to_owned())
                })?;
                if read.unix_seconds() <= now.unix_seconds() {
                    return Err(wrong("the expiry has passed".to_owned()));
                }
                if read > now.plus_days(i64::from(limits.days)) {
                    return Err(wrong(format!("the expiry is more than {} days away", limits.days)));
                }
                Some(read)
            }
        };
        projects.insert(project, expiry);
    }
    Ok(projects)
}

/// The list of tools.
///
/// # Errors
/// What is wrong with which entry.
pub fn token_tools(tools: &[String], kind: TokenKind) -> Result<(), InvalidField> {
    if kind != TokenKind::Mcp {
        return Err(InvalidField::new("tools", without_effect(kind, "a list of tools")));
    }
    if tools.len() > LONGEST_LIST {
        return Err(InvalidField::new("tools", format!("at most {LONGEST_LIST} tools are taken")));
    }
    bounded("tools", tools.iter().map(String::len).sum())?;
    for (place, tool) in tools.iter().enumerate() {
        if let Err(error) = check_text(tool, LONGEST_TOOL) {
            let problem = error.to_string();
            return Err(InvalidField { field: format!("tools[{place}]").into(), problem });
        }
    }
    Ok(())
}

/// The expiry of a token that is to live for so many days from now.
///
/// # Errors
/// It is not within the limit.
pub fn token_expiry(days: i64, limits: TokenLimits, now: Timestamp) -> Result<Timestamp, InvalidField> {
    if !(1..=i64::from(limits.days)).contains(&days) {
        let problem = format!("it must be 1 to {}", limits.days);
        return Err(InvalidField::new("expires_in_days", problem));
    }
    Ok(now.plus_days(days))
}

fn bounded(field: &'static str, bytes: usize) -> Result<(), InvalidField> {
    if bytes > LARGEST_LIST {
        let problem = format!("its entries have more than {LARGEST_LIST} bytes together");
        return Err(InvalidField::new(field, problem));
    }
    Ok(())
}

fn without_effect(kind: TokenKind, what: &str) -> String {
    format!("{what} has no effect on a token of kind {kind}: leave it out")
}
