//! Bringing a snapshot up to date.

use std::{collections::BTreeSet, sync::Arc};

use regorus::{Value, value::Object};

use super::{
    COLLABORATORS, CredentialRecord, Document, LARGE, Mount, MountedDocuments, PROJECTS, Snapshot,
    TenantData, TokenRecord, UPSTREAMS, USERS, UpstreamRecord,
};
use crate::{
    decision::{
        connection,
        facts::{Change, Fact, FactKey},
    },
    types::{DataRevision, TenantId},
};

impl Snapshot {
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
                    .insert(upstream.id.as_str().into(), Arc::new(UpstreamRecord::from(upstream)));
            }
            Fact::Grant(grant) => {
                Arc::make_mut(&mut self.touch(&grant.tenant, touched).grants)
                    .entry(grant.token_id.as_str().into())
                    .or_default()
                    .insert(grant.upstream_id.as_str().into());
            }
            Fact::Credential(credential) => {
                let key = connection::credential_key(&credential.upstream_id, &credential.holder);
                let record = Arc::new(CredentialRecord::from(credential.clone()));
                self.touch(&credential.tenant, touched).credentials.insert(key, record);
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
        | FactKey::Grant { tenant: id, .. }
        | FactKey::Credential { tenant: id, .. }) = key
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
            FactKey::Credential { upstream_id, holder, .. } => {
                tenant.credentials.remove(&connection::credential_key(upstream_id, holder));
            }
        }
    }
}

/// The organisation's own documents as one tenant sees them.
pub(super) fn own_documents<'a>(
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
