//! The feed of changes: what happened since a position, read as of one moment.
//!
//! The log of changes (`data_changes`) says which rows changed, not how. The rows are read as they are
//! now, in the same transaction as the log, so what is handed over is the state at one revision: applying
//! it twice, or to data that is partly there already, does no harm.

use std::{collections::HashSet, time::Duration};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    StoreError,
    database::{FeedConnection, Row, Transaction},
    dialect::{Dialect, json_rows},
    load::{self, FACTS, FactTable, Tenants},
    revision::{self, DataPosition},
};
use crate::{
    decision::facts::{Change, Fact, FactKey},
    types::{Holder, HolderKind, TenantId, TokenHash},
};

/// More changed rows than this are not looked up one by one: reading everything is quicker.
const MOST_ROWS: usize = 50_000;
/// So often it is asked whether changes are still noted.
const STRUCTURE_INTERVAL: Duration = Duration::from_secs(1);
/// Rows that are looked up in one statement.
const CHUNK: usize = 5_000;

/// What happened since a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// Nothing.
    Nothing,
    /// All changes up to this position were handed over.
    Advanced(DataPosition),
    /// The changes cannot be told any more: everything is to be loaded.
    Lost(LostBecause),
}

/// Why changes cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostBecause {
    /// The log no longer goes back that far.
    TooFarBehind,
    /// The database has another history: it was put back to an earlier state, or replaced.
    AnotherHistory,
    /// So much changed at once that reading everything is quicker.
    TooManyChanges,
    /// The log says something that this regate does not understand.
    UnreadableLog,
    /// A table was made anew, or changed by something that fires no trigger.
    TablesChanged,
}

impl LostBecause {
    /// For the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooFarBehind => "this process is further behind than the log of changes goes back",
            Self::AnotherHistory => "the database was put back to another state",
            Self::TooManyChanges => "very much changed at once",
            Self::UnreadableLog => "the log of changes says something that this regate does not understand",
            Self::TablesChanged => "a table was made anew, or changed by something that fires no trigger",
        }
    }
}

/// A hint that it is worth to ask: never the only source, since hints get lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Decision data changed.
    Data,
    /// Something was announced on a channel of the organisation's own.
    Channel(String),
}

/// A connection of its own to the store, for following the changes.
///
/// Each method fails with [`StoreError::Unavailable`] when the database does not answer. A future that is
/// dropped half-way leaves the connection in an unknown state: [`disconnect`](Self::disconnect) then, except
/// after [`hint`](Self::hint).
#[async_trait]
pub trait ChangeFeed: Send {
    /// As [`Store::load`](super::Store::load), and gives the position of that moment.
    ///
    /// # Errors
    /// [`StoreError::Incomplete`] in the middle of a restore.
    async fn load(&mut self, sink: &mut (dyn FnMut(Fact) + Send)) -> Result<DataPosition, StoreError>;

    /// Hands over the rows that changed since `position`, as they are now.
    ///
    /// # Errors
    /// [`StoreError::Incomplete`] in the middle of a restore.
    /// [`StoreError::Corrupt`] when a row cannot be read. `sink` has had some changes by then; throw
    /// them away.
    async fn changes_since(
        &mut self,
        position: &DataPosition,
        sink: &mut (dyn FnMut(Change) + Send),
    ) -> Result<Since, StoreError>;

    /// Runs a query over the organisation's own tables and hands over each row, an object by column.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the database refuses the query, also because a table is missing.
    async fn rows(&mut self, query: &str, sink: &mut (dyn FnMut(Value) + Send)) -> Result<(), StoreError>;

    /// Waits until the database hints at changes; for ever where it gives no hints, or there is no
    /// connection. May be dropped at any time.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the connection ended.
    async fn hint(&mut self) -> Result<Vec<Hint>, StoreError>;

    /// Whether the database announces each change, so that one which is found without a hint was missed.
    fn gives_hints(&self) -> bool;

    /// Throws the connection away: the next call makes another.
    fn disconnect(&mut self);
}

/// The feed of a SQL database.
pub(super) struct SqlFeed {
    connection: Box<dyn FeedConnection>,
    /// What [`revision::structure`] said when everything was loaded, and when it was asked last.
    structure: String,
    asked: Option<Instant>,
}

impl SqlFeed {
    /// Over a connection of its own.
    pub(super) const fn new(connection: Box<dyn FeedConnection>) -> Self {
        Self { connection, structure: String::new(), asked: None }
    }
}

