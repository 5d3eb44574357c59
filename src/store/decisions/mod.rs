//! The decision log as it is kept for good: records in the order of their chain, each once.
//!
//! What a record says is nothing to this room: it keeps texts, numbers them, and asks who appends for the hash of each
//! ([`Link`]). No row here takes part in the data revision.
//!
//! INVARIANT: sequences have no gaps and no record is here twice, however many processes append and whenever one of
//! them or the database dies: the records, the end of the chain and the position of the spool that they came from are
//! written in one transaction, which holds the end of the chain from its beginning.

pub(super) mod append;
pub(super) mod prune;
pub(super) mod read;

use std::fmt;

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;
use crate::types::{TenantId, Timestamp};

/// A place in a process's records on disk, between two of them. Written as `segment:offset`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpoolPosition {
    /// Which file; later ones have higher numbers.
    pub segment: u64,
    /// How many bytes of it lie before the place.
    pub offset: u64,
}

impl fmt::Display for SpoolPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}

/// A record that is to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDecision {
    /// What it is found by.
    pub columns: DecisionColumns,
    /// The record as JSON, as it will be kept and hashed.
    pub record: String,
}

/// What a record is found by. All of it is in the record as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionColumns {
    /// The decision's id.
    pub decision_id: String,
    /// The tenant whose data decided.
    pub tenant: String,
    /// When it was made, in milliseconds since 1970.
    pub time_millis: i64,
    /// By which way the question came.
    pub face: String,
    /// Whether it was allowed.
    pub allow: bool,
    /// What the gateway was to answer.
    pub status: u16,
    /// The first reason.
    pub reason: String,
    /// The token.
    pub token_id: Option<String>,
    /// Its user.
    pub user_id: Option<String>,
    /// The project that it was about.
    pub project_id: Option<String>,
    /// The upstream that it was about.
    pub upstream_id: Option<String>,
    /// The request's method.
    pub method: Option<String>,
    /// The request's path.
    pub path: Option<String>,
}

/// Records of one process, in the order in which it made them.
#[derive(Clone, Copy, Debug)]
pub struct DecisionBatch<'a> {
    /// Whose records on disk they are of.
    pub spool: Uuid,
    /// What the database is to have of it: all up to here, which is where these begin. `None`: nothing yet.
    pub after: Option<SpoolPosition>,
    /// Where they end.
    pub to: SpoolPosition,
    /// The records.
    pub records: &'a [NewDecision],
}

/// A place in the chain: how many records there have been, and the hash of the last one (64 lower-case hexadecimal
/// digits).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainPlace {
    /// The sequence of the record; 0 before the first.
    pub sequence: u64,
    /// Its hash; what another program wrote may be no hash.
    pub hash: String,
}

/// Gives the hash of a record that follows the hash `previous` under the number `sequence`.
pub trait Link: Sync {
    /// The hash, 64 lower-case hexadecimal digits.
    fn link(&self, previous: &str, sequence: u64, record: &str) -> String;
}

impl<F: Fn(&str, u64, &str) -> String + Sync> Link for F {
    fn link(&self, previous: &str, sequence: u64, record: &str) -> String {
        self(previous, sequence, record)
    }
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It was appended just now.
    Now(Appending),
    /// The database has the spool up to another position, and nothing was written: go on from there. A later one: the
    /// batch is here already. An earlier one, or none: an older state of the database was put back.
    Elsewhere(Option<SpoolPosition>),
}

/// What was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appending {
    /// The end of the chain now.
    pub head: ChainPlace,
    /// So many records are new.
    pub records: u64,
    /// So many were here already, from another spool, letter for letter; they were not written again.
    pub doubles: u64,
    /// The ids of new records that another record has as well. Both are kept.
    pub clashes: Vec<String>,
}

/// A record as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRow {
    /// Its number in the chain.
    pub sequence: u64,
    /// What it is found by.
    pub columns: DecisionColumns,
    /// The record as JSON, as it was hashed.
    pub record: String,
    /// Its hash; what another program wrote may be no hash.
    pub hash: String,
}

/// Which records to list. What is `None` is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// Only those of this tenant.
    pub tenant: Option<TenantId>,
    /// Only those about this token.
    pub token_id: Option<String>,
    /// Only those about this user, with whichever credential.
    pub user_id: Option<String>,
    /// Only those about this project.
    pub project_id: Option<String>,
    /// Only those about this upstream.
    pub upstream_id: Option<String>,
    /// Only those with this first reason.
    pub reason: Option<String>,
    /// Only allows, or only denies.
    pub allow: Option<bool>,
    /// Only those made at this moment or later.
    pub from: Option<Timestamp>,
    /// Only those made before this moment.
    pub until: Option<Timestamp>,
    /// Only those with a lower sequence than this.
    pub before: Option<u64>,
    /// Only those with a higher sequence than this.
    pub after: Option<u64>,
    /// The oldest first, in the order of the chain; else the newest.
    pub oldest_first: bool,
    /// The most rows to give.
    pub limit: u32,
}

/// A part of the chain, and its ends, all as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainPart {
    /// What retention took away ends here: the first record that is kept follows it.
    pub anchor: ChainPlace,
    /// When retention took something away last.
    pub pruned_at: Option<Timestamp>,
    /// The end of the chain.
    pub head: ChainPlace,
    /// The records, by sequence.
    pub rows: Vec<DecisionRow>,
}

/// What retention took away in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// So many records.
    pub records: u64,
    /// The last of them, or of those before.
    pub anchor: ChainPlace,
    /// There may be more to take away.
    pub more: bool,
}

/// The part of a [`Store`](super::Store) that keeps the decision log. What is said there of errors holds here.
#[async_trait]
pub trait DecisionStore: Send + Sync {
    /// Appends a batch to the chain, once: to repeat it, also after an error that does not tell whether it was written,
    /// is harmless.
    ///
    /// It waits for others that append for half a second at most, and survives the end of the machine when this returns.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when somebody else holds the end of the chain for longer; [`StoreError::Corrupt`] when its
    /// row is missing or is none.
    async fn append_decisions(
        &self,
        batch: &DecisionBatch<'_>,
        link: &dyn Link,
    ) -> Result<Appended, StoreError>;

    /// Up to where the records of a spool are here; `None` for one that is not known.
    async fn shipped_position(&self, spool: Uuid) -> Result<Option<SpoolPosition>, StoreError>;

    /// The records that pass `filter`, in the order that it says, at most `filter.limit`.
    async fn list_decisions(&self, filter: &DecisionFilter) -> Result<Vec<DecisionRow>, StoreError>;

    /// The record of the decision `id`, the first if there are several. With a `tenant`, only that tenant's own are
    /// found; without, any.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an unknown id and for another tenant's, indistinguishably.
    async fn decision(&self, id: Uuid, tenant: Option<&TenantId>) -> Result<DecisionRow, StoreError>;

    /// The records after the sequence `after`, in the order of the chain, at most `most`, and the ends of the chain.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the rows of the ends are missing.
    async fn walk_decisions(&self, after: u64, most: u32) -> Result<ChainPart, StoreError>;

    /// Takes away at most `most` of the oldest records, up to the first that was made at `older_than` or later, and
    /// notes as of `now` where the chain begins. The newest record always stays.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a record is missing: what is left of the evidence stays.
    async fn prune_decisions(
        &self,
        older_than: Timestamp,
        most: u32,
        now: Timestamp,
    ) -> Result<Pruned, StoreError>;
}
