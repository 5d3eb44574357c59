//! The rows that decisions are made from, as the store hands them over and before they are packed
//! into a [`Snapshot`](super::Snapshot). Plain values: no rule, no storage detail.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::types::UserRole;
use crate::types::{Holder, Sealed, TenantId, TokenHash, TokenKind};

/// One row of decision data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A tenant that exists, with or without rows. To decisions a tenant is its rows.
    Tenant(TenantId),
    /// A user.
    User(User),
    /// A project.
    Project(Project),
    /// A user's role on a project.
    Collaborator(Collaborator),
    /// A token.
    Token(Token),
    /// An upstream.
    Upstream(Upstream),
    /// That a token may reach an upstream.
    Grant(Grant),
    /// What goes on to an upstream for somebody.
    Credential(UpstreamCredential),
}

/// Which row a change is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FactKey {
    /// A tenant. Its rows, if it has any, are told of one by one.
    Tenant(TenantId),
    /// A user.
    User {
        /// Its tenant.
        tenant: TenantId,
        /// Its id.
        id: String,
    },
    /// A project.
    Project {
        /// Its tenant.
        tenant: TenantId,
        /// Its id.
        id: String,
    },
    /// A user's role on a project.
    Collaborator {
        /// The tenant of both.
        tenant: TenantId,
        /// The project.
        project_id: String,
        /// The user.
        user_id: String,
    },
    /// A token, by what it is found by.
    Token(TokenHash),
    /// An upstream.
    Upstream {
        /// Its tenant.
        tenant: TenantId,
        /// Its id.
        id: String,
    },
    /// That a token may reach an upstream.
    Grant {
        /// The tenant of both.
        tenant: TenantId,
        /// The token.
        token_id: String,
        /// The upstream.
        upstream_id: String,
    },
    /// What goes on to an upstream for somebody.
    Credential {
        /// The tenant of all three.
        tenant: TenantId,
        /// The upstream.
        upstream_id: String,
        /// Whose it is.
        holder: Holder,
    },
}

impl Fact {
    /// Which row it is.
    pub fn key(&self) -> FactKey {
        match self {
            Self::Tenant(tenant) => FactKey::Tenant(tenant.clone()),
            Self::User(user) => FactKey::User { tenant: user.tenant.clone(), id: user.id.clone() },
            Self::Project(project) => {
                FactKey::Project { tenant: project.tenant.clone(), id: project.id.clone() }
            }
            Self::Collaborator(row) => FactKey::Collaborator {
                tenant: row.tenant.clone(),
                project_id: row.project_id.clone(),
                user_id: row.user_id.clone(),
            },
            Self::Token(token) => FactKey::Token(token.sha256),
            Self::Upstream(upstream) => {
                FactKey::Upstream { tenant: upstream.tenant.clone(), id: upstream.id.clone() }
            }
            Self::Grant(grant) => FactKey::Grant {
                tenant: grant.tenant.clone(),
                token_id: grant.token_id.clone(),
                upstream_id: grant.upstream_id.clone(),
            },
            Self::Credential(credential) => FactKey::Credential {
                tenant: credential.tenant.clone(),
                upstream_id: credential.upstream_id.clone(),
                holder: credential.holder.clone(),
            },
        }
    }
}

/// What a row is now, whatever it was: applying a change again, or to data that has it already, does
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The row is there, and is this.
    Put(Fact),
    /// The row is not there.
    Removed(FactKey),
}

/// A collaborator's role on a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProjectRole {
    /// Reads.
    Viewer,
    /// Reads and writes.
    Developer,
    /// Also the reserved sections.
    Administrator,
    /// Also deletes the project.
    Owner,
}

/// Which credential the gateway must present to an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialMode {
    /// None.
    #[default]
    None,
    /// One for all.
    Shared,
    /// One for each user.
    PerUser,
    /// One for each token.
    PerToken,
}

/// Whether an upstream credential may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialState {
    /// It may, until it expires.
    Active,
    /// Its token lost the grant. It is active again when the grant returns.
    Orphaned,
    /// Its issuer renews it no more: its holder must consent again.
    NeedsReauth,
    /// The upstream wants other headers than it has: its holder must give them.
    NeedsUpdate,
}

