//! The [`DecisionStore`] over either database: each method is a transaction and what runs in it.

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    StoreError,
    database::{Database, Purpose},
    decisions::{
        Appended, ChainPart, DecisionBatch, DecisionFilter, DecisionRow, DecisionStore, Link, Pruned,
        SpoolPosition, append, prune, read,
    },
    sql_store::SqlStore,
};
use crate::types::{TenantId, Timestamp};

/// Does some work in a transaction for this purpose.
macro_rules! within {
    ($store:ident, $purpose:ident, $work:path $(, $argument:expr)*) => {{
        let mut transaction = $store.database.begin(Purpose::$purpose).await?;
        let value = $work(&mut *transaction, $store.database.dialect() $(, $argument)*).await?;
        transaction.commit().await?;
        Ok(value)
    }};
}

#[async_trait]
impl<D: Database> DecisionStore for SqlStore<D> {
    async fn append_decisions(
        &self,
        batch: &DecisionBatch<'_>,
        link: &dyn Link,
    ) -> Result<Appended, StoreError> {
        within!(self, Append, append::append, batch, link)
    }

    async fn shipped_position(&self, spool: Uuid) -> Result<Option<SpoolPosition>, StoreError> {
        within!(self, Read, append::position, spool)
    }

    async fn list_decisions(&self, filter: &DecisionFilter) -> Result<Vec<DecisionRow>, StoreError> {
        within!(self, Read, read::list, filter)
    }

    async fn decision(&self, id: Uuid, tenant: Option<&TenantId>) -> Result<DecisionRow, StoreError> {
        within!(self, Read, read::one, id, tenant)
    }

    async fn walk_decisions(&self, after: u64, most: u32) -> Result<ChainPart, StoreError> {
        within!(self, Read, read::walk, after, most)
    }

    async fn prune_decisions(
        &self,
        older_than: Timestamp,
        most: u32,
        now: Timestamp,
    ) -> Result<Pruned, StoreError> {
        within!(self, Append, prune::prune, older_than, most, now)
    }
}
