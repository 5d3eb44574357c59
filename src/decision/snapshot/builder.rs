//! From all rows to a snapshot.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use regorus::{Value, value::Object};

use super::{
    CREDENTIAL_PARTS, CREDENTIALS_IN_A_PART, LARGE, Mount, Snapshot, TENANT_PARTS, TOKEN_PARTS, TenantData,
    TokenRecord, USERS_IN_A_PART, UpstreamRecord, words::Words,
};
use crate::{
    decision::{
        connection,
        facts::{Collaborator, Fact, Grant, Project, Token, Upstream, UpstreamCredential, User},
        sharded::Sharded,
    },
    types::{DataRevision, TenantId, TokenHash},
};

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
    upstreams: HashMap<Arc<str>, Arc<UpstreamRecord>>,
    credentials: Vec<UpstreamCredential>,
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
            Fact::Credential(credential) => {
                self.tenants.entry(credential.tenant.clone()).or_default().credentials.push(credential);
            }
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
        let record = Arc::new(UpstreamRecord::from(&upstream));
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
        // Most of very many tenants have none, and parts take room.
        let least = if self.credentials.is_empty() { 1 } else { CREDENTIAL_PARTS };
        let mut credentials = Sharded::new((self.credentials.len() / CREDENTIALS_IN_A_PART).max(least));
        for credential in self.credentials {
            let key = connection::credential_key(&credential.upstream_id, &credential.holder);
            credentials.insert(key, Arc::new(credential.into()));
        }
        credentials.shrink_to_fit();
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
            credentials,
        }
    }
}