macro_rules! names {
    ($type:ty: $($variant:ident = $name:literal),+) => {
        impl $type {
            /// Every value, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name used on the wire, in the store and in Rego.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The value with that name, if there is one.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
names!(ProjectRole: Viewer = "viewer", Developer = "developer", Administrator = "administrator", Owner = "owner");
names!(CredentialState: Active = "active", Orphaned = "orphaned", NeedsReauth = "needs_reauth", NeedsUpdate = "needs_update");
names!(CredentialMode: None = "none", Shared = "shared", PerUser = "per_user", PerToken = "per_token");

/// A user of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Unique within the tenant.
    pub id: String,
    /// Its role in the organisation.
    pub role: UserRole,
    /// A disabled user's tokens decide nothing.
    pub disabled: bool,
}

/// A project of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Unique within the tenant.
    pub id: String,
    /// For people.
    pub name: String,
    /// Anyone may read it.
    pub public: bool,
}

/// A user's role on a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collaborator {
    /// The tenant of both.
    pub tenant: TenantId,
    /// The project.
    pub project_id: String,
    /// The user.
    pub user_id: String,
    /// The role.
    pub role: ProjectRole,
}

/// A token, without the secret that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Unique everywhere.
    pub id: String,
    /// `None` is a gateway of all tenants; every other token has a tenant.
    pub tenant: Option<TenantId>,
    /// What it is for.
    pub kind: TokenKind,
    /// What it is found by.
    pub sha256: TokenHash,
    /// Whose it is.
    pub user_id: Option<String>,
    /// The one project of a project token.
    pub project_id: Option<String>,
    /// May read (project tokens).
    pub scope_pull: bool,
    /// May write.
    pub scope_push: bool,
    /// May trigger (MCP tokens).
    pub allow_trigger: bool,
    /// `None` is not limited to a list. Else project id → expiry in unix seconds, or `None` for no
    /// expiry. An expiry that could not be read is given as 0: long past.
    pub projects: Option<BTreeMap<String, Option<i64>>>,
    /// `None` is not limited to a list of tools. Else the tools that it may call; a list that could not be read
    /// is given as empty.
    pub tools: Option<Vec<String>>,
    /// Unix seconds; at that second it has expired.
    pub expires_at: Option<i64>,
    /// Revoked tokens stay in the data, so that an answer can say so.
    pub revoked: bool,
}

/// A server behind the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Unique within the tenant.
    pub id: String,
    /// Every token of the tenant may reach it.
    pub allow_all: bool,
    /// Which credential goes on.
    pub credential: CredentialMode,
    /// The header that carries it.
    pub header: String,
    /// What stands in that header, with `{token}` for the credential.
    pub format: String,
    /// The headers whose values a credential gives as they are, in place of `header` and `format`. In lower case.
    pub value_headers: Option<Vec<String>>,
    /// The caller's headers that may pass; `None` for all but credentials. In lower case.
    pub pass_headers: Option<Vec<String>>,
}

/// What goes on to an upstream for somebody, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamCredential {
    /// The tenant of all three.
    pub tenant: TenantId,
    /// The upstream.
    pub upstream_id: String,
    /// Whose it is.
    pub holder: Holder,
    /// Whether it may be used.
    pub state: CredentialState,
    /// Unix seconds; at that second it has expired. `None` is never.
    pub expires_at: Option<i64>,
    /// The secret, sealed for its place ([`SealedFor::Credential`](crate::types::SealedFor::Credential)).
    pub sealed: Sealed,
}

/// That a token may reach an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The tenant of both.
    pub tenant: TenantId,
    /// The token's id.
    pub token_id: String,
    /// The upstream's id.
    pub upstream_id: String,
}

impl Upstream {
    /// An upstream with the usual header: no credential, and no token that may reach it without a grant.
    pub fn new(tenant: TenantId, id: &str) -> Self {
        Self {
            tenant,
            id: id.to_owned(),
            allow_all: false,
            credential: CredentialMode::None,
            header: "Authorization".to_owned(),
            format: "Bearer {token}".to_owned(),
            value_headers: None,
            pass_headers: None,
        }
    }
}
