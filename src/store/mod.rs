//! Durable state: tenants, users, projects, collaborators, tokens, upstreams, grants, sealed credentials
//! for upstreams, and the number of the last change to them; and the log of decisions. The only room that knows SQL.
//!
//! **For:** everything that outlives the process. [`connect`] gives a [`Store`]; the rest of the
//! house sees that trait and never which database is behind it. A decision does not come here: it
//! reads the snapshot that [`Store::load`] filled.
//!
//! **Must never know:** HTTP, Rego, configuration files, raw tokens. Only a token's hash comes in,
//! and none goes out but into the snapshot: not in lists, not in errors, not in `Debug` output.
//!
//! **How it is built:** queries are written once, for both databases. Each takes no parameter or
//! exactly one, a JSON array of rows, so that one row and five thousand are the same statement.
//! `dialect` holds every difference in the SQL, `sqlite` and `postgres` how a connection is opened
//! and what an error of theirs means. Constraints in `migrations/` refuse bad rows, whoever writes
//! them; the checks here are for a good message.
//!
//! **To add a table:** (1) a new file in both `migrations/sqlite` and `migrations/postgres`, the
//! tenant in every key; (2) its columns in `schema`; (3) if decisions see it, a `Fact` and its query
//! in `load`; if it can be imported, an entry in `import::document`, its rules in `import::check`;
//! (4) tests in `tests/store/contract.rs`, which run on both databases. **To add an operation:** a
//! method of [`Store`], its SQL in a file named after the table, one line in `sql_store`, and one in
//! `feed::LiveStore`, which waits until decisions see it.
//!
//! INVARIANT: rows are held in one order, see `upstreams::holding`: users, tokens, upstreams, what belongs to upstreams.
//!
//! INVARIANT: a write that changes what decisions see moves the data revision in its own transaction,
//! whoever writes; a write that changes nothing of it does not. Triggers see to it, in `migrations/`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;

mod collaborators;
mod conflicts;
mod database;
pub mod decisions;
mod dialect;
mod error;
mod feed;
pub mod import;
mod load;
mod migrations;
mod postgres;
mod projects;
mod revision;
mod row;
mod schema;
mod sql_decisions;
mod sql_store;
mod sql_upstreams;
mod sqlite;
mod time;
mod tokens;
pub mod upstreams;
mod users;

pub use collaborators::CollaboratorFilter;
pub use error::{DatabaseFault, StoreError};
pub use feed::{ChangeFeed, Hint, LostBecause, Since};
pub use projects::{ProjectChange, ProjectFilter};
pub use revision::{AsOf, DataPosition, Written};
pub use time::parse as read_time;
pub use tokens::{
    InvalidField, NewToken, Revocation, TokenChange, TokenFilter, TokenLimits, TokenRow, TokenSpecification,
    TokenState, TokenUse, token_expiry, token_name, token_projects, token_tools,
};
pub use users::{UserChange, UserFilter};

use self::decisions::DecisionStore;
use self::import::{CheckedDocument, ImportError, ImportProgress, ImportReport};
use self::upstreams::UpstreamStore;
use crate::{
    decision::facts::{Collaborator, Fact, Project, User},
    types::{DataRevision, SecretText, TenantId, Timestamp},
};

/// What [`connect`] may be told about the pool of connections.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The most connections to hold. `sqlite::memory:` always has exactly one.
    pub max_connections: u32,
    /// How long an operation waits for a connection, and for SQLite's lock, before it gives up with
    /// [`StoreError::Unavailable`]; and for others' locks in Postgres, before it gives up with
    /// [`StoreError::Locked`].
    pub acquire_timeout: Duration,
    /// Where to listen for changes and migrate, when `url` leads to a pooler that hands each transaction
    /// to another connection (PgBouncer): an address of Postgres itself. Postgres only.
    pub listener_url: Option<SecretText>,
    /// Nothing will be written: a SQLite file is not made when missing, and is left in the mode that it is in.
    pub read_only: bool,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            max_connections: 8,
            acquire_timeout: Duration::from_secs(10),
            listener_url: None,
            read_only: false,
        }
    }
}

/// Opens the store at `url`: `sqlite://FILE` (the file is created when missing, its folder is not),
/// `sqlite::memory:` (gone when the store is dropped), or `postgres://…`.
///
/// One connection is made at once, so that a wrong address is an error here. No table is made or
/// read: that is [`Store::migrate`].
///
/// # Errors
/// [`StoreError::Configuration`] when the URL cannot be used, [`StoreError::Unavailable`] when the
/// database does not answer. Neither repeats the URL, which may hold a password.
pub async fn connect(url: &str, options: ConnectOptions) -> Result<Arc<dyn Store>, StoreError> {
    if url.starts_with("sqlite:") {
        let database = sqlite::SqliteDatabase::connect(url, options).await?;
        Ok(Arc::new(sql_store::SqlStore::new(database)))
    } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        let database = postgres::PostgresDatabase::connect(url, options).await?;
        Ok(Arc::new(sql_store::SqlStore::new(database)))
    } else {
        Err(StoreError::Configuration {
            reason: "it must begin with sqlite:// or postgres://, or be sqlite::memory:".to_owned(),
        })
    }
}

