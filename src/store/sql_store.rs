//! The [`Store`] over either database: each method is a transaction and what runs in it.

use async_trait::async_trait;

use super::{
    AsOf, ChangeFeed, CollaboratorFilter, NewToken, ProjectChange, ProjectFilter, Revocation, Store,
    StoreError, TokenChange, TokenFilter, TokenRow, TokenUse, UserChange, UserFilter, Written, collaborators,
    database::{Database, Purpose, Transaction},
    feed::SqlFeed,
    import::{self, CheckedDocument, ImportError, ImportProgress, ImportReport},
    load, projects, revision,
    tokens::{change, mint, read, revoke, trigger, unshown, uses},
    users,
};
use crate::{
    decision::facts::{Collaborator, Fact, Project, User},
    types::{DataRevision, TenantId, Timestamp},
};

/// A store in a SQL database.
pub(super) struct SqlStore<D> {
    pub(super) database: D,
}

impl<D> SqlStore<D> {
    /// Over an open database.
    pub(super) const fn new(database: D) -> Self {
        Self { database }
    }
}

impl<D: Database> SqlStore<D> {
    /// Begins a transaction that writes. It ends with `revision::end`.
    pub(super) async fn begin_revision(&self) -> Result<Box<dyn Transaction>, StoreError> {
        let mut transaction = self.database.begin(Purpose::Write).await?;
        revision::begin(&mut *transaction, self.database.dialect()).await?;
        Ok(transaction)
    }
}

/// How often a write is tried that others come in between.
///
/// Most writes hold what they need in one order (the user before its tokens, all rows before the number of the
/// revision) and cannot meet in a deadlock. Cascades and imports have orders of their own: removing a user and
/// removing a project both take the tokens that belong to both, an import takes its rows in the order of the document.
/// Then the database undoes one of the two, and that one is done again here.
pub(super) const ATTEMPTS: u32 = 4;

/// Does some work in a transaction that is one revision, and again if another write came in between.
macro_rules! in_one_revision {
    ($store:ident, $work:path $(, $argument:expr)*) => {{
        let mut attempt = 1;
        loop {
            let mut transaction = $store.begin_revision().await?;
            let done = match $work(&mut *transaction, $store.database.dialect() $(, $argument)*).await {
                Ok(done) => transaction.commit().await.map(|()| done),
                Err(error) => {
                    drop(transaction);
                    Err(error)
                }
            };
            match done {
                Err(error) if error.may_be_repeated() && attempt < ATTEMPTS => attempt += 1,
                done => break done,
            }
        }
    }};
}

pub(super) use in_one_revision;

