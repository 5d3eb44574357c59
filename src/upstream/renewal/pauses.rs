//! Authorization servers that cannot be reached are left alone for a while, each as a whole: what waits for one of
//! them would otherwise take the time of all.

use std::{collections::HashMap, time::Duration};

use crate::{store::upstreams::Renewal, types::TenantId};

/// The longest pause, also with what chance adds to it.
const LONGEST: Duration = Duration::from_secs(10 * 60);
/// Servers that are remembered. Of more, the one whose pause ends first is forgotten, and asked again.
const MOST: usize = 4_096;

/// A token endpoint as a tenant names it. Tenants do not share one: what one of them configures says nothing about
/// another's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Endpoint {
    pub tenant: TenantId,
    url: String,
}

impl Endpoint {
    pub fn of(renewal: &Renewal) -> Self {
        Self { tenant: renewal.key.tenant.clone(), url: renewal.oauth.token_endpoint.clone() }
    }
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    /// How long, without chance: the next is twice as long.
    length: Duration,
    /// Until when, as the process's uptime.
    until: Duration,
}

/// Who is left alone, and until when. All moments are uptimes, which no change of the date moves.
#[derive(Debug)]
pub(super) struct Pauses {
    first: Duration,
    paused: HashMap<Endpoint, Pause>,
}

impl Pauses {
    pub fn new(first: Duration) -> Self {
        Self { first, paused: HashMap::new() }
    }

    /// For how long this server is still to be left alone.
    pub fn remaining(&self, endpoint: &Endpoint, uptime: Duration) -> Option<Duration> {
        let pause = self.paused.get(endpoint)?;
        pause.until.checked_sub(uptime).filter(|remaining| !remaining.is_zero())
    }

    /// It could not be reached. Gives for how long it is left alone: each time for twice as long as before, and longer
    /// by this part, which is by chance.
    pub fn failed(&mut self, endpoint: &Endpoint, uptime: Duration, chance: f64) -> Duration {
        // Two that were under way fail at the same time: that is one failure.
        if let Some(remaining) = self.remaining(endpoint, uptime) {
            return remaining;
        }
        let before = self.paused.get(endpoint).map(|pause| pause.length);
        let length = before.map_or(self.first, |length| length * 2).min(LONGEST);
        let pause = length.mul_f64(1.0 + chance).min(LONGEST);
        if before.is_none() && self.paused.len() >= MOST {
            let soonest = self.paused.iter().min_by_key(|(_, pause)| pause.until);
            if let Some(soonest) = soonest.map(|(endpoint, _)| endpoint.clone()) {
                self.paused.remove(&soonest);
            }
        }
        self.paused.insert(endpoint.clone(), Pause { length, until: uptime + pause });
        pause
    }

    /// It answered.
    pub fn answered(&mut self, endpoint: &Endpoint) {
        self.paused.remove(endpoint);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Endpoint, LONGEST, MOST, Pauses};
    use crate::types::TenantId;

    fn endpoint(number: usize) -> Endpoint {
        Endpoint { tenant: TenantId::default_tenant(), url: format!("https://{number}.example/token") }
    }

    #[test]
    fn a_pause_doubles_up_to_ten_minutes_and_an_answer_ends_it() {
        let seconds = Duration::from_secs;
        let mut pauses = Pauses::new(seconds(30));
        let mut uptime = seconds(1);
        for expected in [30, 60, 120, 240, 480, 600, 600] {
            assert_eq!(pauses.failed(&endpoint(1), uptime, 0.0), seconds(expected));
            // The other that was under way does not make it longer.
            assert_eq!(pauses.failed(&endpoint(1), uptime + seconds(1), 0.5), seconds(expected - 1));
            assert_eq!(pauses.remaining(&endpoint(2), uptime), None);
            uptime += seconds(expected);
            assert_eq!(pauses.remaining(&endpoint(1), uptime), None);
        }
        pauses.answered(&endpoint(1));
        assert_eq!(pauses.failed(&endpoint(1), uptime, 0.5), seconds(45));
        assert_eq!(pauses.remaining(&endpoint(1), uptime), Some(seconds(45)));
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let mut pauses = Pauses::new(LONGEST);
        for number in 0..MOST + 10 {
            pauses.failed(&endpoint(number), Duration::from_millis(number as u64), 0.0);
        }
        assert_eq!(pauses.paused.len(), MOST);
        let now = Duration::from_secs(5);
        assert!(pauses.remaining(&endpoint(9), now).is_none());
        assert!(pauses.remaining(&endpoint(10), now).is_some());
    }
}
