//! Token messages on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::{
    super::{openapi::ProjectListSchema, problem::Problem},
    message::{given, projects, time},
    page,
};
use crate::{
    decision::{Subject, SubjectKind},
    store::{
        InvalidField, NewToken, TokenChange, TokenFilter, TokenLimits, TokenRow, TokenSpecification,
        TokenState, import::ProjectList, token_expiry, token_name, token_projects, token_tools,
    },
    types::{DataRevision, TenantId, Timestamp, TokenKind},
};

/// A token that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MintMessage {
    kind: TokenKind,
    /// For people; no control characters.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// Whose it is.
    #[schema(min_length = 1, max_length = 256)]
    user_id: Option<String>,
    /// The one project of a project token.
    #[schema(min_length = 1, max_length = 256)]
    project_id: Option<String>,
    /// May read (project tokens).
    #[serde(default)]
    scope_pull: bool,
    /// May write.
    #[serde(default)]
    scope_push: bool,
    /// The projects that it is limited to; left out or null: not limited to a list.
    #[schema(value_type = Option<ProjectListSchema>)]
    projects: Option<ProjectList>,
    /// The tools that it is limited to; left out or null: not limited to a list.
    tools: Option<Vec<String>>,
    /// Left out or null: it does not expire.
    #[schema(minimum = 1, maximum = 365)]
    expires_in_days: Option<i64>,
}

impl MintMessage {
    /// What the token is to be, made by this caller in their tenant.
    pub(super) fn specification(self, caller: &Subject) -> TokenSpecification {
        let own = match (caller.kind, self.kind) {
            (SubjectKind::Session, TokenKind::Global | TokenKind::Mcp) => caller.user_id.as_deref(),
            _ => None,
        };
        TokenSpecification {
            kind: self.kind,
            name: self.name,
            tenant: caller.tenant.clone(),
            user_id: self.user_id.or_else(|| own.map(str::to_owned)),
            project_id: self.project_id,
            scope_pull: self.scope_pull,
            scope_push: self.scope_push,
            projects: self.projects,
            tools: self.tools,
            expires_in_days: self.expires_in_days,
        }
    }
}

/// The token that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct MintedMessage<'a> {
    id: &'a str,
    /// The token itself. It is not shown again.
    token: &'a str,
    /// Its first characters, which lists show.
    prefix: Option<&'a str>,
    kind: TokenKind,
    name: &'a str,
    user_id: Option<&'a str>,
    project_id: Option<&'a str>,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(value_type = u64)]
    revision: DataRevision,
}

impl<'a> MintedMessage<'a> {
    pub(super) fn new(token: &'a NewToken, text: &'a str, revision: DataRevision) -> Self {
        Self {
            id: &token.id,
            token: text,
            prefix: token.prefix.as_deref(),
            kind: token.kind,
            name: &token.name,
            user_id: token.user_id.as_deref(),
            project_id: token.project_id.as_deref(),
            expires_at: token.expires_at.map(time),
            revision,
        }
    }
}

/// What of a live token is to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeMessage {
    #[schema(min_length = 1, max_length = 128)]
    name: Option<String>,
    /// The projects that it is limited to; null: not limited to a list any more.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<ProjectListSchema>)]
    projects: Option<Option<ProjectList>>,
    /// The tools that it is limited to; null: not limited to a list any more.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    tools: Option<Option<Vec<String>>>,
    /// From now; null: it does not expire any more.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 365)]
    expires_in_days: Option<Option<i64>>,
}

impl ChangeMessage {
    /// The change to a token of this kind.
    pub(super) fn change(
        self,
        kind: TokenKind,
        limits: TokenLimits,
        now: Timestamp,
    ) -> Result<TokenChange, InvalidField> {
        if let Some(name) = &self.name {
            token_name(name)?;
        }
        if let Some(Some(tools)) = &self.tools {
            token_tools(tools, kind)?;
        }
        let projects = match self.projects {
            Some(Some(list)) => Some(Some(token_projects(list, kind, limits, now)?)),
            other => other.map(|_| None),
        };
        let expires_at = match self.expires_in_days {
            Some(Some(days)) => Some(Some(token_expiry(days, limits, now)?)),
            other => other.map(|_| None),
        };
        Ok(TokenChange { name: self.name, projects, tools: self.tools, expires_at })
    }
}

