//! Writes whose effect the next decision of this process sees.

use std::sync::Arc;

use async_trait::async_trait;

use super::Reach;
use crate::{
    decision::facts::Fact,
    store::{
        ChangeFeed, NewToken, Revocation, Store, StoreError, TokenFilter, TokenRow,
        import::{CheckedDocument, ImportError, ImportProgress, ImportReport},
    },
    types::{DataRevision, TenantId, Timestamp},
};

/// A store whose writes return when this process decides from them (or denies everything, because it
/// cannot read the changes, see [`Reach::catch_up`]).
pub struct LiveStore {
    store: Arc<dyn Store>,
    reach: Reach,
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

    async fn mint_token(&self, token: &NewToken) -> Result<DataRevision, StoreError> {
        let revision = self.store.mint_token(token).await?;
        self.reach.catch_up(revision).await;
        Ok(revision)
    }

    async fn list_tokens(&self, filter: &TokenFilter) -> Result<Vec<TokenRow>, StoreError> {
        self.store.list_tokens(filter).await
    }

    async fn revoke_token(
        &self,
        id: &str,
        tenant: Option<&TenantId>,
        now: Timestamp,
    ) -> Result<Revocation, StoreError> {
        let revocation = self.store.revoke_token(id, tenant, now).await?;
        self.reach.catch_up(revocation.revision).await;
        Ok(revocation)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
