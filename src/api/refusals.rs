//! What the log says of gateways' calls that were refused: a gateway shows little of it, and its client nothing.
//!
//! **For:** one line at most for each kind of refusal in [`PAUSE`], however many there are.
//!
//! **Must never know:** what was presented: no value of a message is in the log.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{DecisionPoint, Shared, problem::Problem};
use crate::{
    decision::AskingGateway,
    types::{Clock, PresentedCredential},
};

/// Between two lines about the same.
const PAUSE: Duration = Duration::from_secs(10);

/// The refusals of which the log has told, by face and code.
pub(super) struct Refusals {
    clock: Arc<dyn Clock>,
    kinds: Mutex<BTreeMap<(&'static str, &'static str), Told>>,
}

/// When the last line was written, as an uptime, and how many were left out since.
struct Told {
    last: Duration,
    left_out: u64,
}

impl Refusals {
    pub const fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, kinds: Mutex::new(BTreeMap::new()) }
    }

    /// Notes a refusal. Where a line is due, gives how many of the kind were left out since the last one.
    fn note(&self, face: &'static str, code: &'static str) -> Option<u64> {
        let now = self.clock.uptime();
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        match kinds.get_mut(&(face, code)) {
            Some(told) if now.saturating_sub(told.last) < PAUSE => {
                told.left_out = told.left_out.saturating_add(1);
                None
            }
            Some(told) => Some(std::mem::replace(told, Told { last: now, left_out: 0 }).left_out),
            None => {
                kinds.insert((face, code), Told { last: now, left_out: 0 });
                Some(0)
            }
        }
    }
}

impl DecisionPoint {
    /// Tells the log that a gateway's call was refused, if it is the gateway that has to be set up in another way: it
    /// did not authenticate, or what it sends beside the request is not as it should be. `face`: the path that it asks.
    pub(super) fn refused(&self, face: &'static str, problem: &Problem) {
        if matches!(problem, Problem::Gateway(_) | Problem::Unbelieved | Problem::Invalid(_)) {
            self.misdescribed(face, problem);
        }
    }

    /// The same of any problem whose words repeat no value of the message.
    pub(super) fn misdescribed(&self, face: &'static str, problem: &Problem) {
        let (code, _, _) = problem.kind();
        if let Some(left_out) = self.refusals().note(face, code) {
            tracing::warn!(face, code, why = %problem, left_out, "a gateway's call was refused");
        }
    }
}

impl Shared {
    /// The gateway that asks `face`, as [`DecisionPoint::gateway`] makes it out.
    ///
    /// # Errors
    /// As there. The log tells of it.
    pub(super) fn gateway(
        &self,
        face: &'static str,
        credential: &PresentedCredential,
    ) -> Result<Option<AskingGateway>, Problem> {
        self.point.gateway(credential).inspect_err(|problem| self.point.refused(face, problem))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        time::Duration,
    };

    use super::Refusals;
    use crate::types::{Clock, Timestamp};

    /// Seconds.
    struct HeldClock(AtomicU64);

    impl Clock for HeldClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_seconds(0)
        }

        fn uptime(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn a_kind_is_told_once_in_a_while_with_the_number_of_those_left_out() {
        let clock = Arc::new(HeldClock(AtomicU64::new(0)));
        let refusals = Refusals::new(clock.clone());
        let at = |seconds, face, code| {
            clock.0.store(seconds, Ordering::Relaxed);
            refusals.note(face, code)
        };
        assert_eq!(at(0, "/a", "x.y"), Some(0));
        assert_eq!(at(0, "/a", "x.y"), None);
        assert_eq!(at(9, "/a", "x.y"), None);
        assert_eq!(at(9, "/b", "x.y"), Some(0), "another face");
        assert_eq!(at(9, "/a", "x.z"), Some(0), "another code");
        assert_eq!(at(10, "/a", "x.y"), Some(2));
        assert_eq!(at(11, "/a", "x.y"), None);
        assert_eq!(at(60, "/a", "x.y"), Some(1));
    }
}
