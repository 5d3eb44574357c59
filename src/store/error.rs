//! What can go wrong in the store, in words that hold no secret.

use std::{error::Error, fmt};

use sqlx::error::ErrorKind;

use super::upstreams::FlowEnd;
use crate::types::TokenKind;

/// Why an operation of the store failed. `Display` says what the caller can act on; the database's
/// own words are in the source, never repeated here.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or does not answer in time.
    #[error("the database cannot be reached, read or written")]
    Unavailable(#[source] DatabaseFault),
    /// The database URL cannot be used.
    #[error("the database URL cannot be used: {reason}")]
    Configuration {
        /// Why, without the URL.
        reason: String,
    },
    /// The database has none of regate's tables, or older ones.
    #[error("the database lacks regate's tables; run `regate migrate`")]
    NotMigrated(#[source] DatabaseFault),
    /// The triggers that note changes are not all there, so nobody can say that the rows are.
    #[error(
        "the triggers that note changes are not all in force: the database is being restored, or was not to its \
         end, or somebody switched them off, or a table inherits from another"
    )]
    Incomplete,
    /// A migration could not be applied.
    #[error("the database could not be migrated")]
    Migration(#[source] DatabaseFault),
    /// No such row, or none that the caller may see.
    #[error("no such {what}")]
    NotFound {
        /// What was looked for, such as `token`.
        what: &'static str,
    },
    /// Another row has this already.
    #[error("the {what} is taken")]
    Duplicate {
        /// What is taken, such as `token id`.
        what: &'static str,
    },
    /// The row refers to one that does not exist in its tenant.
    #[error("the {what} does not exist in this tenant")]
    UnknownReference {
        /// What does not exist, such as `user`.
        what: &'static str,
    },
    /// What was asked for is for tokens of another kind.
    #[error("this is for tokens of kind {wanted}, and this one is of kind {kind}")]
    WrongKind {
        /// The kind that it is for.
        wanted: TokenKind,
        /// The token's.
        kind: TokenKind,
    },
    /// The token can no longer be used, so nothing but its own end can be changed about it.
    #[error("the token is {state}, and only a live one can be changed")]
    NotLive {
        /// `revoked` or `expired`.
        state: &'static str,
    },
    /// The user, or the project of a token that is nobody's, has as many live tokens as may be.
    #[error("the {what} has {limit} live tokens already; revoke one, or wait until one expires")]
    TooMany {
        /// `user` or `project`.
        what: &'static str,
        /// The most that a user may have.
        limit: u32,
    },
    /// A new row lacks something that it must have.
    #[error("a new {what} needs its {field}")]
    Required {
        /// What was to be made.
        what: &'static str,
        /// What it lacks.
        field: &'static str,
    },
    /// The upstream has no credentials of such holders.
    #[error("the upstream's credential is `{mode}`, which a {holder} does not hold")]
    WrongHolder {
        /// Which credential goes on there.
        mode: &'static str,
        /// The holder that was named.
        holder: &'static str,
    },
    /// The token may not reach the upstream.
    #[error("the token has no grant for this upstream")]
    NotGranted,
    /// The consent flow cannot be completed any more.
    #[error("the flow {0}")]
    FlowOver(FlowEnd),
    /// A constraint refused the row.
    #[error("the row breaks the rule {rule}")]
    Rejected {
        /// The constraint's name; they read as sentences.
        rule: String,
    },
    /// Another transaction holds a lock that this needs, and has held it for long. Nothing was written.
    #[error(
        "another transaction holds a lock that this needs; try again, and look for a session that is idle in a \
         transaction (pg_stat_activity)"
    )]
    Locked(#[source] DatabaseFault),
    /// Another write came in between. Nothing was written; trying again may help.
    #[error("another write came in between")]
    Conflict(#[source] DatabaseFault),
    /// A stored value breaks a rule that the constraints hold.
    #[error("a row of {table} cannot be read")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// Which value, and what is wrong with it.
        #[source]
        fault: DatabaseFault,
    },
    /// The database refused a statement for another reason.
    #[error("the database refused a statement")]
    Failed(#[source] DatabaseFault),
}

impl StoreError {
    /// A stable name of the kind of error, for logs and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Configuration { .. } => "configuration",
            Self::NotMigrated(_) => "not_migrated",
            Self::Incomplete => "incomplete",
            Self::Migration(_) => "migration",
            Self::NotFound { .. } => "not_found",
            Self::Duplicate { .. } => "duplicate",
            Self::UnknownReference { .. } => "unknown_reference",
            Self::WrongKind { .. } => "wrong_kind",
            Self::NotLive { .. } => "not_live",
            Self::TooMany { .. } => "too_many",
            Self::Required { .. } => "required",
            Self::WrongHolder { .. } => "wrong_holder",
            Self::NotGranted => "not_granted",
            Self::FlowOver(_) => "flow_over",
            Self::Rejected { .. } => "rejected",
            Self::Locked(_) => "locked",
            Self::Conflict(_) => "conflict",
            Self::Corrupt { .. } => "corrupt",
            Self::Failed(_) => "failed",
        }
    }

    /// Whether the same work, done once more, may succeed, or fail with a better word: another write came in
    /// between, which may also have removed what a row refers to after this was looked up.
    pub(super) fn may_be_repeated(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::UnknownReference { what: SOME_ROW })
    }

    /// A row of `table` that cannot be read, because of `reason`.
    pub(super) fn corrupt(table: &'static str, reason: impl fmt::Display) -> Self {
        Self::Corrupt { table, fault: DatabaseFault(reason.to_string()) }
    }
}

