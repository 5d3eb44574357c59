//! Windows that several processes share, in Redis.
//!
//! One script counts a call at all of its limits: one round trip, and nothing happens between looking and counting.
//! It takes the time from Redis, so the processes' clocks do not matter. If that clock is set back, calls count for
//! as much longer; if it is set forward, they are forgotten as much earlier, and each process's own windows hold on.
//! Keys are `regate:limit:` and a hash, and expire one window after their last call. A Redis cluster is not
//! supported, since it keeps the limits of one call apart.
//!
//! **When Redis fails**, be it that a call gets no answer in time, or one that is no answer to the script, the
//! connection is given up, and calls are counted in this process alone until there is another: none of them waits. The
//! next is made in the background, after a pause that grows from a tenth of a second to five seconds while
//! failures go on.

mod link;
mod script;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::Client;
use thiserror::Error;
use tokio::{runtime::Handle, time::timeout};

use self::{
    link::{Link, Links},
    script::{Scripts, Slot},
};
use super::{Counted, Limit};
use crate::types::{Clock, SecretText};

/// Where the shared windows are.
#[derive(Clone, Debug)]
pub struct SharedOptions {
    /// `redis://[[user]:password@]host[:port][/database]`, or `unix://path`.
    pub url: SecretText,
    /// How long a call waits for Redis. Then this process alone counts it.
    pub timeout: Duration,
}

impl SharedOptions {
    /// With a timeout of 50 ms.
    pub const fn new(url: SecretText) -> Self {
        Self { url, timeout: Duration::from_millis(50) }
    }
}

/// Why there is no limiter. Nothing of the URL is in it: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LimiterError {
    /// It cannot be read.
    #[error("this is no URL of Redis: redis://[[user]:password@]host[:port][/database], or unix://path")]
    Url,
    /// It asks for TLS.
    #[error(
        "regate does not speak TLS to Redis: use redis:// over the loopback, unix://, or a tunnel that speaks TLS"
    )]
    Tls,
}

/// The windows in Redis, and the way there.
pub(super) struct Shared {
    links: Arc<Links>,
    scripts: Arc<Scripts>,
    timeout: Duration,
    failures: AtomicU64,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Shared {
    /// Begins to connect, if there is a runtime.
    pub(super) fn new(options: SharedOptions, clock: Arc<dyn Clock>) -> Result<Arc<Self>, LimiterError> {
        let url = options.url.expose();
        let scheme = url.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if matches!(scheme.as_str(), "rediss" | "valkeys") {
            return Err(LimiterError::Tls);
        }
        let client = Client::open(url).map_err(|_| LimiterError::Url)?;
        let scripts = Arc::new(Scripts::default());
        let links = Arc::new(Links::new(client, Arc::clone(&scripts), clock));
        links.want();
        Ok(Arc::new(Self { links, scripts, timeout: options.timeout, failures: AtomicU64::new(0) }))
    }

    /// The connection, if there is one. If not, one is being made.
    pub(super) fn connection(&self) -> Option<Link> {
        self.links.get()
    }

    /// Whether there is none.
    pub(super) fn is_failing(&self) -> bool {
        !self.links.is_up()
    }

    /// Calls that failed, and connections that could not be made.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed).saturating_add(self.links.failures())
    }

    /// Counts a call at all of its limits, or at none of them. `None` if Redis did not say so in time: perhaps it
    /// counted the call all the same.
    pub(super) async fn count(&self, mut link: Link, limits: &[Limit<'_>]) -> Option<Vec<Counted>> {
        let problem = match timeout(self.timeout, self.scripts.count(&mut link.connection, limits)).await {
            Ok(Ok(counted)) => return Some(counted),
            Ok(Err(problem)) => problem,
            Err(_) => "it did not answer in time".to_owned(),
        };
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.links.lost(&link, &problem);
        None
    }

    /// Takes calls back in the background, as well as it can.
    pub(super) fn take_back<'a>(&self, counted: impl Iterator<Item = (&'a Limit<'a>, u64)>) {
        let slots: Vec<Slot> = counted.map(|(limit, slot)| Slot::of(limit, slot)).collect();
        let (Ok(runtime), false) = (Handle::try_current(), slots.is_empty()) else { return };
        let Some(mut link) = self.links.get() else { return };
        let (scripts, time) = (Arc::clone(&self.scripts), self.timeout);
        runtime.spawn(async move {
            // If this fails the calls count until their window is over, and the next call finds out why.
            let _ = timeout(time, scripts.take_back(&mut link.connection, &slots)).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{LimiterError, SharedOptions};
    use crate::{
        limits::{Limit, Limiter, LimiterOptions},
        types::{SecretText, SystemClock},
    };

    fn limiter(url: &str) -> Result<Limiter, LimiterError> {
        let options = SharedOptions::new(SecretText::new(url.to_owned()));
        assert!(!format!("{options:?}").contains("hunter2"));
        Limiter::shared(options, LimiterOptions::default(), Arc::new(SystemClock))
    }

    #[test]
    fn a_url_is_read_and_never_shown() {
        for url in ["redis://:hunter2@127.0.0.1:1/0", "redis://localhost", "unix:///run/redis.sock"] {
            let limiter = limiter(url).unwrap();
            assert!(limiter.is_shared());
            assert!(!format!("{limiter:?}").contains("hunter2"));
        }
        for url in ["", "hunter2", "http://hunter2@x", "redis://", "redis://:hunter2@x/y", "redis:hunter2"] {
            let error = limiter(url).unwrap_err();
            assert_eq!(error, LimiterError::Url, "{url}");
            assert!(!error.to_string().contains("hunter2") && !format!("{error:?}").contains("hunter2"));
        }
        assert_eq!(limiter("rediss://x").unwrap_err(), LimiterError::Tls);
        assert_eq!(limiter("REDISS://x").unwrap_err(), LimiterError::Tls);
    }

    #[tokio::test]
    async fn without_redis_this_process_counts_at_once() {
        let limiter = limiter("redis://127.0.0.1:1").unwrap();
        let limit = Limit {
            tenant: "t",
            name: "n",
            key: "k",
            limit: 2,
            window: Duration::from_secs(86_400),
            count: 1,
        };
        let mut allowed = 0;
        for _ in 0..5 {
            let counted = limiter.count(&[limit]).await;
            assert!(!counted[0].shared);
            allowed += usize::from(counted[0].allowed);
        }
        assert_eq!(allowed, 2);
        let status = limiter.status();
        assert!(status.shared && status.shared_failing);
        assert_eq!((status.allowed, status.refused), (2, 3));
    }
}
