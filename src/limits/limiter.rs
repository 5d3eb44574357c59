//! The limiter that others call.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{
    Counted, Limit, LimiterError, LimiterOptions, SharedOptions,
    here::{Here, Mode},
    shared::Shared,
};
use crate::types::Clock;

/// Counts calls. To be shared in an `Arc`.
#[derive(Debug)]
pub struct Limiter {
    pub(super) here: Here,
    shared: Option<Arc<Shared>>,
    allowed: AtomicU64,
    refused: AtomicU64,
}

/// How a limiter stands. Numbers of calls are since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimiterStatus {
    /// Keys with a window of their own in this process.
    pub keys: usize,
    /// How many can have one.
    pub max_keys: usize,
    /// Limits whose further keys share a window at this moment, because there is no room. 0 is good.
    pub crowded_limits: usize,
    /// Calls that were counted in such a window, each time once for each limit.
    pub crowded: u64,
    /// Calls that were let through.
    pub allowed: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Whether Redis is configured.
    pub shared: bool,
    /// Whether Redis is configured and not in use: away, slow, wrong, or not asked yet. This process counts alone.
    pub shared_failing: bool,
    /// How often Redis did not answer a call in time or as it should, or could not be reached.
    pub shared_failures: u64,
}

impl Limiter {
    /// One that counts in this process alone.
    pub fn local(options: LimiterOptions, clock: Arc<dyn Clock>) -> Self {
        let here = Here::new(options, clock);
        Self { here, shared: None, allowed: AtomicU64::new(0), refused: AtomicU64::new(0) }
    }

    /// One that shares its windows through Redis. It need not be up: a connection is made in the background, from
    /// now on in a runtime, otherwise from the first call on.
    ///
    /// # Errors
    /// If the URL is not one of Redis.
    pub fn shared(
        redis: SharedOptions,
        options: LimiterOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LimiterError> {
        let shared = Shared::new(redis, Arc::clone(&clock))?;
        Ok(Self { shared: Some(shared), ..Self::local(options, clock) })
    }

    /// Whether Redis is configured.
    pub const fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Counts one call at all of its limits, or at none of them if one is exhausted, in this process alone. The
    /// answers are in the order of the limits; the call may go on if all are allowed. Without limits it may.
    pub fn count_here(&self, limits: &[Limit<'_>]) -> Vec<Counted> {
        let counted = self.here.count(limits, Mode::Count);
        self.note(&counted);
        counted
    }

    /// The same in Redis, in one round trip for all limits. [`Limiter::count_here`] decides if Redis is not
    /// configured or not connected, does not answer within its time, or answers something else.
    pub async fn count(&self, limits: &[Limit<'_>]) -> Vec<Counted> {
        let Some(shared) = self.shared.as_ref().filter(|_| !limits.is_empty()) else {
            return self.count_here(limits);
        };
        let Some(connection) = shared.connection() else {
            return self.count_here(limits);
        };
        // What is exhausted by this process's own calls is exhausted. So the limit holds in each process even
        // when Redis comes, goes and forgets, and a flood of refused calls does not reach it.
        let before = self.here.moment();
        let mut looked = self.here.count(limits, Mode::Look);
        if looked.iter().any(|counted| !counted.allowed) {
            looked.iter_mut().for_each(|counted| counted.shared = true);
            self.note(&looked);
            return looked;
        }
        let Some(mut counted) = shared.count(connection, limits).await else {
            return self.count_here(limits);
        };
        if counted.iter().all(|counted| counted.allowed) {
            let here = self.here.count(limits, Mode::Note(before));
            for (counted, here) in counted.iter_mut().zip(here) {
                counted.place.own = here.place.own;
                counted.place.common = here.place.common;
            }
        }
        self.note(&counted);
        counted
    }

    /// Takes back a call that was counted and then did not happen. `limits` and `counted` are what the call was
    /// counted with, and the answer. In this process it is done when this returns, in Redis soon afterwards, if
    /// it is there. A refused call was counted nowhere, and nothing is taken back.
    pub fn take_back(&self, limits: &[Limit<'_>], counted: &[Counted]) {
        for (limit, counted) in limits.iter().zip(counted) {
            self.here.take_back(limit, counted);
        }
        if let Some(shared) = &self.shared {
            let slots = limits.iter().zip(counted);
            shared.take_back(slots.filter_map(|(limit, counted)| Some((limit, counted.place.shared?))));
        }
    }

    /// How it stands. Looks at all windows, so ask as often as metrics are read.
    pub fn status(&self) -> LimiterStatus {
        let (keys, crowded_limits, crowded) = self.here.status();
        LimiterStatus {
            keys,
            max_keys: self.here.max_keys(),
            crowded_limits,
            crowded,
            allowed: self.allowed.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            shared: self.shared.is_some(),
            shared_failing: self.shared.as_ref().is_some_and(|shared| shared.is_failing()),
            shared_failures: self.shared.as_ref().map_or(0, |shared| shared.failures()),
        }
    }

    fn note(&self, counted: &[Counted]) {
        let allowed = counted.iter().all(|counted| counted.allowed);
        if allowed { &self.allowed } else { &self.refused }.fetch_add(1, Ordering::Relaxed);
    }
}
