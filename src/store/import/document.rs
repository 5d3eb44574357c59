//! The document as it is written by whoever exports: plain text and flags, no rule but the types.
//! Unknown fields are errors, so that a misspelt `revoked_at` is not silently a live token.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};

use crate::{
    store::upstreams::OauthSettings,
    types::{JsonObject, TokenHash, json_objects},
};

/// A whole document. Every list may be left out, and so may `tenant` everywhere: it then is `default`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "each field is the list of what its type says")]
pub struct ImportDocument {
    #[serde(deserialize_with = "json_objects")]
    pub tenants: Vec<TenantEntry>,
    #[serde(deserialize_with = "json_objects")]
    pub users: Vec<UserEntry>,
    #[serde(deserialize_with = "json_objects")]
    pub projects: Vec<ProjectEntry>,
    #[serde(deserialize_with = "json_objects")]
    pub collaborators: Vec<CollaboratorEntry>,
    #[serde(deserialize_with = "json_objects")]
    pub tokens: Vec<TokenEntry>,
    #[serde(deserialize_with = "json_objects")]
    pub upstreams: Vec<UpstreamEntry>,
    #[serde(deserialize_with = "json_objects")]
    pub grants: Vec<GrantEntry>,
}

/// A tenant that the other rows belong to, unless the store has it already.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantEntry {
    /// See [`TenantId`](crate::types::TenantId).
    pub id: String,
}

/// A user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserEntry {
    /// Its tenant.
    pub tenant: Option<String>,
    /// Unique within the tenant.
    pub id: String,
    /// `user` (when left out), `viewer` or `admin`.
    pub role: Option<String>,
    /// When left out, a user that exists stays as it is, and a new one is not disabled.
    pub disabled: Option<bool>,
}

/// A project.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectEntry {
    /// Its tenant.
    pub tenant: Option<String>,
    /// Unique within the tenant.
    pub id: String,
    /// For people; the id when left out.
    pub name: Option<String>,
    /// Anyone may read it.
    #[serde(default)]
    pub public: bool,
}

/// A user's role on a project.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollaboratorEntry {
    /// The tenant of both.
    pub tenant: Option<String>,
    /// The project.
    pub project_id: String,
    /// The user.
    pub user_id: String,
    /// `viewer`, `developer`, `administrator` or `owner`.
    pub role: String,
}

/// A token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// Its tenant; `null` is a gateway of all tenants.
    #[serde(default)]
    pub tenant: TenantChoice,
    /// Unique everywhere.
    pub id: String,
    /// The name of a [`TokenKind`](crate::types::TokenKind).
    pub kind: String,
    /// For people; 1 to 128 characters.
    pub name: String,
    /// The SHA-256 of the whole token.
    pub sha256: HashText,
    /// The token's first characters, shown in lists. When left out, what is stored stays.
    pub prefix: Option<String>,
    /// Whose it is.
    pub user_id: Option<String>,
    /// The one project of a project token.
    pub project_id: Option<String>,
    /// May read (project tokens).
    #[serde(default)]
    pub scope_pull: bool,
    /// May write.
    #[serde(default)]
    pub scope_push: bool,
    /// May trigger (MCP tokens).
    #[serde(default)]
    pub allow_trigger: bool,
    /// The projects that it is limited to; not limited when left out or `null`.
    pub projects: Option<ProjectList>,
    /// The tools that it is limited to; not limited when left out or `null`.
    pub tools: Option<Vec<String>>,
    /// RFC 3339; never when left out or `null`.
    pub expires_at: Option<String>,
    /// RFC 3339. A token that is revoked in the store stays so, whatever this says.
    pub revoked_at: Option<String>,
    /// RFC 3339; the time of the import when left out. It counts when the token is new.
    pub created_at: Option<String>,
}

/// An upstream.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamEntry {
    /// Its tenant.
    pub tenant: Option<String>,
    /// Unique within the tenant.
    pub id: String,
    /// Where it is, for people and for the gateway.
    pub url: String,
    /// Every token of the tenant may reach it.
    #[serde(default)]
    pub allow_all: bool,
    /// `none` (when left out), `shared`, `per_user` or `per_token`.
    pub credential: Option<String>,
    /// The header that carries the credential; `Authorization` when left out.
    pub header: Option<String>,
    /// What stands in it, with `{token}` for the credential; `Bearer {token}` when left out.
    pub format: Option<String>,
    /// The headers whose values a credential gives as they are, in place of `header` and `format`; none when left out.
    pub value_headers: Option<Vec<String>>,
    /// The caller's headers that may pass; all but credentials when left out.
    pub pass_headers: Option<Vec<String>>,
    /// The client that regate is at the upstream's authorization server; nobody consents when left out.
    #[serde(default, deserialize_with = "optional_object")]
    pub oauth: Option<OauthSettings>,
}

fn optional_object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OauthSettings>, D::Error> {
    let object = Option::<JsonObject<OauthSettings>>::deserialize(deserializer)?;
    Ok(object.map(|JsonObject(settings)| settings))
}

/// That a token may reach an upstream.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantEntry {
    /// The tenant of both.
    pub tenant: Option<String>,
    /// The token.
    pub token_id: String,
    /// The upstream.
    pub upstream_id: String,
}

/// What a token says about its tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TenantChoice {
    /// Nothing: it is `default`.
    #[default]
    LeftOut,
    /// `null`: all tenants, which only a gateway may be of.
    All,
    /// This one.
    Named(String),
}

impl<'de> Deserialize<'de> for TenantChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map_or(Self::All, Self::Named))
    }
}

/// A hash as the document writes it, hidden from `Debug`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct HashText(pub(super) String);

impl From<TokenHash> for HashText {
    fn from(hash: TokenHash) -> Self {
        Self(hash.to_string())
    }
}

impl fmt::Debug for HashText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashText(…)")
    }
}

/// The projects that a token is limited to, in the order of the document: each with its own expiry
/// (RFC 3339), or none. Written as `["p1"]` or `{"p1": "2030-01-01T00:00:00Z", "p2": null}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectList(pub Vec<(String, Option<String>)>);

impl<'de> Deserialize<'de> for ProjectList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ProjectListVisitor)
    }
}

struct ProjectListVisitor;

impl<'de> Visitor<'de> for ProjectListVisitor {
    type Value = ProjectList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, an array of project ids, or an object from project id to its expiry or null")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<ProjectList, A::Error> {
        let mut list = Vec::new();
        while let Some(project) = elements.next_element()? {
            list.push((project, None));
        }
        Ok(ProjectList(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<ProjectList, A::Error> {
        let mut list: Vec<(String, Option<String>)> = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            list.push(entry);
        }
        // JSON readers disagree about a key that comes twice; an expiry must not hang on that.
        let mut keys: Vec<&str> = list.iter().map(|(project, _)| project.as_str()).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(A::Error::custom("a project is listed twice; keep one of them"));
        }
        Ok(ProjectList(list))
    }
}
