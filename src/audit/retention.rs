//! Records that are old enough go, the oldest first, and what is left can still be verified.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::sleep;

use crate::{
    store::{StoreError, decisions::DecisionStore},
    types::{Clock, causes},
};

/// Records that go in one transaction: few enough that nobody waits for it.
const STEP: u32 = 1_000;
/// The rest between two of them.
const REST: Duration = Duration::from_millis(100);

/// For how long records are kept.
#[derive(Clone, Copy, Debug)]
pub struct RetentionSettings {
    /// How old a record may become.
    pub age: Duration,
    /// How often is looked.
    pub interval: Duration,
}

impl Default for RetentionSettings {
    /// 90 days; every hour.
    fn default() -> Self {
        Self { age: Duration::from_secs(90 * 24 * 60 * 60), interval: Duration::from_secs(60 * 60) }
    }
}

/// What retention did since the start of the process.
#[derive(Debug, Default)]
pub struct RetentionStatus {
    pruned: AtomicU64,
    failures: AtomicU64,
    failing: AtomicBool,
}

impl RetentionStatus {
    /// Records that are gone.
    pub fn pruned(&self) -> u64 {
        self.pruned.load(Relaxed)
    }

    /// Attempts that failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Whether the last one did.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Relaxed)
    }
}

/// Takes away all records that are older, and gives how many. Any number of processes may.
///
/// # Errors
/// The store's; some may be gone by then.
pub async fn prune(
    store: &dyn DecisionStore,
    clock: &dyn Clock,
    age: Duration,
    rest: Duration,
) -> Result<u64, StoreError> {
    let now = clock.now();
    let mut gone = 0;
    loop {
        let step = store.prune_decisions(now.earlier_by(age), STEP, now).await?;
        gone += step.records;
        if !step.more {
            return Ok(gone);
        }
        sleep(rest).await;
    }
}

/// Prunes now and at the interval, for ever. To drop it at any moment is harmless.
pub async fn keep_pruned(
    store: Arc<dyn DecisionStore>,
    clock: Arc<dyn Clock>,
    settings: RetentionSettings,
    status: Arc<RetentionStatus>,
) {
    let mut said = None;
    loop {
        let pruned = prune(&*store, &*clock, settings.age, REST).await;
        status.failing.store(pruned.is_err(), Relaxed);
        match pruned {
            Ok(records) => {
                said = None;
                status.pruned.fetch_add(records, Relaxed);
                if records > 0 {
                    tracing::info!(records, "decisions that were kept for long enough are gone from the log");
                }
            }
            Err(error) => {
                status.failures.fetch_add(1, Relaxed);
                let problem = causes(&error).join(": ");
                if said.as_ref() != Some(&problem) {
                    tracing::warn!(%problem, "old decisions cannot be taken from the log");
                    said = Some(problem);
                }
            }
        }
        sleep(settings.interval).await;
    }
}
