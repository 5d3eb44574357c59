//! How a feed is doing: for `/ready`, and for whoever measures.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::documents::OwnDocument;

/// Counters and states, written by the feed and read by anyone.
#[derive(Debug)]
pub struct FeedStatus {
    /// Rows read in the load that is going on, or was last.
    pub(super) rows_loaded: AtomicU64,
    pub(super) loads: AtomicU64,
    pub(super) updates: AtomicU64,
    pub(super) changes: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) notifications_missing: AtomicBool,
    problem: Mutex<Option<&'static str>>,
    documents: Vec<DocumentStatus>,
}

/// How one of the organisation's own documents is doing.
#[derive(Debug)]
pub struct DocumentStatus {
    path: String,
    problem: Mutex<Option<&'static str>>,
    rows: AtomicU64,
    failures: AtomicU64,
}

impl FeedStatus {
    pub(super) fn new(documents: &[OwnDocument]) -> Self {
        let documents = documents.iter().map(|document| DocumentStatus {
            path: document.mount.path.to_string(),
            problem: Mutex::default(),
            rows: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        Self {
            rows_loaded: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            updates: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            notifications_missing: AtomicBool::new(false),
            problem: Mutex::default(),
            documents: documents.collect(),
        }
    }

    /// Rows read in the load that is going on, or was last.
    pub fn rows_loaded(&self) -> u64 {
        self.rows_loaded.load(Ordering::Relaxed)
    }

    /// How often everything was loaded.
    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }

    /// How often changes were applied.
    pub fn updates(&self) -> u64 {
        self.updates.load(Ordering::Relaxed)
    }

    /// How many changed rows were applied.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// How often the database could not be asked.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Whether changes are found only by asking, because no notification arrives.
    pub fn notifications_missing(&self) -> bool {
        self.notifications_missing.load(Ordering::Relaxed)
    }

    /// Why the database cannot be asked at present; a stable code.
    pub fn problem(&self) -> Option<&'static str> {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The organisation's own documents, in the order of the configuration.
    pub fn documents(&self) -> &[DocumentStatus] {
        &self.documents
    }

    /// Sets the problem, and gives the one before.
    pub(super) fn set_problem(&self, problem: Option<&'static str>) -> Option<&'static str> {
        std::mem::replace(&mut *self.problem.lock().unwrap_or_else(PoisonError::into_inner), problem)
    }
}

impl DocumentStatus {
    /// Where it stands below `data`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Why its query gives no rows at present; a stable code.
    pub fn problem(&self) -> Option<&'static str> {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows in it.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// How often its query failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) fn succeeded(&self, rows: u64) -> Option<&'static str> {
        self.rows.store(rows, Ordering::Relaxed);
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn failed(&self, problem: &'static str) -> Option<&'static str> {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).replace(problem)
    }
}