/// The file that a URL of SQLite names, whether it is there or not; `None` for what is kept in memory, and for other
/// databases. Of a URL that cannot be used there is none either: [`connect`] says what is wrong.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    sqlite::file(url)
}

/// The durable state. All methods may be called from any number of tasks at once.
///
/// Every method fails with [`StoreError::Unavailable`] when the database does not answer, and with
/// [`StoreError::NotMigrated`] (but for `migrate`, `ping`, `close`) when its tables are missing. A
/// future that is dropped half-way leaves nothing half-written.
///
/// Every write fails with [`StoreError::Locked`] when another program's transaction holds what it needs for as long
/// as [`ConnectOptions::acquire_timeout`], and with [`StoreError::Conflict`] when other writes came in between
/// again and again. Reads that give [`AsOf`] see their revision and their rows at one moment.
#[async_trait]
pub trait Store: UpstreamStore + DecisionStore {
    /// Brings the tables up to date and gives the names of the migrations applied by this call, in
    /// order: none when there was nothing to do. Any number of processes may call it at once.
    ///
    /// # Errors
    /// [`StoreError::Migration`], also when the database was migrated by a newer regate.
    async fn migrate(&self) -> Result<Vec<String>, StoreError>;

    /// Hands every row of decision data to `sink`, as of one moment, and gives the revision of that
    /// moment. Rows stream: the store holds none of them. The order is tenants, users, projects,
    /// collaborators, tokens, upstreams, grants, credentials; within a table there is none.
    ///
    /// What another program wrote and cannot be read is read as the narrower right: a project list
    /// or a list of tools of a wrong shape is an empty list, an expiry that is no time has passed, a credential
    /// is one that no key opens.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a row breaks a rule that the constraints hold. `sink` has had
    /// some rows by then; throw them away.
    async fn load(&self, sink: &mut (dyn FnMut(Fact) + Send)) -> Result<DataRevision, StoreError>;

    /// A feed of the changes to decision data, whoever makes them, with a connection of its own that is
    /// made when it is first used. `channels` are NOTIFY channels of the organisation's own.
    fn feed(&self, channels: &[String]) -> Box<dyn ChangeFeed>;

    /// Writes a checked document in one transaction, or nothing. Rows that exist are brought to what
    /// the document says; rows that the document does not name stay. A second import of the same
    /// document changes nothing. A revoked token stays revoked, since when it was.
    ///
    /// `progress` is called after each chunk of at most 5,000 rows.
    ///
    /// # Errors
    /// [`ImportError::Invalid`] with the places of all references that lead nowhere, and of tokens
    /// whose id or hash is taken; [`ImportError::Store`] otherwise. Nothing is written in either case.
    async fn import(
        &self,
        document: &CheckedDocument,
        progress: &mut (dyn FnMut(ImportProgress) + Send),
    ) -> Result<ImportReport, ImportError>;

    /// Makes the user `id`, or brings it to what it is to be. Its own tokens and collaborations stay.
    ///
    /// # Errors
    /// [`StoreError::UnknownReference`] when the tenant does not exist, [`StoreError::Rejected`] when the id is
    /// empty or has more than 256 characters.
    async fn put_user(&self, tenant: &TenantId, id: &str, change: &UserChange)
    -> Result<Written, StoreError>;

    /// The user `id` of this tenant.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    async fn user(&self, tenant: &TenantId, id: &str) -> Result<AsOf<User>, StoreError>;

    /// The users that pass `filter`, by id (in the order that the database gives to text), at most `filter.limit`.
    async fn list_users(&self, filter: &UserFilter) -> Result<AsOf<Vec<User>>, StoreError>;

    /// Removes the user with its tokens and its place on projects, for good.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none.
    async fn remove_user(&self, tenant: &TenantId, id: &str) -> Result<DataRevision, StoreError>;

    /// Makes this project, or brings it to what it is to be. Its collaborators and tokens stay.
    ///
    /// # Errors
    /// As [`put_user`](Self::put_user).
    async fn put_project(
        &self,
        tenant: &TenantId,
        id: &str,
        change: &ProjectChange,
    ) -> Result<Written, StoreError>;

    /// The project `id` of this tenant.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    async fn project(&self, tenant: &TenantId, id: &str) -> Result<AsOf<Project>, StoreError>;

