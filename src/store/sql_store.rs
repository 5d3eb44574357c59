//! The [`Store`] over either database: each method is a transaction and what runs in it.

use async_trait::async_trait;

use super::{
    ChangeFeed, NewToken, Revocation, Store, StoreError, TokenFilter, TokenRow,
    database::{Database, Purpose, Transaction},
    feed::SqlFeed,
    import::{self, CheckedDocument, ImportError, ImportProgress, ImportReport},
    load, revision,
    tokens::{list, mint, revoke},
};
use crate::{
    decision::facts::Fact,
    types::{DataRevision, TenantId, Timestamp},
};

/// A store in a SQL database.
pub(super) struct SqlStore<D> {
    database: D,
}

impl<D> SqlStore<D> {
    /// Over an open database.
    pub(super) const fn new(database: D) -> Self {
        Self { database }
    }
}

impl<D: Database> SqlStore<D> {
    /// Begins a transaction that writes. It ends with `revision::end`.
    async fn begin_revision(&self) -> Result<Box<dyn Transaction>, StoreError> {
        let mut transaction = self.database.begin(Purpose::Write).await?;
        revision::begin(&mut *transaction, self.database.dialect()).await?;
        Ok(transaction)
    }
}

#[async_trait]
impl<D: Database> Store for SqlStore<D> {
    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.database.migrate().await
    }

    async fn load(&self, sink: &mut (dyn FnMut(Fact) + Send)) -> Result<DataRevision, StoreError> {
        let mut transaction = self.database.begin(Purpose::Read).await?;
        let dialect = self.database.dialect();
        let revision = revision::current(&mut *transaction, dialect).await?;
        load::all(&mut *transaction, dialect, sink).await?;
        transaction.commit().await?;
        Ok(revision)
    }

    fn feed(&self, channels: &[String]) -> Box<dyn ChangeFeed> {
        Box::new(SqlFeed::new(self.database.feed(channels)))
    }

    async fn import(
        &self,
        document: &CheckedDocument,
        progress: &mut (dyn FnMut(ImportProgress) + Send),
    ) -> Result<ImportReport, ImportError> {
        let dialect = self.database.dialect();
        let mut transaction = self.begin_revision().await?;
        let report = import::write::all(&mut *transaction, dialect, document, progress).await?;
        transaction.commit().await?;
        Ok(report)
    }

    async fn mint_token(&self, token: &NewToken) -> Result<DataRevision, StoreError> {
        let mut transaction = self.begin_revision().await?;
        let revision = mint::mint(&mut *transaction, self.database.dialect(), token).await?;
        transaction.commit().await?;
        Ok(revision)
    }

    async fn list_tokens(&self, filter: &TokenFilter) -> Result<Vec<TokenRow>, StoreError> {
        let mut transaction = self.database.begin(Purpose::Read).await?;
        let tokens = list::list(&mut *transaction, self.database.dialect(), filter).await?;
        transaction.commit().await?;
        Ok(tokens)
    }

    async fn revoke_token(
        &self,
        id: &str,
        tenant: Option<&TenantId>,
        now: Timestamp,
    ) -> Result<Revocation, StoreError> {
        let mut transaction = self.begin_revision().await?;
        let revocation = revoke::revoke(&mut *transaction, self.database.dialect(), id, tenant, now).await?;
        transaction.commit().await?;
        Ok(revocation)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.database.ping().await
    }

    async fn close(&self) {
        self.database.close().await;
    }
}
