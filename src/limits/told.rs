//! A clock that tests tell the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Limit, Limiter, LimiterOptions};
use crate::types::{Clock, Timestamp};

#[derive(Debug, Default)]
pub(super) struct ToldClock(AtomicU64);

impl ToldClock {
    pub(super) fn pass(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for ToldClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(0)
    }

    fn uptime(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

/// A limiter of so many keys, and its clock.
pub(super) fn limiter(max_keys: usize) -> (Limiter, Arc<ToldClock>) {
    let clock = Arc::new(ToldClock::default());
    (Limiter::local(LimiterOptions { max_keys }, Arc::clone(&clock) as Arc<dyn Clock>), clock)
}

/// One call in a window of a minute.
pub(super) const fn limit(key: &str, limit: u32) -> Limit<'_> {
    Limit { tenant: "acme", name: "mcp.logs", key, limit, window: Duration::from_secs(60), count: 1 }
}
