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

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use regorus::{Value, value::Object};

use super::{
    Document,
    facts::{
        Change, Collaborator, CredentialMode, Fact, FactKey, Grant, Project, ProjectRole, Token, Upstream,
        User, UserRole,
    },
    mount::Mount,
    sharded::{ShardKey, Sharded, spread},
};
use crate::types::{DataRevision, TenantId, TokenHash, TokenKind};

/// The top-level names below `data` that the database provides. A policy bundle may define none of them.
pub const DATABASE_DOCUMENTS: [&str; 4] = ["projects", "collaborators", "users", "upstreams"];

/// Parts of the index of tokens: a change of one token copies at most the four-thousandth part of it.
const TOKEN_PARTS: usize = 4_096;
/// Parts of the map of tenants.
const TENANT_PARTS: usize = 256;
/// Entries in a part of a tenant's index of users.
const USERS_IN_A_PART: usize = 256;
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
    upstreams: Arc<HashMap<Arc<str>, UpstreamRecord>>,
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
        self.tokens.get(hash).map(AsRef::as_ref)
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

    /// Brings the data to `revision`. The cost is that of what changes, as long as no one else looks
    /// at the same parts; else those parts are copied first.
    pub fn apply(&mut self, changes: &[Change], revision: DataRevision) {
        self.revision = revision;
        let mut touched = BTreeSet::new();
        for change in changes {
            match change {
                Change::Put(fact) => self.put(fact, &mut touched),
                Change::Removed(key) => self.remove(key, &mut touched),
            }
        }
        for id in touched {
            self.rejoin(&id);
        }
    }

    /// Stops sharing large documents with the snapshot that this is a copy of, so that no change has to wait
    /// until they are copied.
    pub fn detach(&mut self) {
        let large = |tenant: &TenantData| {
            let is_large = |document: &Document| document.as_object().is_ok_and(|rows| rows.len() > LARGE);
            tenant.documents.iter().any(is_large) || tenant.grants.len() > LARGE
        };
        let ids: Vec<TenantId> =
            self.tenants.iter().filter(|(_, tenant)| large(tenant)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            let tenant = self.tenant_mut(&id);
            for document in &mut tenant.documents {
                let _ = document.as_object_mut();
            }
            Arc::make_mut(&mut tenant.grants);
            self.rejoin(&id);
        }
    }

    /// Replaces one of the organisation's own documents, for all tenants.
    ///
    /// Takes the place of its [`Mount`] in the list that the snapshot was begun with; a place beyond
    /// it is passed over.
    pub fn mount(&mut self, place: usize, documents: Arc<MountedDocuments>) {
        let Some(mounted) = self.mounted.get_mut(place) else { return };
        let before = std::mem::replace(mounted, Arc::clone(&documents));
        let touched: BTreeSet<&TenantId> = before.keys().chain(documents.keys()).collect();
        for id in touched {
            self.tenant_mut(id);
            self.rejoin(id);
        }
    }

    /// Where the organisation's own documents stand.
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// Takes over the organisation's own documents of another snapshot, which was begun with the same
    /// mounts.
    pub fn keep_mounted(&mut self, other: &Self) {
        for (place, documents) in other.mounted.iter().enumerate() {
            self.mount(place, Arc::clone(documents));
        }
    }

    /// The tenant, to change its documents: they are taken out of what Rego sees until
    /// [`rejoin`](Self::rejoin), so that they can be changed in place.
    fn tenant_mut(&mut self, id: &TenantId) -> &mut TenantData {
        let nobody = &self.nobody;
        let tenant = Arc::make_mut(self.tenants.get_or_insert_with(id, || Arc::clone(nobody)));
        tenant.joined = Value::Undefined;
        tenant
    }

    /// Puts what Rego sees together again. A tenant without rows is what [`tenant`](Self::tenant) gives for one
    /// that is not there, so it takes no place.
    fn rejoin(&mut self, id: &TenantId) {
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        if tenant.is_empty() && !self.mounted.iter().any(|documents| documents.contains_key(id)) {
            self.tenants.remove(id);
            return;
        }
        Arc::make_mut(tenant).join(&self.files, own_documents(id, &self.mounts, &self.mounted));
    }

    fn put(&mut self, fact: &Fact, touched: &mut BTreeSet<TenantId>) {
        let words = Arc::clone(&self.words);
        match fact {
            // A tenant is its rows.
            Fact::Tenant(_) => {}
            Fact::User(user) => {
                let row = words.user(user.role, user.disabled);
                let tenant = self.touch(&user.tenant, touched);
                let id: Arc<str> = user.id.as_str().into();
                tenant.users.insert(Arc::clone(&id), row.clone());
                insert(&mut tenant.documents[USERS], id, row);
            }
            Fact::Project(project) => {
                let row = words.project(&project.name, project.public);
                insert(
                    &mut self.touch(&project.tenant, touched).documents[PROJECTS],
                    project.id.as_str(),
                    row,
                );
            }
            Fact::Collaborator(collaborator) => {
                let row = words.collaborator(collaborator.role);
                let tenant = self.touch(&collaborator.tenant, touched);
                if let Ok(projects) = tenant.documents[COLLABORATORS].as_object_mut() {
                    let key = collaborator.project_id.as_str().into();
                    let users = projects.get_or_insert_with(key, Value::new_object);
                    insert(users, collaborator.user_id.as_str(), row);
                }
            }
            Fact::Token(token) => {
                let record = TokenRecord::new(token, |id| id.into());
                self.tokens.insert(token.sha256, Arc::new(record));
            }
            Fact::Upstream(upstream) => {
                let tenant = self.touch(&upstream.tenant, touched);
                insert(&mut tenant.documents[UPSTREAMS], upstream.id.as_str(), words.upstream(upstream));
                Arc::make_mut(&mut tenant.upstreams)
                    .insert(upstream.id.as_str().into(), UpstreamRecord::from(upstream));
            }
            Fact::Grant(grant) => {
                Arc::make_mut(&mut self.touch(&grant.tenant, touched).grants)
                    .entry(grant.token_id.as_str().into())
                    .or_default()
                    .insert(grant.upstream_id.as_str().into());
            }
        }
    }

    fn touch(&mut self, id: &TenantId, touched: &mut BTreeSet<TenantId>) -> &mut TenantData {
        touched.insert(id.clone());
        self.tenant_mut(id)
    }

    fn remove(&mut self, key: &FactKey, touched: &mut BTreeSet<TenantId>) {
        if let FactKey::Token(hash) = key {
            self.tokens.remove(hash);
            return;
        }
        let (FactKey::User { tenant: id, .. }
        | FactKey::Project { tenant: id, .. }
        | FactKey::Collaborator { tenant: id, .. }
        | FactKey::Upstream { tenant: id, .. }
        | FactKey::Grant { tenant: id, .. }) = key
        else {
            return;
        };
        // A tenant that is not there has no row to remove.
        if self.tenants.get(id).is_none() {
            return;
        }
        let tenant = self.touch(id, touched);
        match key {
            FactKey::Tenant(_) | FactKey::Token(_) => {}
            FactKey::User { id, .. } => {
                remove(&mut tenant.documents[USERS], id);
                tenant.users.remove(&Arc::from(id.as_str()));
            }
            FactKey::Project { id, .. } => remove(&mut tenant.documents[PROJECTS], id),
            FactKey::Collaborator { project_id, user_id, .. } => {
                let project = Value::from(project_id.as_str());
                if let Ok(projects) = tenant.documents[COLLABORATORS].as_object_mut()
                    && let Some(users) = projects.get_mut(&project)
                {
                    remove(users, user_id);
                    if users.as_object().is_ok_and(Object::is_empty) {
                        projects.remove(&project);
                    }
                }
            }
            FactKey::Upstream { id, .. } => {
                remove(&mut tenant.documents[UPSTREAMS], id);
                Arc::make_mut(&mut tenant.upstreams).remove(id.as_str());
            }
            FactKey::Grant { token_id, upstream_id, .. } => {
                let grants = Arc::make_mut(&mut tenant.grants);
                if let Some(granted) = grants.get_mut(token_id.as_str()) {
                    granted.remove(upstream_id.as_str());
                    if granted.is_empty() {
                        grants.remove(token_id.as_str());
                    }
                }
            }
        }
    }
}

