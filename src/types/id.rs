//! Ids that regate makes: UUIDs of version 7 (RFC 9562), so that they sort by the time they were made.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use uuid::{Builder, Uuid};

use super::Timestamp;

/// Where new ids come from. A test brings a source that counts.
pub trait IdSource: Send {
    /// A new id for something that is made at `now`.
    fn next_id(&mut self, now: Timestamp) -> Uuid;
}

/// UUIDv7 from a generator that is seeded by the operating system once, so that an id on the path
/// of a decision costs no system call. The ids are unique, not secret: no right hangs on one.
#[derive(Debug)]
pub struct RandomIds(StdRng);

impl RandomIds {
    /// A source of its own, seeded by the operating system.
    pub fn new() -> Self {
        Self(rand::make_rng())
    }

    /// A source that repeats itself, for tests.
    pub fn seeded(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }
}

impl Default for RandomIds {
    fn default() -> Self {
        Self::new()
    }
}

impl IdSource for RandomIds {
    fn next_id(&mut self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.unix_millis()).unwrap_or(0);
        Builder::from_unix_timestamp_millis(millis, &self.0.random()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::{IdSource, RandomIds};
    use crate::types::Timestamp;

    #[test]
    fn ids_sort_by_time_and_differ_within_a_millisecond() {
        let mut ids = RandomIds::seeded(1);
        let early = ids.next_id(Timestamp::from_unix_millis(1_000));
        let same = ids.next_id(Timestamp::from_unix_millis(1_000));
        let late = ids.next_id(Timestamp::from_unix_millis(2_000));
        assert!(early < late && same < late);
        assert_ne!(early, same);
        assert_eq!(early.get_version_num(), 7);
    }
}
