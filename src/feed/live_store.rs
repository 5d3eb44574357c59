//! Writes whose effect the next decision of this process sees.

use std::sync::Arc;

use async_trait::async_trait;

use super::Reach;
use crate::{
    decision::facts::{Collaborator, Fact, Project, User},
    store::{
        AsOf, ChangeFeed, CollaboratorFilter, NewToken, ProjectChange, ProjectFilter, Revocation, Store,
        StoreError, TokenChange, TokenFilter, TokenRow, TokenUse, UserChange, UserFilter, Written,
        import::{CheckedDocument, ImportError, ImportProgress, ImportReport},
    },
    types::{DataRevision, TenantId, Timestamp},
};

/// A store whose writes return when this process decides from them (or denies everything, because it
/// cannot read the changes, see [`Reach::catch_up`]).
pub struct LiveStore {
    pub(super) store: Arc<dyn Store>,
    pub(super) reach: Reach,
}

impl LiveStore {
    /// Over the store that the feed follows.
    pub fn new(store: Arc<dyn Store>, reach: Reach) -> Self {
        Self { store, reach }
    }
}

#[async_trait]
impl Store for LiveStore {
    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.store.migrate().await
    }

    async fn load(&self, sink: &mut (dyn FnMut(Fact) + Send)) -> Result<DataRevision, StoreError> {
        self.store.load(sink).await
    }

    fn feed(&self, channels: &[String]) -> Box<dyn ChangeFeed> {
        self.store.feed(channels)
    }

    async fn import(
        &self,
        document: &CheckedDocument,
        progress: &mut (dyn FnMut(ImportProgress) + Send),
    ) -> Result<ImportReport, ImportError> {
        let report = self.store.import(document, progress).await?;
        self.reach.catch_up(report.revision).await;
        Ok(report)
    }

    async fn put_user(
        &self,
        tenant: &TenantId,
        id: &str,
        change: &UserChange,
    ) -> Result<Written, StoreError> {
        let written = self.store.put_user(tenant, id, change).await?;
        self.reach.catch_up(written.revision).await;
        Ok(written)
    }

    async fn user(&self, tenant: &TenantId, id: &str) -> Result<AsOf<User>, StoreError> {
        self.store.user(tenant, id).await
    }

    async fn list_users(&self, filter: &UserFilter) -> Result<AsOf<Vec<User>>, StoreError> {
        self.store.list_users(filter).await
    }

    async fn remove_user(&self, tenant: &TenantId, id: &str) -> Result<DataRevision, StoreError> {
        let revision = self.store.remove_user(tenant, id).await?;
        self.reach.catch_up(revision).await;
        Ok(revision)
    }

    async fn put_project(
        &self,
        tenant: &TenantId,
        id: &str,
        change: &ProjectChange,
    ) -> Result<Written, StoreError> {
        let written = self.store.put_project(tenant, id, change).await?;
        self.reach.catch_up(written.revision).await;
        Ok(written)
    }

    async fn project(&self, tenant: &TenantId, id: &str) -> Result<AsOf<Project>, StoreError> {
        self.store.project(tenant, id).await
    }

    async fn list_projects(&self, filter: &ProjectFilter) -> Result<AsOf<Vec<Project>>, StoreError> {
        self.store.list_projects(filter).await
    }

    async fn remove_project(&self, tenant: &TenantId, id: &str) -> Result<DataRevision, StoreError> {
        let revision = self.store.remove_project(tenant, id).await?;
        self.reach.catch_up(revision).await;
        Ok(revision)
    }

    async fn put_collaborator(&self, row: &Collaborator) -> Result<Written, StoreError> {
        let written = self.store.put_collaborator(row).await?;
        self.reach.catch_up(written.revision).await;
        Ok(written)
    }

    async fn collaborator(
        &self,
        tenant: &TenantId,
        project_id: &str,
        user_id: &str,
    ) -> Result<AsOf<Collaborator>, StoreError> {
        self.store.collaborator(tenant, project_id, user_id).await
    }

    async fn list_collaborators(
        &self,
        filter: &CollaboratorFilter,
    ) -> Result<AsOf<Vec<Collaborator>>, StoreError> {
        self.store.list_collaborators(filter).await
    }

    async fn remove_collaborator(
        &self,
        tenant: &TenantId,
        project_id: &str,
        user_id: &str,
    ) -> Result<DataRevision, StoreError> {
        let revision = self.store.remove_collaborator(tenant, project_id, user_id).await?;
        self.reach.catch_up(revision).await;
        Ok(revision)
    }

    async fn mint_token(&self, token: &NewToken, most_live: u32) -> Result<DataRevision, StoreError> {
        let revision = self.store.mint_token(token, most_live).await?;
        self.reach.catch_up(revision).await;
        Ok(revision)
    }

    async fn token(&self, id: &str, tenant: Option<&TenantId>) -> Result<AsOf<TokenRow>, StoreError> {
        self.store.token(id, tenant).await
    }

    async fn list_tokens(&self, filter: &TokenFilter) -> Result<AsOf<Vec<TokenRow>>, StoreError> {
        self.store.list_tokens(filter).await
    }

    async fn change_token(
        &self,
        id: &str,
        tenant: Option<&TenantId>,
        change: &TokenChange,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        let written = self.store.change_token(id, tenant, change, now).await?;
        self.reach.catch_up(written.revision).await;
        Ok(written)
    }

    async fn set_trigger(
        &self,
        id: &str,
        tenant: Option<&TenantId>,
        allowed: bool,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        let written = self.store.set_trigger(id, tenant, allowed, now).await?;
        self.reach.catch_up(written.revision).await;
        Ok(written)
    }

    async fn revoke_token(
        &self,
        id: &str,
        tenant: Option<&TenantId>,
        now: Timestamp,
    ) -> Result<Revocation, StoreError> {
        let written = self.store.revoke_token(id, tenant, now).await?;
        self.reach.catch_up(written.revision).await;
        Ok(written)
    }

    async fn remove_unshown_token(&self, id: &str) -> Result<bool, StoreError> {
        self.store.remove_unshown_token(id).await
    }

    async fn note_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError> {
        // Decisions see nothing of it.
        self.store.note_uses(uses).await
    }

    async fn revision(&self) -> Result<DataRevision, StoreError> {
        self.store.revision().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
