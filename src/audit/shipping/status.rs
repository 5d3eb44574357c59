//! How the way to the database is, in numbers.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::types::Timestamp;

/// Stands for no time.
const NEVER: i64 = i64::MIN;

/// How shipping is. Shared by the one who ships and those who look.
#[derive(Debug)]
pub struct ShippingStatus {
    pub(super) shipped: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) doubles: AtomicU64,
    pub(super) clashes: AtomicU64,
    pub(super) gaps: AtomicU64,
    pub(super) stubs: AtomicU64,
    pub(super) failing: AtomicBool,
    last_shipped: AtomicI64,
    oldest_unshipped: AtomicI64,
}

impl Default for ShippingStatus {
    fn default() -> Self {
        Self {
            shipped: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            doubles: AtomicU64::new(0),
            clashes: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
            stubs: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            last_shipped: AtomicI64::new(NEVER),
            oldest_unshipped: AtomicI64::new(NEVER),
        }
    }
}

/// The numbers at a moment; the counts are since the start of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShippingNumbers {
    /// Records that went to the database.
    pub shipped: u64,
    /// In so many transactions.
    pub batches: u64,
    /// Attempts that failed, each of which is repeated.
    pub failures: u64,
    /// Records that the database had already, and that were not written a second time.
    pub doubles: u64,
    /// Records whose id another record has as well; both are kept.
    pub clashes: u64,
    /// How often records were found to be lost: damaged or gone from the disk before they were shipped, or gone from
    /// the database because an older state of it was put back.
    pub gaps: u64,
    /// Records that could not be read, or that the database did not take, and for which a record stands that says so.
    pub stubs: u64,
    /// Whether the last attempt failed.
    pub failing: bool,
    /// When the database had the last batch.
    pub last_shipped_at: Option<Timestamp>,
    /// When the oldest record was made that is known to wait. Its age is the lag.
    pub oldest_unshipped: Option<Timestamp>,
}

impl ShippingNumbers {
    /// How old the oldest record is that is known to wait.
    pub fn lag(&self, now: Timestamp) -> Duration {
        let since = self.oldest_unshipped.map_or(0, |oldest| now.unix_millis() - oldest.unix_millis());
        Duration::from_millis(u64::try_from(since).unwrap_or_default())
    }
}

impl ShippingStatus {
    /// The numbers of this moment.
    pub fn numbers(&self) -> ShippingNumbers {
        let time = |millis: &AtomicI64| {
            Some(millis.load(Relaxed)).filter(|millis| *millis != NEVER).map(Timestamp::from_unix_millis)
        };
        ShippingNumbers {
            shipped: self.shipped.load(Relaxed),
            batches: self.batches.load(Relaxed),
            failures: self.failures.load(Relaxed),
            doubles: self.doubles.load(Relaxed),
            clashes: self.clashes.load(Relaxed),
            gaps: self.gaps.load(Relaxed),
            stubs: self.stubs.load(Relaxed),
            failing: self.failing.load(Relaxed),
            last_shipped_at: time(&self.last_shipped),
            oldest_unshipped: time(&self.oldest_unshipped),
        }
    }

    pub(super) fn add(counter: &AtomicU64, number: u64) {
        counter.fetch_add(number, Relaxed);
    }

    /// A record of this time waits, or none.
    pub(super) fn waiting_since(&self, time: Option<Timestamp>) {
        self.oldest_unshipped.store(time.map_or(NEVER, Timestamp::unix_millis), Relaxed);
    }

    pub(super) fn shipped_at(&self, time: Timestamp) {
        self.last_shipped.store(time.unix_millis(), Relaxed);
    }
}
