//! The decision log on its way to the database: records in files, in one folder, of one process at a time.
//!
//! **For:** [`Spool::append`] keeps the [`Promise`] before an answer goes out; the [`SpoolReader`] hands records on,
//! in their order, until they are acknowledged. What a killed process leaves, the next one finds.
//!
//! **Must never know:** what is in a record; where records go.
//!
//! **How:** tasks put their records into one buffer (`shared`), let the other ready tasks of their worker do the
//! same, and the first that comes back writes all of it by one call (`writer`): a *group*. Its state
//! (`group`) tells the others. Nobody awaits anything while it has the writer's role, so a task that is dropped
//! takes nothing with it. With [`Promise::Durable`] a thread of its own writes and syncs, and while it syncs
//! the next group gathers.
//!
//! Segments are numbered files with a header (`segment`), and records lie in them with a length and a checksum
//! (`frame`). A process never writes to a segment of another one: it begins its own, with a number that no other can
//! have used even if the machine lost the newest files. `book` knows what is there and how far it may be read.
//!
//! A record whose checksum is wrong is reported as [`Damage`], and the file stays in the folder
//! as `*.damaged`, for people: it counts as nothing and is never removed here.

mod book;
mod frame;
mod group;
mod open;
mod position;
mod reader;
mod segment;
mod shared;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use thiserror::Error;
use uuid::Uuid;

pub use frame::MOST_RECORD_BYTES;
pub use position::{NoPosition, Position};
pub use reader::{Batch, Damage, Sought, SpoolReader};

use shared::Shared;

/// What holds for a record when [`Spool::append`] has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// It is on disk: an end of the machine does not lose it.
    Durable,
    /// The kernel has it: an end of this process, however sudden, does not lose it.
    Spooled,
}

/// How a spool is kept.
#[derive(Clone, Debug)]
pub struct SpoolOptions {
    /// Where its files are. Made if it is not there; nothing else should be in it.
    pub folder: PathBuf,
    /// What holds for a record that is appended.
    pub promise: Promise,
    /// How long all segments together may grow, in bytes.
    pub max_bytes: u64,
    /// How long a segment may grow, in bytes, but for a group that is longer on its own. At most a quarter of
    /// `max_bytes` is used, so that there is always a whole segment to acknowledge when the spool is full.
    pub segment_bytes: u64,
}

/// A record was not appended: it will not be in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotAppended {
    /// The spool has no room until records are acknowledged, or the disk is too slow for what comes.
    #[error("the spool of the decision log is full")]
    Full,
    /// It could not be written, or the spool is closed.
    #[error("the decision log cannot be written")]
    Failed,
    /// It is longer than [`MOST_RECORD_BYTES`].
    #[error("the record is too long for the decision log")]
    TooLong,
}

/// The spool cannot be opened or read.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// Another process has it.
    #[error("the decision log's folder {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// A newer regate wrote it.
    #[error("the decision log's segment {0} was written by a newer regate")]
    Newer(u64),
    /// A position was acknowledged that was not read yet.
    #[error("the decision log's position {0} was acknowledged and not read")]
    NotRead(Position),
    /// A file or the folder cannot be used.
    #[error("cannot {what} the decision log in {}", folder.display())]
    Io {
        /// What was to be done.
        what: &'static str,
        /// Where.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What a spool holds and did, for metrics. Counts are of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolStatus {
    /// The length of all segments and of what is about to be written, in bytes.
    pub bytes: u64,
    /// What `bytes` may reach.
    pub max_bytes: u64,
    /// Records that are not acknowledged.
    pub records: u64,
    /// How many segments there are.
    pub segments: usize,
    /// Everything before this is acknowledged or was never there.
    pub oldest: Position,
    /// Behind the last record that may be read.
    pub end: Position,
    /// Records for which the promise was kept.
    pub appended: u64,
    /// Records that were refused because there was no room.
    pub refused_full: u64,
    /// Records that could not be written.
    pub failed: u64,
    /// How often was written.
    pub written_groups: u64,
    /// How often was synced before an answer.
    pub synced_groups: u64,
    /// Places where something else lay than was written.
    pub damaged_places: u64,
    /// How long they were together, in bytes.
    pub damaged_bytes: u64,
    /// Whether the last group could not be written.
    pub failing: bool,
}

/// The writing end. Closes when it is dropped.
#[derive(Debug)]
pub struct Spool {
    shared: Arc<Shared>,
    syncing: Mutex<Option<JoinHandle<()>>>,
}

impl Spool {
    /// Opens a folder for this process alone: reads what another one left there, cuts off the record that it did not
    /// come to write wholly, and begins a segment. A folder that is new takes `new_id`.
    ///
    /// # Errors
    ///
    /// If another process has it, if a newer regate wrote it, or if its files cannot be read or made.
    pub fn open(options: &SpoolOptions, new_id: Uuid) -> Result<(Self, SpoolReader), SpoolError> {
        let shared = Arc::new(open::open(options, new_id)?);
        let syncing = match options.promise {
            Promise::Spooled => None,
            Promise::Durable => {
                let thread = std::thread::Builder::new().name("regate-spool".to_owned());
                let working = Arc::clone(&shared);
                let started = thread.spawn(move || working.sync_until_closed());
                Some(started.map_err(|source| shared.error("start the thread that writes", source))?)
            }
        };
        let reader = SpoolReader::new(Arc::clone(&shared));
        Ok((Self { shared, syncing: Mutex::new(syncing) }, reader))
    }

    /// Which spool it is: the same as long as the folder is.
    pub fn id(&self) -> Uuid {
        self.shared.id
    }

    /// Appends a record. Ready when the promise holds for it. Records that one task appends one after the other stay
    /// in this order. If the future is dropped, the record may be in the log or not.
    ///
    /// # Errors
    ///
    /// If it is too long, if there is no room, or if it cannot be written. Then it is not in the log.
    pub async fn append(&self, record: &[u8]) -> Result<(), NotAppended> {
        let head = frame::head(record).ok_or(NotAppended::TooLong)?;
        let waiting = self.shared.gather(head, record)?;
        if waiting.is_patient() {
            // The other ready tasks of this worker add theirs meanwhile.
            tokio::task::yield_now().await;
        }
        waiting.await
    }

    /// What it holds and did.
    pub fn status(&self) -> SpoolStatus {
        self.shared.status()
    }

    /// Writes what is gathered, syncs it, and takes no more. Blocks for as long as that takes.
    pub fn close(&self) {
        self.shared.close();
        let syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The thread does not panic; if it did, those who wait have been told by the guard of their group.
        let _ = syncing.map(JoinHandle::join);
        self.shared.finish();
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.close();
    }
}