#[async_trait]
impl ChangeFeed for SqlFeed {
    async fn load(&mut self, sink: &mut (dyn FnMut(Fact) + Send)) -> Result<DataPosition, StoreError> {
        let dialect = self.connection.dialect();
        let mut transaction = self.connection.begin().await?;
        let position = revision::position(&mut *transaction, dialect).await?;
        let structure = revision::structure(&mut *transaction, dialect).await?;
        load::all(&mut *transaction, dialect, sink).await?;
        transaction.commit().await?;
        (self.structure, self.asked) = (structure, Some(Instant::now()));
        Ok(position)
    }

    async fn changes_since(
        &mut self,
        position: &DataPosition,
        sink: &mut (dyn FnMut(Change) + Send),
    ) -> Result<Since, StoreError> {
        // A history that goes on is of the tables that it went on with; whether they are still whole is asked
        // now and then. A load asks each time.
        let due = self.asked.is_none_or(|asked| asked.elapsed() >= STRUCTURE_INTERVAL);
        if self.connection.position().await? == *position && !due {
            return Ok(Since::Nothing);
        }
        let dialect = self.connection.dialect();
        let mut transaction = self.connection.begin().await?;
        let now = revision::position(&mut *transaction, dialect).await?;
        if due {
            if revision::structure(&mut *transaction, dialect).await? != self.structure {
                return Ok(Since::Lost(LostBecause::TablesChanged));
            }
            self.asked = Some(Instant::now());
        }
        if now.revision <= position.revision {
            let same = now == *position;
            return Ok(if same { Since::Nothing } else { Since::Lost(LostBecause::AnotherHistory) });
        }
        let log = match Log::read(&mut *transaction, position, &now).await? {
            Ok(log) => log,
            Err(because) => return Ok(Since::Lost(because)),
        };
        for (table, keys) in FACTS.iter().zip(&log.keys) {
            let named: Option<Vec<(FactKey, &Key)>> =
                keys.iter().map(|key| Some((fact_key(table.name, key)?, key))).collect();
            let Some(named) = named else { return Ok(Since::Lost(LostBecause::UnreadableLog)) };
            for chunk in named.chunks(CHUNK) {
                look_up(&mut *transaction, dialect, table, chunk, sink).await?;
            }
        }
        transaction.commit().await?;
        Ok(Since::Advanced(now))
    }

    async fn rows(&mut self, query: &str, sink: &mut (dyn FnMut(Value) + Send)) -> Result<(), StoreError> {
        let mut each = |json: &str| {
            let row = serde_json::from_str(json).map_err(|error| StoreError::corrupt("a document", error))?;
            sink(row);
            Ok(())
        };
        self.connection.query_json(query, &mut each).await.map_err(|error| match error {
            // The table that is missing is the organisation's own: no migration of regate's makes it.
            StoreError::NotMigrated(fault) => StoreError::Failed(fault),
            error => error,
        })
    }

    async fn hint(&mut self) -> Result<Vec<Hint>, StoreError> {
        self.connection.hint().await
    }

    fn gives_hints(&self) -> bool {
        self.connection.dialect() == Dialect::Postgres
    }

    fn disconnect(&mut self) {
        self.connection.disconnect();
    }
}

/// The key of a row, as the log writes it: the columns that it has, by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Key {
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder_id: Option<String>,
}

/// What the log says about all revisions after a position.
struct Log {
    /// The keys that changed, for each of [`FACTS`].
    keys: Vec<HashSet<Key>>,
}

impl Log {
    async fn read(
        transaction: &mut dyn Transaction,
        position: &DataPosition,
        now: &DataPosition,
    ) -> Result<Result<Self, LostBecause>, StoreError> {
        // The number is one that the database gave: it needs no quoting.
        let sql = format!(
            "select revision, cast(follows as text), changed, cast(keys as text) from data_changes \
             where revision > {} order by revision",
            position.revision
        );
        let mut keys: Vec<HashSet<Key>> = FACTS.iter().map(|_| HashSet::new()).collect();
        let (mut revision, mut lost, mut rows) = (position.revision.0, None, 0);
        transaction
            .query(&sql, None, &mut |row| {
                lost = lost.or_else(|| note(row, &mut revision, position, &mut keys, &mut rows).err());
                Ok(())
            })
            .await?;
        Ok(match lost {
            Some(because) => Err(because),
            // The revision moved and nobody wrote down why.
            None if revision != now.revision.0 => Err(LostBecause::TooFarBehind),
            None => Ok(Self { keys }),
        })
    }
}