/// What is shown of a token.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenAnswer<'a> {
    id: &'a str,
    kind: TokenKind,
    name: &'a str,
    /// `live`, `expired` or `revoked`.
    state: &'static str,
    tenant: Option<&'a str>,
    /// Its first characters, if they are known.
    prefix: Option<&'a str>,
    user_id: Option<&'a str>,
    project_id: Option<&'a str>,
    scope_pull: bool,
    scope_push: bool,
    allow_trigger: bool,
    /// The projects that it is limited to, each with its expiry; null: not limited to a list.
    projects: Option<BTreeMap<String, Option<String>>>,
    /// The tools that it is limited to; null: not limited to a list.
    tools: Option<&'a [String]>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
    /// As far as is known: uses are written behind the answers, in batches.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

impl<'a> TokenAnswer<'a> {
    pub(super) fn new(row: &'a TokenRow, now: Timestamp) -> Self {
        Self {
            id: &row.id,
            kind: row.kind,
            name: &row.name,
            state: row.state(now).as_str(),
            tenant: row.tenant.as_ref().map(TenantId::as_str),
            prefix: row.prefix.as_deref(),
            user_id: row.user_id.as_deref(),
            project_id: row.project_id.as_deref(),
            scope_pull: row.scope_pull,
            scope_push: row.scope_push,
            allow_trigger: row.allow_trigger,
            projects: row.projects.as_ref().map(projects),
            tools: row.tools.as_deref(),
            created_at: time(row.created_at),
            expires_at: row.expires_at.map(time),
            revoked_at: row.revoked_at.map(time),
            last_used_at: row.last_used_at.map(time),
        }
    }
}

/// One token.
#[derive(Serialize, ToSchema)]
pub(super) struct WrittenToken<'a> {
    #[serde(flatten)]
    pub token: TokenAnswer<'a>,
    /// Whether this call changed anything.
    pub changed: bool,
    #[schema(value_type = u64)]
    pub revision: DataRevision,
}

/// A page of tokens.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenList<'a> {
    pub tokens: Vec<TokenAnswer<'a>>,
    /// Where the next page begins: its `after`; null at the end.
    pub next: Option<String>,
    #[schema(value_type = u64)]
    pub revision: DataRevision,
}

/// Which tokens to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TokenListQuery {
    /// Only of this kind.
    #[param(inline)]
    kind: Option<TokenKind>,
    /// Of a session: all that it may read, not its own user's alone.
    #[serde(default)]
    all: bool,
    /// Only this user's.
    user_id: Option<String>,
    /// Only this project's own tokens.
    project_id: Option<String>,
    /// Only those in this state: `live`, `expired` or `revoked`.
    #[param(inline, value_type = Option<super::super::super::openapi::TokenStateSchema>)]
    state: Option<String>,
    /// Only those that were not used for so many days. One that was never used counts from when it was made.
    #[param(minimum = 1, maximum = 36500)]
    unused_days: Option<u32>,
    /// Rows of the page, 100 unless said otherwise.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

impl TokenListQuery {
    /// The rows to look for. The tenant, the moment and what is counted from it come with [`as_of`](Self::as_of).
    pub(super) fn filter(&self, caller: &Subject) -> Result<TokenFilter, Problem> {
        let own = match (caller.kind, &self.project_id) {
            (SubjectKind::Session, None) if !self.all => caller.user_id.as_deref().map(str::to_owned),
            _ => None,
        };
        let state = match self.state.as_deref().map(TokenState::from_name) {
            Some(None) => {
                return Err(Problem::Invalid("state: it must be live, expired or revoked".to_owned()));
            }
            state => state.flatten(),
        };
        if self.unused_days.is_some_and(|days| !(1..=36_500).contains(&days)) {
            return Err(Problem::Invalid("unused_days: it must be 1 to 36500".to_owned()));
        }
        Ok(TokenFilter {
            kind: self.kind,
            user_id: page::id("user_id", self.user_id.clone())?.or(own),
            project_id: page::id("project_id", self.project_id.clone())?,
            state,
            after: page::id("after", self.after.clone())?,
            ..TokenFilter::default()
        })
    }

    /// The same within a tenant, as of now.
    pub(super) fn as_of(&self, filter: TokenFilter, tenant: &TenantId, now: Timestamp) -> TokenFilter {
        let ago = |days| now.plus_days(-i64::from(days));
        TokenFilter { tenant: Some(tenant.clone()), now, unused_since: self.unused_days.map(ago), ..filter }
    }
}
