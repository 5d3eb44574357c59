//! All decision data in memory, ready to be asked.
//!
//! A [`Snapshot`] is shared by all workers and never changes while one of them can see it. It holds one
//! document a tenant (what Rego sees as `data`) and one index of tokens by hash. Strings that stand
//! in many rows (a user's id in its row, its tokens, its memberships) are held once.
//!
//! A copy of a snapshot shares everything with it until one of the two is changed ([`apply`](Snapshot::apply)),
//! and then all but what was changed. What nobody else shares is changed in place.
//!
//! INVARIANT: a tenant's document holds rows of that tenant and of no other. Each fact is filed
//! under its own tenant, and a decision takes one document.

mod builder;
mod changes;
mod words;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

pub use builder::SnapshotBuilder;
use regorus::{Value, value::Object};

use self::{changes::own_documents, words::Words};
use super::{
    Document,
    connection::credential_key,
    facts::{CredentialMode, CredentialState},
    mount::Mount,
    sharded::{ShardKey, Sharded, spread},
};
use crate::types::{DataRevision, Holder, Sealed, TenantId, TokenHash, TokenKind};

/// The top-level names below `data` that the database provides. A policy bundle may define none of them.
pub const DATABASE_DOCUMENTS: [&str; 4] = ["projects", "collaborators", "users", "upstreams"];

/// Parts of the index of tokens: a change of one token copies at most the four-thousandth part of it.
const TOKEN_PARTS: usize = 4_096;
/// Parts of the map of tenants.
const TENANT_PARTS: usize = 256;
/// Entries in a part of a tenant's index of users.
const USERS_IN_A_PART: usize = 256;
/// Entries in a part of a tenant's index of credentials.
const CREDENTIALS_IN_A_PART: usize = 256;
/// And its parts at least, where there are any: others come later, one by one.
const CREDENTIAL_PARTS: usize = 16;
/// A document of more entries is not copied while a change waits for it, see [`Snapshot::detach`].
const LARGE: usize = 4_096;

const PROJECTS: usize = 0;
const COLLABORATORS: usize = 1;
const USERS: usize = 2;
const UPSTREAMS: usize = 3;

impl ShardKey for TokenHash {
    fn spread(&self) -> usize {
        // Already a hash. Whoever imports tokens could choose these bytes, and would make one part
        // dearer to change, no more.
        usize::from(u16::from_le_bytes([self.0[0], self.0[1]]))
    }
}

impl ShardKey for Arc<str> {
    fn spread(&self) -> usize {
        spread(self)
    }
}

impl ShardKey for String {
    fn spread(&self) -> usize {
        spread(self)
    }
}

impl ShardKey for TenantId {
    fn spread(&self) -> usize {
        spread(self)
    }
}

/// The decision data of one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    revision: DataRevision,
    tenants: Sharded<TenantId, Arc<TenantData>>,
    tokens: Sharded<TokenHash, Arc<TokenRecord>>,
    /// What a tenant without rows sees.
    nobody: Arc<TenantData>,
    mounts: Arc<[Mount]>,
    /// The organisation's own documents, in the order of `mounts`.
    mounted: Vec<Arc<MountedDocuments>>,
    /// The data files of the policy bundle, which every tenant sees.
    files: Document,
    words: Arc<Words>,
}

/// One document of the organisation's own for each tenant that has rows in it.
pub type MountedDocuments = HashMap<TenantId, Document>;

/// What a decision may see of one tenant.
#[derive(Clone, Debug)]
pub struct TenantData {
    /// One value for each of [`DATABASE_DOCUMENTS`], in that order.
    documents: [Document; 4],
    /// All that Rego sees as `data`: the documents, the organisation's own, and the bundle's files.
    joined: Document,
    /// The rows of the users' document once more, by hash: each decision looks one up, and to find one among a
    /// million by comparing texts is most of what such a decision would cost.
    users: Sharded<Arc<str>, Document>,
    grants: Arc<HashMap<Arc<str>, HashSet<Arc<str>>>>,
    upstreams: Arc<HashMap<Arc<str>, Arc<UpstreamRecord>>>,
    /// By [`credential_key`]. Rules do not see them.
    credentials: Sharded<String, Arc<CredentialRecord>>,
}

/// A token, packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Unique everywhere.
    pub id: Arc<str>,
    /// `None` only for a gateway of all tenants.
    pub tenant: Option<TenantId>,
    /// What it is for.
    pub kind: TokenKind,
    /// Whose it is.
    pub user_id: Option<Arc<str>>,
    /// The one project of a project token.
    pub project_id: Option<Arc<str>>,
    /// May read.
    pub scope_pull: bool,
    /// May write.
    pub scope_push: bool,
    /// May trigger.
    pub allow_trigger: bool,
    /// Revoked.
    pub revoked: bool,
    /// Unix seconds.
    pub expires_at: Option<i64>,
    /// The project list as Rego sees it: null, or an object.
    pub(super) projects: Document,
    /// The tools that it may call as Rego sees them: null for all, or an array in their order, each once.
    pub(super) tools: Document,
}