    /// The projects that pass `filter`, by id (in the order that the database gives to text), at most
    /// `filter.limit`.
    async fn list_projects(&self, filter: &ProjectFilter) -> Result<AsOf<Vec<Project>>, StoreError>;

    /// Removes the project with its collaborators and its own tokens, for good. Lists of other tokens that name it
    /// stay as they are.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none.
    async fn remove_project(&self, tenant: &TenantId, id: &str) -> Result<DataRevision, StoreError>;

    /// Gives the user this role on the project, instead of the one that it has, if any.
    ///
    /// # Errors
    /// [`StoreError::UnknownReference`] when the tenant has no such project (`project`, which is looked for first)
    /// or no such user (`user`).
    async fn put_collaborator(&self, row: &Collaborator) -> Result<Written, StoreError>;

    /// The role of the user on the project.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], whichever of the three is not there.
    async fn collaborator(
        &self,
        tenant: &TenantId,
        project_id: &str,
        user_id: &str,
    ) -> Result<AsOf<Collaborator>, StoreError>;

    /// The collaborators of a project that pass `filter`, by user id (in the order that the database gives to text),
    /// at most `filter.limit`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such project.
    async fn list_collaborators(
        &self,
        filter: &CollaboratorFilter,
    ) -> Result<AsOf<Vec<Collaborator>>, StoreError>;

    /// Ends the user's place on the project.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it has none.
    async fn remove_collaborator(
        &self,
        tenant: &TenantId,
        project_id: &str,
        user_id: &str,
    ) -> Result<DataRevision, StoreError>;

    /// Stores a new token and gives the revision that has it. Its user, if it has one, then has at most `most_live`
    /// tokens that are neither revoked nor expired at `token.created_at`, however many mint at once.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] when the user has as many already, [`StoreError::Duplicate`] when the id or the hash
    /// is taken (by any tenant), [`StoreError::UnknownReference`] when its tenant, user or project does not exist
    /// (in its tenant), [`StoreError::Rejected`] when it breaks a rule of its kind.
    async fn mint_token(&self, token: &NewToken, most_live: u32) -> Result<DataRevision, StoreError>;

    /// The token `id`; never its hash. With a `tenant`, only that tenant's own tokens are found; without, any.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an unknown id and for another tenant's, indistinguishably.
    async fn token(&self, id: &str, tenant: Option<&TenantId>) -> Result<AsOf<TokenRow>, StoreError>;

    /// The tokens that pass `filter`, oldest first, at most `filter.limit` of them; never a hash.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when `filter.after` names no token of `filter.tenant`.
    async fn list_tokens(&self, filter: &TokenFilter) -> Result<AsOf<Vec<TokenRow>>, StoreError>;

    /// Changes a live token. Whether it was live is asked as of `now`; to change its expiry, also as of the newest
    /// mint for its user, so that a token that was not counted any more does not come back.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] as [`token`](Self::token), [`StoreError::NotLive`],
    /// [`StoreError::Rejected`] when the name has not 1 to 128 characters.
    async fn change_token(
        &self,
        id: &str,
        tenant: Option<&TenantId>,
        change: &TokenChange,
        now: Timestamp,
    ) -> Result<Written, StoreError>;

    /// Grants a token the right to trigger, or withdraws it. To withdraw is always possible.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] as [`token`](Self::token). To grant: [`StoreError::WrongKind`] unless it is of the
    /// kind `mcp`, [`StoreError::NotLive`] unless it is live at `now`.
    async fn set_trigger(
        &self,
        id: &str,
        tenant: Option<&TenantId>,
        allowed: bool,
        now: Timestamp,
    ) -> Result<Written, StoreError>;

    /// Revokes the token `id`, as of `now`; the row stays. Repeating it changes nothing and gives the
    /// first moment again. With a `tenant`, only that tenant's own tokens are found (a gateway of all
    /// tenants is nobody's own); without, any.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an unknown id and for another tenant's, indistinguishably.
    async fn revoke_token(
        &self,
        id: &str,
        tenant: Option<&TenantId>,
        now: Timestamp,
    ) -> Result<Revocation, StoreError>;

    /// Removes a token that nobody was shown, because whoever asked for it was told that it was not made. Gives
    /// whether it was there.
    async fn remove_unshown_token(&self, id: &str) -> Result<bool, StoreError>;

    /// Notes when tokens were used: the last use of each only ever moves forward, and unknown ids are passed over.
    /// It moves no revision, and holds nobody up for longer than a few hundred rows take. A token that somebody
    /// else is writing is waited for after all others were noted.
    ///
    /// # Errors
    /// Some may have been noted; to repeat all of them is harmless.
    async fn note_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError>;

    /// The revision of this moment.
    async fn revision(&self) -> Result<DataRevision, StoreError>;

    /// Asks the database for one value, and nothing of its tables.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Closes all connections, after the operations in flight. Later calls fail.
    async fn close(&self);
}