/// What a constraint misses, when it does not say which row that is.
const SOME_ROW: &str = "row it refers to";

/// What the database said, reduced to its message and code: the driver's error also carries the row
/// that it refused, token hash and all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseFault(pub(super) String);

impl fmt::Display for DatabaseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for DatabaseFault {}

impl From<&sqlx::Error> for DatabaseFault {
    fn from(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(fault) => match fault.code() {
                Some(code) => Self(format!("{} ({code})", fault.message())),
                None => Self(fault.message().to_owned()),
            },
            // Its text may quote the URL.
            sqlx::Error::Configuration(_) => Self("the connection's settings cannot be used".to_owned()),
            other => Self(other.to_string()),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let fault = DatabaseFault::from(&error);
        match error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                match (database.kind(), code.as_ref()) {
                    (ErrorKind::UniqueViolation, _) => Self::Duplicate { what: "row's key" },
                    (ErrorKind::ForeignKeyViolation, _) => Self::UnknownReference { what: SOME_ROW },
                    (ErrorKind::CheckViolation | ErrorKind::NotNullViolation, _) => {
                        let rule = database.constraint().or_else(|| after_colon(database.message()));
                        Self::Rejected { rule: rule.unwrap_or("of a column").to_owned() }
                    }
                    // Postgres: serialization failure, deadlock. SQLite: the snapshot is out of date.
                    (_, "40001" | "40P01" | "517") => Self::Conflict(fault),
                    (_, "55P03") => Self::Locked(fault),
                    // SQLite: a trigger that stands in for a constraint gives its name.
                    (_, "1811") if is_name(database.message()) => {
                        Self::Rejected { rule: database.message().to_owned() }
                    }
                    // Postgres: undefined table or column. SQLite has no code of its own for it.
                    (_, "42P01" | "42703") => Self::NotMigrated(fault),
                    (_, "1") if database.message().starts_with("no such table") => Self::NotMigrated(fault),
                    // Postgres: connection lost, resources, shutting down, too many connections.
                    // SQLite: busy, locked, disk I/O, disk full, cannot open.
                    (_, code) if is_outage(code) => Self::Unavailable(fault),
                    _ => Self::Failed(fault),
                }
            }
            sqlx::Error::Configuration(_) => Self::Configuration { reason: "it is malformed".to_owned() },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(fault),
            sqlx::Error::Migrate(_) => Self::Migration(fault),
            _ => Self::Failed(fault),
        }
    }
}

fn is_outage(code: &str) -> bool {
    match code.parse::<u32>() {
        // SQLite's extended codes hold the primary one in the low byte. Its codes are short; all of
        // Postgres's have five characters.
        Ok(sqlite) if code.len() < 5 => matches!(sqlite & 0xff, 5 | 6 | 10 | 13 | 14),
        _ => {
            ["08", "53", "57P", "58"].iter().any(|class| code.starts_with(class))
                || matches!(code, "28000" | "28P01" | "3D000")
        }
    }
}

/// Whether a message is the name of a rule, and nothing else.
fn is_name(message: &str) -> bool {
    message.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// SQLite names the constraint in its message only: `CHECK constraint failed: NAME`.
fn after_colon(message: &str) -> Option<&str> {
    message.split_once("failed: ").map(|(_, name)| name)
}