/// Takes one row of the log: of the revision that is reached, or of the next.
fn note(
    row: &dyn Row,
    revision: &mut u64,
    position: &DataPosition,
    keys: &mut [HashSet<Key>],
    rows: &mut usize,
) -> Result<(), LostBecause> {
    // What cannot be read (another program's text, a newer regate's table) tells nothing; the rows will.
    let unreadable = |_| LostBecause::UnreadableLog;
    let of = u64::try_from(row.number(0).map_err(unreadable)?).map_err(|_| LostBecause::UnreadableLog)?;
    let first = *revision == position.revision.0;
    if of != *revision || first {
        if of != *revision + 1 {
            return Err(LostBecause::TooFarBehind);
        }
        if first && row.text(1).map_err(unreadable)? != Some(position.mark()) {
            return Err(LostBecause::AnotherHistory);
        }
        *revision = of;
    }
    let table = row.text(2).map_err(unreadable)?;
    let Some(json) = row.text(3).map_err(unreadable)? else { return Err(LostBecause::TooManyChanges) };
    let place = FACTS.iter().position(|facts| Some(facts.name) == table);
    let place = place.and_then(|place| keys.get_mut(place)).ok_or(LostBecause::UnreadableLog)?;
    let noted = read_keys(json).map_err(|_| LostBecause::UnreadableLog)?;
    *rows += noted.len();
    place.extend(noted);
    if *rows > MOST_ROWS { Err(LostBecause::TooManyChanges) } else { Ok(()) }
}

/// Postgres notes an array of keys for a statement, SQLite one key for a row.
fn read_keys(json: &str) -> Result<Vec<Key>, serde_json::Error> {
    if json.starts_with('[') { serde_json::from_str(json) } else { Ok(vec![serde_json::from_str(json)?]) }
}

/// Hands over the rows with these keys, and those keys that no row has.
async fn look_up(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    table: &FactTable,
    keys: &[(FactKey, &Key)],
    sink: &mut (dyn FnMut(Change) + Send),
) -> Result<(), StoreError> {
    let on: Vec<String> =
        table.key.iter().map(|column| format!("t.{name} = r.{name}", name = column.name)).collect();
    let sql = format!(
        "select {} from {} join {}{} as t on {}",
        table.columns,
        dialect.rows(table.key),
        dialect.only(),
        table.name,
        on.join(" and ")
    );
    let mut missing: HashSet<&FactKey> = keys.iter().map(|(name, _)| name).collect();
    let mut tenants = Tenants::default();
    let parameter = json_rows(&keys.iter().map(|(_, key)| *key).collect::<Vec<_>>())?;
    transaction
        .query(&sql, Some(&parameter), &mut |row| {
            let fact = load::read(table, row, &mut tenants)?;
            missing.remove(&fact.key());
            sink(Change::Put(fact));
            Ok(())
        })
        .await?;
    missing.into_iter().for_each(|key| sink(Change::Removed(key.clone())));
    Ok(())
}

/// Which row a key means; `None` when it is none that regate could have noted.
fn fact_key(table: &str, key: &Key) -> Option<FactKey> {
    let tenant = |part: &Option<String>| TenantId::try_from(part.as_deref()?).ok();
    Some(match table {
        "tenants" => FactKey::Tenant(tenant(&key.id)?),
        "users" => FactKey::User { tenant: tenant(&key.tenant)?, id: key.id.clone()? },
        "projects" => FactKey::Project { tenant: tenant(&key.tenant)?, id: key.id.clone()? },
        "collaborators" => FactKey::Collaborator {
            tenant: tenant(&key.tenant)?,
            project_id: key.project_id.clone()?,
            user_id: key.user_id.clone()?,
        },
        "tokens" => FactKey::Token(key.sha256.as_deref()?.parse::<TokenHash>().ok()?),
        "upstreams" => FactKey::Upstream { tenant: tenant(&key.tenant)?, id: key.id.clone()? },
        "grants" => FactKey::Grant {
            tenant: tenant(&key.tenant)?,
            token_id: key.token_id.clone()?,
            upstream_id: key.upstream_id.clone()?,
        },
        "upstream_credentials" => FactKey::Credential {
            tenant: tenant(&key.tenant)?,
            upstream_id: key.upstream_id.clone()?,
            holder: Holder::new(HolderKind::from_name(key.holder.as_deref()?)?, key.holder_id.as_deref()?),
        },
        _ => return None,
    })
}
