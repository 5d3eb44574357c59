//! The feed of changes: what happened since a position, read as of one moment.
//!
//! The log of changes (`data_changes`) says which rows changed, not how. The rows are read as they are
//! now, in the same transaction as the log, so what is handed over is the state at one revision: applying
//! it twice, or to data that is partly there already, does no harm.

use std::collections::HashSet;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use super::{
    StoreError,
    database::{FeedConnection, Transaction},
    dialect::{Dialect, json_rows},
    load::{self, FACTS, FactTable, Tenants},
    revision::{self, DataPosition},
};
use crate::{
    decision::facts::{Change, Fact, FactKey},
    types::{TenantId, TokenHash},
};

/// More changed rows than this are not looked up one by one: reading everything is quicker.
const MOST_ROWS: usize = 50_000;
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
}

impl LostBecause {
    /// For the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooFarBehind => "this process is further behind than the log of changes goes back",
            Self::AnotherHistory => "the database was put back to another state",
            Self::TooManyChanges => "very much changed at once",
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
    /// [`StoreError::Failed`] and [`StoreError::NotMigrated`] when the database refuses the query.
    async fn rows(&mut self, query: &str, sink: &mut (dyn FnMut(Value) + Send)) -> Result<(), StoreError>;

    /// Waits until the database hints at changes; for ever where it gives no hints, or there is no
    /// connection. May be dropped at any time.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the connection ended.
    async fn hint(&mut self) -> Result<Vec<Hint>, StoreError>;

    /// Whether this database gives hints.
    fn gives_hints(&self) -> bool;

    /// Throws the connection away: the next call makes another.
    fn disconnect(&mut self);
}

/// The feed of a SQL database.
pub(super) struct SqlFeed {
    connection: Box<dyn FeedConnection>,
}

impl SqlFeed {
    /// Over a connection of its own.
    pub(super) const fn new(connection: Box<dyn FeedConnection>) -> Self {
        Self { connection }
    }
}

#[async_trait]
impl ChangeFeed for SqlFeed {
    async fn load(&mut self, sink: &mut (dyn FnMut(Fact) + Send)) -> Result<DataPosition, StoreError> {
        let dialect = self.connection.dialect();
        let mut transaction = self.connection.begin().await?;
        let position = revision::whole_position(&mut *transaction, dialect).await?;
        load::all(&mut *transaction, sink).await?;
        transaction.commit().await?;
        Ok(position)
    }

    async fn changes_since(
        &mut self,
        position: &DataPosition,
        sink: &mut (dyn FnMut(Change) + Send),
    ) -> Result<Since, StoreError> {
        if self.connection.position().await? == *position {
            return Ok(Since::Nothing);
        }
        let dialect = self.connection.dialect();
        let mut transaction = self.connection.begin().await?;
        let now = revision::whole_position(&mut *transaction, dialect).await?;
        if now.revision <= position.revision {
            let same = now == *position;
            return Ok(if same { Since::Nothing } else { Since::Lost(LostBecause::AnotherHistory) });
        }
        let log = match Log::read(&mut *transaction, position).await? {
            Ok(log) => log,
            Err(because) => return Ok(Since::Lost(because)),
        };
        for (table, keys) in FACTS.iter().zip(&log.keys) {
            let keys: Vec<&Key> = keys.iter().collect();
            for chunk in keys.chunks(CHUNK) {
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
        self.connection.query_json(query, &mut each).await
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
    ) -> Result<Result<Self, LostBecause>, StoreError> {
        // The number is one that the database gave: it needs no quoting.
        let sql = format!(
            "select revision, cast(follows as text), changed, cast(keys as text) from data_changes \
             where revision > {} order by revision",
            position.revision
        );
        let mut keys: Vec<HashSet<Key>> = FACTS.iter().map(|_| HashSet::new()).collect();
        let (mut begun, mut lost, mut rows) = (false, None, 0);
        transaction
            .query(&sql, None, &mut |row| {
                if !begun {
                    begun = true;
                    if u64::try_from(row.number(0)?) != Ok(position.revision.0 + 1) {
                        lost = Some(LostBecause::TooFarBehind);
                    } else if row.text(1)? != Some(position.mark()) {
                        lost = Some(LostBecause::AnotherHistory);
                    }
                }
                if lost.is_some() {
                    return Ok(());
                }
                let (Some(table), Some(json)) = (row.text(2)?, row.text(3)?) else {
                    lost = Some(LostBecause::TooManyChanges);
                    return Ok(());
                };
                let place = FACTS.iter().position(|facts| facts.name == table);
                let place = place.and_then(|place| keys.get_mut(place));
                let (Some(place), Ok(noted)) = (place, read_keys(json)) else {
                    return Err(StoreError::corrupt("data_changes", "a change that regate does not know"));
                };
                rows += noted.len();
                if rows > MOST_ROWS {
                    lost = Some(LostBecause::TooManyChanges);
                }
                place.extend(noted);
                Ok(())
            })
            .await?;
        Ok(match lost {
            Some(because) => Err(because),
            // The revision moved and nobody wrote down why.
            None if !begun => Err(LostBecause::TooFarBehind),
            None => Ok(Self { keys }),
        })
    }
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
    keys: &[&Key],
    sink: &mut (dyn FnMut(Change) + Send),
) -> Result<(), StoreError> {
    let on: Vec<String> =
        table.key.iter().map(|column| format!("t.{name} = r.{name}", name = column.name)).collect();
    let sql = format!(
        "select {} from {} join {} as t on {}",
        table.columns,
        dialect.rows(table.key),
        table.name,
        on.join(" and ")
    );
    let mut missing: HashSet<FactKey> = HashSet::with_capacity(keys.len());
    for key in keys {
        missing.insert(fact_key(table.name, key)?);
    }
    let mut tenants = Tenants::default();
    let parameter = json_rows(keys)?;
    transaction
        .query(&sql, Some(&parameter), &mut |row| {
            let fact = load::read(table, row, &mut tenants)?;
            missing.remove(&fact.key());
            sink(Change::Put(fact));
            Ok(())
        })
        .await?;
    missing.into_iter().for_each(|key| sink(Change::Removed(key)));
    Ok(())
}

fn fact_key(table: &str, key: &Key) -> Result<FactKey, StoreError> {
    let unknown = || StoreError::corrupt("data_changes", "a key that regate does not know");
    let text = |part: &Option<String>| part.clone().ok_or_else(unknown);
    let tenant = |part: &Option<String>| {
        part.as_deref().and_then(|id| TenantId::try_from(id).ok()).ok_or_else(unknown)
    };
    Ok(match table {
        "tenants" => FactKey::Tenant(tenant(&key.id)?),
        "users" => FactKey::User { tenant: tenant(&key.tenant)?, id: text(&key.id)? },
        "projects" => FactKey::Project { tenant: tenant(&key.tenant)?, id: text(&key.id)? },
        "collaborators" => FactKey::Collaborator {
            tenant: tenant(&key.tenant)?,
            project_id: text(&key.project_id)?,
            user_id: text(&key.user_id)?,
        },
        "tokens" => {
            let hash = key.sha256.as_deref().and_then(|hex| hex.parse::<TokenHash>().ok());
            FactKey::Token(hash.ok_or_else(unknown)?)
        }
        "upstreams" => FactKey::Upstream { tenant: tenant(&key.tenant)?, id: text(&key.id)? },
        "grants" => FactKey::Grant {
            tenant: tenant(&key.tenant)?,
            token_id: text(&key.token_id)?,
            upstream_id: text(&key.upstream_id)?,
        },
        _ => return Err(unknown()),
    })
}
