//! All decision data in memory, ready to be asked.
//!
//! A [`Snapshot`] is immutable and shared by all workers. It holds one document a tenant (what Rego
//! sees as `data`) and one index of tokens by hash. Strings that stand in many rows (a user's id
//! in its row, its tokens, its memberships) are held once.
//!
//! INVARIANT: a tenant's document holds rows of that tenant and of no other. Each fact is filed
//! under its own tenant, and a decision takes one document.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use regorus::{Value, value::Object};

use super::{
    Document,
    facts::{
        Collaborator, CredentialMode, Fact, Grant, Project, ProjectRole, Token, Upstream, User, UserRole,
    },
};
use crate::types::{DataRevision, TenantId, TokenHash, TokenKind};

/// The top-level names below `data` that the database provides. A policy bundle may define none of them.
pub const DATABASE_DOCUMENTS: [&str; 4] = ["projects", "collaborators", "users", "upstreams"];

/// The decision data of one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    revision: DataRevision,
    tenants: HashMap<TenantId, TenantData>,
    tokens: HashMap<TokenHash, TokenRecord>,
}

/// What a decision may see of one tenant.
#[derive(Debug)]
pub struct TenantData {
    /// One value for each of [`DATABASE_DOCUMENTS`], in that order.
    pub(super) documents: [Document; 4],
    grants: HashMap<Arc<str>, HashSet<Arc<str>>>,
    upstreams: HashMap<Arc<str>, UpstreamRecord>,
}

/// A token, packed.
#[derive(Clone, Debug)]
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
}

/// An upstream, packed.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamRecord {
    /// Every token of the tenant may reach it.
    pub allow_all: bool,
    /// Which credential goes on.
    pub credential: CredentialMode,
}

impl Snapshot {
    /// The last change that is in it.
    pub fn revision(&self) -> DataRevision {
        self.revision
    }

    /// The token with this hash, of whatever tenant and in whatever state.
    pub fn token(&self, hash: &TokenHash) -> Option<&TokenRecord> {
        self.tokens.get(hash)
    }

    /// What there is of a tenant.
    pub fn tenant(&self, tenant: &TenantId) -> Option<&TenantData> {
        self.tenants.get(tenant)
    }

    /// All tenants.
    pub fn tenants(&self) -> impl Iterator<Item = (&TenantId, &TenantData)> {
        self.tenants.iter()
    }

    /// The number of tokens.
    pub fn token_count(&self) -> usize {
        self.tokens.len()
    }
}

impl TenantData {
    /// The upstream with this id.
    pub fn upstream(&self, id: &str) -> Option<UpstreamRecord> {
        self.upstreams.get(id).copied()
    }

    /// Whether a token may reach an upstream: its explicit grants, and the upstreams that all may
    /// reach. The one predicate for decisions and for the reconciliation of credentials.
    pub fn granted(&self, token_id: &str, upstream_id: &str) -> bool {
        self.upstreams.get(upstream_id).is_some_and(|upstream| {
            upstream.allow_all
                || self.grants.get(token_id).is_some_and(|granted| granted.contains(upstream_id))
        })
    }

    /// The user's row, as Rego sees it below `data.users`.
    pub(super) fn user(&self, id: &Arc<str>) -> Option<&Document> {
        match &self.documents[2] {
            Value::Object(users) => users.get(&Value::String(Arc::clone(id))),
            _ => None,
        }
    }
}

/// Packs facts, in the order in which the store gives them, into a [`Snapshot`].
#[derive(Debug)]
pub struct SnapshotBuilder {
    texts: HashSet<Arc<str>>,
    words: Words,
    tenants: HashMap<TenantId, TenantBuilder>,
    tokens: HashMap<TokenHash, TokenRecord>,
}

#[derive(Debug, Default)]
struct TenantBuilder {
    projects: BTreeMap<Value, Value>,
    collaborators: BTreeMap<Value, BTreeMap<Value, Value>>,
    users: BTreeMap<Value, Value>,
    upstream_documents: BTreeMap<Value, Value>,
    grants: HashMap<Arc<str>, HashSet<Arc<str>>>,
    upstreams: HashMap<Arc<str>, UpstreamRecord>,
}

/// Values that stand in very many rows, made once.
#[derive(Debug)]
struct Words {
    name: Value,
    public: Value,
    allow_all: Value,
    credential: Value,
    users: HashMap<(UserRole, bool), Value>,
    collaborators: HashMap<ProjectRole, Value>,
}

impl Words {
    fn new() -> Self {
        let user = |role: UserRole, disabled: bool| {
            object([("role".into(), role.as_str().into()), ("disabled".into(), Value::Bool(disabled))])
        };
        let roles = [UserRole::User, UserRole::Viewer, UserRole::Admin];
        let project_roles =
            [ProjectRole::Viewer, ProjectRole::Developer, ProjectRole::Administrator, ProjectRole::Owner];
        Self {
            name: "name".into(),
            public: "public".into(),
            allow_all: "allow_all".into(),
            credential: "credential".into(),
            users: roles
                .into_iter()
                .flat_map(|role| [true, false].map(|disabled| ((role, disabled), user(role, disabled))))
                .collect(),
            collaborators: project_roles
                .into_iter()
                .map(|role| (role, object([("role".into(), role.as_str().into())])))
                .collect(),
        }
    }
}

