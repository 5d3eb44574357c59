//! Time as a parameter.

use std::{
    fmt,
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A moment in UTC, in milliseconds since 1970-01-01.
///
/// Decisions see whole seconds ([`Timestamp::unix_seconds`], rounded down), so an expiry is reached
/// at its own second and never later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since 1970. Values beyond the range of milliseconds are kept at its end.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since 1970.
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// So many days later; earlier, if there are fewer than none. Values beyond the range are kept at its end.
    pub const fn plus_days(self, days: i64) -> Self {
        const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
        Self(self.0.saturating_add(days.saturating_mul(DAY_MILLIS)))
    }

    /// This much later. Values beyond the range are kept at its end.
    pub fn later_by(self, time: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This much earlier. Values beyond the range are kept at its end.
    pub fn earlier_by(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds; what no calendar has is written as the nearest moment that it has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nearest = if self.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        write!(f, "{:.3}", jiff::Timestamp::from_millisecond(self.0).unwrap_or(nearest))
    }
}

/// Where the time comes from. The only implementation that reads the machine's clock is
/// [`SystemClock`]; `clippy.toml` bans reading it elsewhere.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// How long a fixed moment of this process lies back. It never goes backwards, whatever is done to
    /// the machine's date; it may stand still while the machine sleeps.
    fn uptime(&self) -> Duration;

    /// Both, for measuring ages.
    fn reading(&self) -> ClockReading {
        ClockReading { now: self.now(), uptime: self.uptime() }
    }
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// The date.
    pub now: Timestamp,
    /// The clock that never goes backwards.
    pub uptime: Duration,
}

impl ClockReading {
    /// The same on both clocks, this much later.
    pub fn later_by(self, time: Duration) -> Self {
        Self { now: self.now.later_by(time), uptime: self.uptime.saturating_add(time) }
    }

    /// How long `earlier` lies back: what the clock says that saw more. One of the two may have stood
    /// still (the machine slept) or been set back; an age that is too high is the safe error.
    pub fn since(self, earlier: Self) -> Duration {
        let by_date = self.now.unix_millis().saturating_sub(earlier.now.unix_millis());
        let by_date = Duration::from_millis(u64::try_from(by_date).unwrap_or(0));
        by_date.max(self.uptime.saturating_sub(earlier.uptime))
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        // A clock before 1970 reads as 1970: every expiry then lies in the future, but so it would
        // for any clock that is wrong by decades, and no panic can come of it.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    #[allow(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn uptime(&self) -> Duration {
        static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGINNING.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ClockReading, Timestamp};

    #[test]
    fn an_age_is_what_the_clock_says_that_saw_more() {
        let at = |millis, uptime| ClockReading {
            now: Timestamp::from_unix_millis(millis),
            uptime: Duration::from_millis(uptime),
        };
        let age = |from: ClockReading, to: ClockReading| to.since(from).as_millis();
        assert_eq!(age(at(1_000, 10), at(1_500, 510)), 500);
        // The date was set back; the machine slept; nothing happened.
        assert_eq!(age(at(1_000, 10), at(0, 510)), 500);
        assert_eq!(age(at(1_000, 10), at(9_000, 20)), 8_000);
        assert_eq!(age(at(1_000, 10), at(1_000, 10)), 0);
    }

    #[test]
    fn a_moment_moves_both_ways_and_stays_in_its_range() {
        let (moment, second) = (Timestamp::from_unix_millis(10), Duration::from_secs(1));
        assert_eq!(moment.later_by(second).unix_millis(), 1_010);
        assert_eq!(moment.earlier_by(second).unix_millis(), -990);
        assert_eq!(moment.later_by(Duration::MAX).unix_millis(), i64::MAX);
        assert_eq!(Timestamp::from_unix_millis(-2).earlier_by(Duration::MAX).unix_millis(), i64::MIN);
    }

    #[test]
    fn seconds_are_rounded_down_on_both_sides_of_1970() {
        assert_eq!(Timestamp::from_unix_millis(1_999).unix_seconds(), 1);
        assert_eq!(Timestamp::from_unix_millis(-1).unix_seconds(), -1);
        assert_eq!(Timestamp::from_unix_millis(1_799_999_999_050).to_string(), "2027-01-15T07:59:59.050Z");
        assert!(Timestamp::from_unix_millis(i64::MAX).to_string().starts_with("9999-12-"));
        assert_eq!(Timestamp::from_unix_seconds(i64::MAX).unix_millis(), i64::MAX);
    }
}