/// Reads something, and the revision of the same moment.
macro_rules! as_of {
    ($store:ident, $work:path $(, $argument:expr)*) => {{
        let dialect = $store.database.dialect();
        let mut transaction = $store.database.begin(Purpose::Read).await?;
        let revision = revision::current(&mut *transaction, dialect).await?;
        let value = $work(&mut *transaction, dialect $(, $argument)*).await?;
        transaction.commit().await?;
        Ok(AsOf { revision, value })
    }};
}
pub(super) use as_of;

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

    async fn put_user(
        &self,
        tenant: &TenantId,
        id: &str,
        change: &UserChange,
    ) -> Result<Written, StoreError> {
        in_one_revision!(self, users::put, tenant, id, change)
    }

    async fn user(&self, tenant: &TenantId, id: &str) -> Result<AsOf<User>, StoreError> {
        as_of!(self, users::get, tenant, id)
    }

    async fn list_users(&self, filter: &UserFilter) -> Result<AsOf<Vec<User>>, StoreError> {
        as_of!(self, users::list, filter)
    }

    async fn remove_user(&self, tenant: &TenantId, id: &str) -> Result<DataRevision, StoreError> {
        in_one_revision!(self, users::remove, tenant, id)
    }

    async fn put_project(
        &self,
        tenant: &TenantId,
        id: &str,
        change: &ProjectChange,
    ) -> Result<Written, StoreError> {
        in_one_revision!(self, projects::put, tenant, id, change)
    }

    async fn project(&self, tenant: &TenantId, id: &str) -> Result<AsOf<Project>, StoreError> {
        as_of!(self, projects::get, tenant, id)
    }

    async fn list_projects(&self, filter: &ProjectFilter) -> Result<AsOf<Vec<Project>>, StoreError> {
        as_of!(self, projects::list, filter)
    }

    async fn remove_project(&self, tenant: &TenantId, id: &str) -> Result<DataRevision, StoreError> {
        in_one_revision!(self, projects::remove, tenant, id)
    }

    async fn put_collaborator(&self, row: &Collaborator) -> Result<Written, StoreError> {
        in_one_revision!(self, collaborators::put, row)
    }

    async fn collaborator(
        &self,
        tenant: &TenantId,
        project_id: &str,
        user_id: &str,
    ) -> Result<AsOf<Collaborator>, StoreError> {
        as_of!(self, collaborators::get, tenant, project_id, user_id)
    }

    async fn list_collaborators(
        &self,
        filter: &CollaboratorFilter,
    ) -> Result<AsOf<Vec<Collaborator>>, StoreError> {
        as_of!(self, collaborators::list, filter)
    }

    async fn remove_collaborator(
        &self,
        tenant: &TenantId,
        project_id: &str,
        user_id: &str,
    ) -> Result<DataRevision, StoreError> {
        in_one_revision!(self, collaborators::remove, tenant, project_id, user_id)
    }

    async fn mint_token(&self, token: &NewToken, most_live: u32) -> Result<DataRevision, StoreError> {
        in_one_revision!(self, mint::mint, token, most_live)
    }

    async fn token(&self, id: &str, tenant: Option<&TenantId>) -> Result<AsOf<TokenRow>, StoreError> {
        as_of!(self, read::one, id, tenant)
    }

    async fn list_tokens(&self, filter: &TokenFilter) -> Result<AsOf<Vec<TokenRow>>, StoreError> {
        as_of!(self, read::list, filter)
    }

    async fn change_token(
        &self,
        id: &str,
        tenant: Option<&TenantId>,
        change: &TokenChange,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        in_one_revision!(self, change::change, id, tenant, change, now)
    }

    async fn set_trigger(
        &self,
        id: &str,
        tenant: Option<&TenantId>,
        allowed: bool,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        in_one_revision!(self, trigger::set, id, tenant, allowed, now)
    }

    async fn revoke_token(
        &self,
        id: &str,
        tenant: Option<&TenantId>,
        now: Timestamp,
    ) -> Result<Revocation, StoreError> {
        in_one_revision!(self, revoke::revoke, id, tenant, now)
    }

    async fn remove_unshown_token(&self, id: &str) -> Result<bool, StoreError> {
        in_one_revision!(self, unshown::remove, id)
    }

    async fn note_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError> {
        let dialect = self.database.dialect();
        let mut uses = uses::last_of_each(uses);
        // Ends: each time round, the first of those that were not free is noted.
        loop {
            let mut busy = Vec::new();
            for chunk in uses.chunks(uses::CHUNK) {
                let mut transaction = self.database.begin(Purpose::Write).await?;
                let left = uses::note_what_is_free(&mut *transaction, dialect, chunk).await?;
                transaction.commit().await?;
                busy.extend(left.into_iter().filter_map(|place| chunk.get(place)).cloned());
            }
            let Some((first, others)) = busy.split_first() else { return Ok(()) };
            let mut transaction = self.database.begin(Purpose::Write).await?;
            uses::note_one(&mut *transaction, dialect, first).await?;
            transaction.commit().await?;
            uses = others.to_vec();
        }
    }

    async fn revision(&self) -> Result<DataRevision, StoreError> {
        let mut transaction = self.database.begin(Purpose::Read).await?;
        let revision = revision::current(&mut *transaction, self.database.dialect()).await?;
        transaction.commit().await?;
        Ok(revision)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.database.ping().await
    }

    async fn close(&self) {
        self.database.close().await;
    }
}