/// An upstream, packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRecord {
    /// Every token of the tenant may reach it.
    pub allow_all: bool,
    /// Which credential goes on.
    pub credential: CredentialMode,
    /// The header that carries it, in lower case.
    pub(super) header: String,
    /// What stands in that header before and behind the credential.
    pub(super) format: (String, String),
    /// The headers whose values a credential gives as they are, in place of `header` and `format`.
    pub(super) value_headers: Option<Vec<String>>,
    /// The caller's headers that may pass, sorted; `None` for all but credentials.
    pub(super) pass_headers: Option<Vec<String>>,
}

/// What goes on to an upstream for somebody, packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRecord {
    /// Whether it may be used.
    pub state: CredentialState,
    /// Unix seconds.
    pub expires_at: Option<i64>,
    /// The secret, sealed.
    pub sealed: Sealed,
}

impl Snapshot {
    /// The last change that is in it.
    pub fn revision(&self) -> DataRevision {
        self.revision
    }

    /// The token with this hash, of whatever tenant and in whatever state.
    pub fn token(&self, hash: &TokenHash) -> Option<&TokenRecord> {
        self.tokens.get(hash).map(AsRef::as_ref)
    }

    /// All tokens, of every tenant and in whatever state, each with the hash that it is found by.
    pub fn tokens(&self) -> impl Iterator<Item = (&TokenHash, &TokenRecord)> {
        self.tokens.iter().map(|(hash, token)| (hash, token.as_ref()))
    }

    /// What a decision about this tenant may see. A tenant that is not there has no rows.
    pub fn tenant(&self, tenant: &TenantId) -> &TenantData {
        self.tenants.get(tenant).unwrap_or(&self.nobody)
    }

    /// All tenants.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.tenants.iter().map(|(id, _)| id)
    }

    /// The number of tokens.
    pub fn token_count(&self) -> usize {
        self.tokens.len()
    }

    /// Puts the bundle's data files into what every tenant sees. The cost grows with the number of
    /// tenants, not of rows.
    pub(super) fn set_files(&mut self, files: &Document) {
        self.files = files.clone();
        let (mounts, mounted) = (Arc::clone(&self.mounts), self.mounted.clone());
        let ids: Vec<TenantId> = self.tenants().cloned().collect();
        for id in ids {
            if let Some(tenant) = self.tenants.get_mut(&id) {
                Arc::make_mut(tenant).join(&self.files, own_documents(&id, &mounts, &mounted));
            }
        }
        let nothing = mounts.iter().map(|mount| (mount, mount.nothing()));
        Arc::make_mut(&mut self.nobody).join(&self.files, nothing);
    }
}

impl TenantData {
    /// The upstream with this id.
    pub fn upstream(&self, id: &str) -> Option<&UpstreamRecord> {
        self.upstreams.get(id).map(AsRef::as_ref)
    }

    /// What goes on to the upstream for this holder, in whatever state.
    pub fn credential_of(&self, upstream: &str, holder: &Holder) -> Option<&CredentialRecord> {
        self.credential(&credential_key(upstream, holder))
    }

    /// The same by its [`credential_key`].
    pub(super) fn credential(&self, key: &String) -> Option<&CredentialRecord> {
        self.credentials.get(key).map(AsRef::as_ref)
    }

    /// Whether a token may reach an upstream: its explicit grants, and the upstreams that all may
    /// reach. The one predicate for decisions and for the reconciliation of credentials.
    pub fn granted(&self, token_id: &str, upstream_id: &str) -> bool {
        self.upstreams.get(upstream_id).is_some_and(|upstream| {
            upstream.allow_all
                || self.grants.get(token_id).is_some_and(|granted| granted.contains(upstream_id))
        })
    }

    /// What Rego sees as `data` in a decision about this tenant.
    pub fn document(&self) -> &Document {
        &self.joined
    }

    /// The user's row, as Rego sees it below `data.users`.
    pub(super) fn user(&self, id: &Arc<str>) -> Option<&Document> {
        self.users.get(id)
    }
}

impl TenantData {
    /// Whether it has no row.
    fn is_empty(&self) -> bool {
        let no_rows = |document: &Document| document.as_object().is_ok_and(Object::is_empty);
        self.documents.iter().all(no_rows)
            && self.grants.is_empty()
            && self.upstreams.is_empty()
            && self.credentials.len() == 0
    }

    /// Makes what Rego sees as `data`.
    fn join<'a>(&mut self, files: &Document, own: impl Iterator<Item = (&'a Mount, Document)>) {
        let mut joined = match files {
            Value::Object(files) => Object::clone(files),
            // `Bundle::compile` refuses data that is not an object.
            _ => Object::new(),
        };
        for (name, document) in DATABASE_DOCUMENTS.into_iter().zip(&self.documents) {
            joined.insert(name.into(), document.clone());
        }
        for (mount, document) in own {
            mount.place(&mut joined, document);
        }
        self.joined = joined.into_value();
    }
}
