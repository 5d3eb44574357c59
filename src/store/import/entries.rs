//! From an entry of the document to a row of a table: the rules of each.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    document::{
        CollaboratorEntry, GrantEntry, ProjectEntry, ProjectList, TenantChoice, TenantEntry, TokenEntry,
        UserEntry,
    },
    rules::Looking,
};
use crate::{
    decision::facts::{CredentialMode, ProjectRole, UserRole},
    store::{tokens::mint::TokenRecord, upstreams::OauthSettings},
    types::{TenantId, TokenKind},
};

// The rows: their fields are named as the columns.

#[derive(Clone, Debug, Serialize)]
pub(super) struct TenantRecord {
    pub id: TenantId,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct UserRecord {
    pub tenant: TenantId,
    pub id: String,
    pub role: UserRole,
    pub disabled: Option<bool>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ProjectRecord {
    pub tenant: TenantId,
    pub id: String,
    pub name: String,
    pub public: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct CollaboratorRecord {
    pub tenant: TenantId,
    pub project_id: String,
    pub user_id: String,
    pub role: ProjectRole,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct UpstreamRecord {
    pub tenant: TenantId,
    pub id: String,
    pub url: String,
    pub allow_all: bool,
    pub credential: CredentialMode,
    pub header: String,
    pub format: String,
    pub value_headers: Option<Vec<String>>,
    pub pass_headers: Option<Vec<String>>,
    pub oauth: Option<OauthSettings>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct GrantRecord {
    pub tenant: TenantId,
    pub token_id: String,
    pub upstream_id: String,
}

// In each function all fields are looked at before the first `?`, so that all problems are found.

pub(super) fn tenant(entry: &TenantEntry, at: &mut Looking<'_>) -> Option<TenantRecord> {
    match TenantId::try_from(entry.id.as_str()) {
        Ok(id) => Some(TenantRecord { id }),
        Err(error) => {
            at.refuse("id", &error.to_string());
            None
        }
    }
}

pub(super) fn user(entry: &UserEntry, at: &mut Looking<'_>) -> Option<UserRecord> {
    let tenant = at.tenant(entry.tenant.as_deref());
    let id = at.id("id", &entry.id);
    let role = entry.role.as_deref().map_or(Some(UserRole::default()), UserRole::from_name);
    let role = at.name("role", role, "user, viewer, admin");
    Some(UserRecord { tenant: tenant?, id: id?, role: role?, disabled: entry.disabled })
}

pub(super) fn project(entry: &ProjectEntry, at: &mut Looking<'_>) -> Option<ProjectRecord> {
    let tenant = at.tenant(entry.tenant.as_deref());
    let id = at.id("id", &entry.id);
    let name = match &entry.name {
        // Nothing refers to a name: an empty one harms nobody.
        Some(name) if name.is_empty() => Some(String::new()),
        Some(name) => at.text("name", name, 1024),
        None => id.clone(),
    };
    Some(ProjectRecord { tenant: tenant?, id: id?, name: name?, public: entry.public })
}

pub(super) fn collaborator(entry: &CollaboratorEntry, at: &mut Looking<'_>) -> Option<CollaboratorRecord> {
    let tenant = at.tenant(entry.tenant.as_deref());
    let project_id = at.id("project_id", &entry.project_id);
    let user_id = at.id("user_id", &entry.user_id);
    let role = ProjectRole::from_name(&entry.role);
    let role = at.name("role", role, "viewer, developer, administrator, owner");
    Some(CollaboratorRecord { tenant: tenant?, project_id: project_id?, user_id: user_id?, role: role? })
}

pub(super) fn token(entry: &TokenEntry, at: &mut Looking<'_>) -> Option<TokenRecord> {
    let tenant = match &entry.tenant {
        TenantChoice::LeftOut => at.tenant(None).map(Some),
        TenantChoice::Named(tenant) => at.tenant(Some(tenant)).map(Some),
        TenantChoice::All => Some(None),
    };
    let id = at.id("id", &entry.id);
    let kind = at.name("kind", entry.kind.parse().ok(), "global, project, mcp, admin, gateway");
    let name = at.token_name(&entry.name);
    let sha256 = at.hash("sha256", &entry.sha256);
    let prefix = entry.prefix.as_deref().map_or(Some(None), |text| at.text("prefix", text, 12).map(Some));
    let user_id = at.optional_id("user_id", entry.user_id.as_deref());
    let project_id = at.optional_id("project_id", entry.project_id.as_deref());
    let projects = entry.projects.as_ref().map_or(Some(None), |list| projects(list, at).map(Some));
    let tools = entry.tools.as_ref().map_or(Some(None), |list| tools(list, at).map(Some));
    let expires_at = at.time("expires_at", entry.expires_at.as_deref());
    let revoked_at = at.time("revoked_at", entry.revoked_at.as_deref());
    let created_at = at.time("created_at", entry.created_at.as_deref());
    if let Some(kind) = kind {
        fields_of_kind(kind, entry, at);
    }
    Some(TokenRecord {
        id: id?,
        tenant: tenant?,
        kind: kind?,
        name: name?,
        sha256: sha256?,
        prefix: prefix?,
        user_id: user_id?,
        project_id: project_id?,
        scope_pull: entry.scope_pull,
        scope_push: entry.scope_push,
        allow_trigger: entry.allow_trigger,
        projects: projects?,
        tools: tools?,
        expires_at: expires_at?,
        revoked_at: revoked_at?,
        created_at: created_at?,
    })
}

/// Which fields a token of this kind must have, and must not.
fn fields_of_kind(kind: TokenKind, entry: &TokenEntry, at: &mut Looking<'_>) {
    match kind {
        TokenKind::Global if entry.user_id.is_none() => {
            at.refuse("user_id", "a global token needs the user whose it is");
        }
        TokenKind::Project if entry.project_id.is_none() => {
            at.refuse("project_id", "a project token needs its project");
        }
        TokenKind::Gateway => {
            if entry.user_id.is_some() {
                at.refuse("user_id", "a gateway is nobody's; leave it out");
            }
            if entry.project_id.is_some() {
                at.refuse("project_id", "a gateway has no project; leave it out");
            }
        }
        TokenKind::Global | TokenKind::Project | TokenKind::Mcp | TokenKind::Admin => {}
    }
    if kind != TokenKind::Gateway && entry.tenant == TenantChoice::All {
        at.refuse("tenant", "only a gateway can be of all tenants; name a tenant or leave it out");
    }
}

fn projects(list: &ProjectList, at: &mut Looking<'_>) -> Option<BTreeMap<String, Option<String>>> {
    let mut read = BTreeMap::new();
    let mut good = true;
    for (project, expiry) in &list.0 {
        let id = at.id("projects", project);
        // The id is part of the place, unless it is what is wrong.
        let field = id.as_ref().map_or_else(|| "projects".to_owned(), |id| format!("projects.{id}"));
        match (id, at.time(&field, expiry.as_deref())) {
            (Some(id), Some(expiry)) => {
                read.insert(id, expiry);
            }
            _ => good = false,
        }
    }
    good.then_some(read)
}

fn tools(list: &[String], at: &mut Looking<'_>) -> Option<Vec<String>> {
    let mut read = Vec::with_capacity(list.len());
    for (place, tool) in list.iter().enumerate() {
        read.extend(at.text(&format!("tools[{place}]"), tool, 256));
    }
    (read.len() == list.len()).then_some(read)
}

pub(super) fn grant(entry: &GrantEntry, at: &mut Looking<'_>) -> Option<GrantRecord> {
    let tenant = at.tenant(entry.tenant.as_deref());
    let token_id = at.id("token_id", &entry.token_id);
    let upstream_id = at.id("upstream_id", &entry.upstream_id);
    Some(GrantRecord { tenant: tenant?, token_id: token_id?, upstream_id: upstream_id? })
}
