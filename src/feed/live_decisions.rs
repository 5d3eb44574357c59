//! What [`LiveStore`] does about the decision log: nothing of its own, since no decision sees it.

use async_trait::async_trait;
use uuid::Uuid;

use super::live_store::LiveStore;
use crate::{
    store::{
        StoreError,
        decisions::{
            Appended, ChainPart, DecisionBatch, DecisionFilter, DecisionRow, DecisionStore, Link, Pruned,
            SpoolPosition,
        },
    },
    types::{TenantId, Timestamp},
};

#[async_trait]
impl DecisionStore for LiveStore {
    async fn append_decisions(
        &self,
        batch: &DecisionBatch<'_>,
        link: &dyn Link,
    ) -> Result<Appended, StoreError> {
        self.store.append_decisions(batch, link).await
    }

    async fn shipped_position(&self, spool: Uuid) -> Result<Option<SpoolPosition>, StoreError> {
        self.store.shipped_position(spool).await
    }

    async fn list_decisions(&self, filter: &DecisionFilter) -> Result<Vec<DecisionRow>, StoreError> {
        self.store.list_decisions(filter).await
    }

    async fn decision(&self, id: Uuid, tenant: Option<&TenantId>) -> Result<DecisionRow, StoreError> {
        self.store.decision(id, tenant).await
    }

    async fn walk_decisions(&self, after: u64, most: u32) -> Result<ChainPart, StoreError> {
        self.store.walk_decisions(after, most).await
    }

    async fn prune_decisions(
        &self,
        older_than: Timestamp,
        most: u32,
        now: Timestamp,
    ) -> Result<Pruned, StoreError> {
        self.store.prune_decisions(older_than, most, now).await
    }
}