fn object<const N: usize>(entries: [(Value, Value); N]) -> Value {
    Object::from(BTreeMap::from(entries)).into_value()
}

impl Default for SnapshotBuilder {
    fn default() -> Self {
        Self { texts: HashSet::new(), words: Words::new(), tenants: HashMap::new(), tokens: HashMap::new() }
    }
}

impl SnapshotBuilder {
    /// Takes one fact.
    pub fn add(&mut self, fact: Fact) {
        match fact {
            Fact::Tenant(tenant) => {
                self.tenants.entry(tenant).or_default();
            }
            Fact::User(user) => self.add_user(user),
            Fact::Project(project) => self.add_project(project),
            Fact::Collaborator(collaborator) => self.add_collaborator(collaborator),
            Fact::Token(token) => self.add_token(token),
            Fact::Upstream(upstream) => self.add_upstream(upstream),
            Fact::Grant(grant) => self.add_grant(grant),
        }
    }

    fn text(&mut self, text: String) -> Arc<str> {
        if let Some(known) = self.texts.get(text.as_str()) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&shared));
        shared
    }

    fn string(&mut self, text: String) -> Value {
        Value::String(self.text(text))
    }

    fn add_user(&mut self, user: User) {
        let id = self.string(user.id);
        let row = self.words.users.get(&(user.role, user.disabled)).cloned().unwrap_or(Value::Undefined);
        self.tenants.entry(user.tenant).or_default().users.insert(id, row);
    }

    fn add_project(&mut self, project: Project) {
        let id = self.string(project.id);
        let row = object([
            (self.words.name.clone(), project.name.into()),
            (self.words.public.clone(), Value::Bool(project.public)),
        ]);
        self.tenants.entry(project.tenant).or_default().projects.insert(id, row);
    }

    fn add_collaborator(&mut self, collaborator: Collaborator) {
        let project = self.string(collaborator.project_id);
        let user = self.string(collaborator.user_id);
        let row = self.words.collaborators.get(&collaborator.role).cloned().unwrap_or(Value::Undefined);
        let tenant = self.tenants.entry(collaborator.tenant).or_default();
        tenant.collaborators.entry(project).or_default().insert(user, row);
    }

    fn add_token(&mut self, token: Token) {
        let projects = match token.projects {
            None => Value::Null,
            Some(list) => list
                .into_iter()
                .map(|(project, expiry)| (self.string(project), expiry.map_or(Value::Null, Value::from)))
                .collect::<BTreeMap<_, _>>()
                .into(),
        };
        let record = TokenRecord {
            id: token.id.into(),
            tenant: token.tenant,
            kind: token.kind,
            user_id: token.user_id.map(|id| self.text(id)),
            project_id: token.project_id.map(|id| self.text(id)),
            scope_pull: token.scope_pull,
            scope_push: token.scope_push,
            allow_trigger: token.allow_trigger,
            revoked: token.revoked,
            expires_at: token.expires_at,
            projects,
        };
        self.tokens.insert(token.sha256, record);
    }

    fn add_upstream(&mut self, upstream: Upstream) {
        let id = self.text(upstream.id);
        let row = object([
            (self.words.allow_all.clone(), Value::Bool(upstream.allow_all)),
            (self.words.credential.clone(), upstream.credential.as_str().into()),
        ]);
        let tenant = self.tenants.entry(upstream.tenant).or_default();
        tenant.upstream_documents.insert(Value::String(Arc::clone(&id)), row);
        let record = UpstreamRecord { allow_all: upstream.allow_all, credential: upstream.credential };
        tenant.upstreams.insert(id, record);
    }

    fn add_grant(&mut self, grant: Grant) {
        let upstream = self.text(grant.upstream_id);
        let tenant = self.tenants.entry(grant.tenant).or_default();
        tenant.grants.entry(grant.token_id.into()).or_default().insert(upstream);
    }

    /// The snapshot of all facts taken so far.
    pub fn finish(self, revision: DataRevision) -> Snapshot {
        let tenants = self.tenants.into_iter().map(|(id, tenant)| (id, tenant.finish())).collect();
        Snapshot { revision, tenants, tokens: self.tokens }
    }
}

impl TenantBuilder {
    fn finish(self) -> TenantData {
        let collaborators: BTreeMap<Value, Value> =
            self.collaborators.into_iter().map(|(project, users)| (project, users.into())).collect();
        TenantData {
            documents: [
                self.projects.into(),
                collaborators.into(),
                self.users.into(),
                self.upstream_documents.into(),
            ],
            grants: self.grants,
            upstreams: self.upstreams,
        }
    }
}

impl TenantData {
    /// A tenant without any row.
    pub fn empty() -> Self {
        TenantBuilder::default().finish()
    }
}