/// The organisation's own documents as one tenant sees them.
fn own_documents<'a>(
    id: &TenantId,
    mounts: &'a [Mount],
    mounted: &[Arc<MountedDocuments>],
) -> impl Iterator<Item = (&'a Mount, Document)> {
    let documents = mounted.iter().map(|documents| documents.get(id).cloned());
    mounts.iter().zip(documents).map(|(mount, document)| (mount, document.unwrap_or_else(|| mount.nothing())))
}

fn insert(object: &mut Document, key: impl Into<Arc<str>>, value: Value) {
    if let Ok(object) = object.as_object_mut() {
        object.insert(Value::String(key.into()), value);
    }
}

fn remove(object: &mut Document, key: &str) {
    if let Ok(object) = object.as_object_mut() {
        object.remove(&key.into());
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

    /// What Rego sees as `data` in a decision about this tenant.
    pub fn document(&self) -> &Document {
        &self.joined
    }

    /// The user's row, as Rego sees it below `data.users`.
    pub(super) fn user(&self, id: &Arc<str>) -> Option<&Document> {
        self.users.get(id)
    }
}

/// Packs facts, in the order in which the store gives them, into a [`Snapshot`].
#[derive(Debug)]
pub struct SnapshotBuilder {
    texts: HashSet<Arc<str>>,
    words: Words,
    tenants: HashMap<TenantId, TenantBuilder>,
    tokens: Sharded<TokenHash, Arc<TokenRecord>>,
    mounts: Arc<[Mount]>,
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

    fn user(&self, role: UserRole, disabled: bool) -> Value {
        self.users.get(&(role, disabled)).cloned().unwrap_or(Value::Undefined)
    }

    fn project(&self, name: &str, public: bool) -> Value {
        object([(self.name.clone(), name.into()), (self.public.clone(), Value::Bool(public))])
    }

    fn collaborator(&self, role: ProjectRole) -> Value {
        self.collaborators.get(&role).cloned().unwrap_or(Value::Undefined)
    }

    fn upstream(&self, upstream: &Upstream) -> Value {
        object([
            (self.allow_all.clone(), Value::Bool(upstream.allow_all)),
            (self.credential.clone(), upstream.credential.as_str().into()),
        ])
    }
}

impl From<&Upstream> for UpstreamRecord {
    fn from(upstream: &Upstream) -> Self {
        Self { allow_all: upstream.allow_all, credential: upstream.credential }
    }
}

impl TokenRecord {
    /// Packs a token; `text` gives the shared text of an id.
    fn new(token: &Token, mut text: impl FnMut(&str) -> Arc<str>) -> Self {
        let projects = match &token.projects {
            None => Value::Null,
            Some(list) => list
                .iter()
                .map(|(project, expiry)| {
                    (Value::String(text(project)), expiry.map_or(Value::Null, Value::from))
                })
                .collect::<BTreeMap<_, _>>()
                .into(),
        };
        Self {
            id: token.id.as_str().into(),
            tenant: token.tenant.clone(),
            kind: token.kind,
            user_id: token.user_id.as_deref().map(&mut text),
            project_id: token.project_id.as_deref().map(&mut text),
            scope_pull: token.scope_pull,
            scope_push: token.scope_push,
            allow_trigger: token.allow_trigger,
            revoked: token.revoked,
            expires_at: token.expires_at,
            projects,
        }
    }
}

fn object<const N: usize>(entries: [(Value, Value); N]) -> Value {
    Object::from(BTreeMap::from(entries)).into_value()
}

impl Default for SnapshotBuilder {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl SnapshotBuilder {
    /// Begins with nothing. `mounts` says where the organisation's own documents will stand; until
    /// [`Snapshot::mount`] puts them there they are empty.
    pub fn new(mounts: Arc<[Mount]>) -> Self {
        Self {
            texts: HashSet::new(),
            words: Words::new(),
            tenants: HashMap::new(),
            tokens: Sharded::new(TOKEN_PARTS),
            mounts,
        }
    }

    /// Takes one fact.
    pub fn add(&mut self, fact: Fact) {
        match fact {
            Fact::Tenant(_) => {}
            Fact::User(user) => self.add_user(user),
            Fact::Project(project) => self.add_project(project),
            Fact::Collaborator(collaborator) => self.add_collaborator(collaborator),
            Fact::Token(token) => self.add_token(&token),
            Fact::Upstream(upstream) => self.add_upstream(upstream),
            Fact::Grant(grant) => self.add_grant(grant),
        }
    }

    fn add_user(&mut self, user: User) {
        let id = Value::String(shared(&mut self.texts, &user.id));
        let row = self.words.user(user.role, user.disabled);
        self.tenants.entry(user.tenant).or_default().users.insert(id, row);
    }

    fn add_project(&mut self, project: Project) {
        let id = Value::String(shared(&mut self.texts, &project.id));
        let row = self.words.project(&project.name, project.public);
        self.tenants.entry(project.tenant).or_default().projects.insert(id, row);
    }

    fn add_collaborator(&mut self, collaborator: Collaborator) {
        let project = Value::String(shared(&mut self.texts, &collaborator.project_id));
        let user = Value::String(shared(&mut self.texts, &collaborator.user_id));
        let row = self.words.collaborator(collaborator.role);
        let tenant = self.tenants.entry(collaborator.tenant).or_default();
        tenant.collaborators.entry(project).or_default().insert(user, row);
    }

    fn add_token(&mut self, token: &Token) {
        let record = TokenRecord::new(token, |id| shared(&mut self.texts, id));
        self.tokens.insert(token.sha256, Arc::new(record));
    }

    fn add_upstream(&mut self, upstream: Upstream) {
        let id = shared(&mut self.texts, &upstream.id);
        let row = self.words.upstream(&upstream);
        let record = UpstreamRecord::from(&upstream);
        let tenant = self.tenants.entry(upstream.tenant).or_default();
        tenant.upstream_documents.insert(Value::String(Arc::clone(&id)), row);
        tenant.upstreams.insert(id, record);
    }

    fn add_grant(&mut self, grant: Grant) {
        let upstream = shared(&mut self.texts, &grant.upstream_id);
        let tenant = self.tenants.entry(grant.tenant).or_default();
        tenant.grants.entry(grant.token_id.into()).or_default().insert(upstream);
    }

    /// The snapshot of all facts taken so far.
    pub fn finish(self, revision: DataRevision) -> Snapshot {
        let mut tenants = Sharded::new(TENANT_PARTS);
        for (id, tenant) in self.tenants {
            tenants.insert(id, Arc::new(tenant.finish()));
        }
        let mut tokens = self.tokens;
        tokens.shrink_to_fit();
        let mounted = self.mounts.iter().map(|_| Arc::default()).collect();
        let mut snapshot = Snapshot {
            revision,
            tenants,
            tokens,
            nobody: Arc::new(TenantBuilder::default().finish()),
            mounts: self.mounts,
            mounted,
            files: Value::new_object(),
            words: Arc::new(self.words),
        };
        snapshot.set_files(&Value::new_object());
        snapshot
    }
}

fn shared(texts: &mut HashSet<Arc<str>>, text: &str) -> Arc<str> {
    if let Some(known) = texts.get(text) {
        return Arc::clone(known);
    }
    let shared: Arc<str> = text.into();
    texts.insert(Arc::clone(&shared));
    shared
}

impl TenantBuilder {
    fn finish(self) -> TenantData {
        let collaborators: BTreeMap<Value, Value> =
            self.collaborators.into_iter().map(|(project, users)| (project, users.into())).collect();
        let mut users = Sharded::new(self.users.len() / USERS_IN_A_PART);
        for (id, row) in &self.users {
            if let Value::String(id) = id {
                users.insert(Arc::clone(id), row.clone());
            }
        }
        users.shrink_to_fit();
        // Packed tighter where rules look things up; as a tree where regate does it by hash, because the
        // first new entry would have to make a tree of all.
        let users_document = match self.users.len() {
            ..=LARGE => self.users.into(),
            _ => Value::Object(Arc::new(Object::from(self.users))),
        };
        TenantData {
            users,
            documents: [
                self.projects.into(),
                collaborators.into(),
                users_document,
                self.upstream_documents.into(),
            ],
            joined: Value::Undefined,
            grants: Arc::new(self.grants),
            upstreams: Arc::new(self.upstreams),
        }
    }
}

impl TenantData {
    /// Whether it has no row.
    fn is_empty(&self) -> bool {
        let no_rows = |document: &Document| document.as_object().is_ok_and(Object::is_empty);
        self.documents.iter().all(no_rows) && self.grants.is_empty() && self.upstreams.is_empty()
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
