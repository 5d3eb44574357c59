//! How often a caller may.
//!
//! **For:** counting calls in sliding windows, in this process and shared between processes, for the
//! limits that a policy's result names.
//!
//! **Must never know:** who the caller is or what was asked: it sees a name, a key and a number. Nor the
//! policy: a limit comes with its numbers at every call.
//!
//! **What is promised.** In any window no more calls are let through than the limit says, and no call that was
//! refused is counted anywhere. A place is free again one window after its call, and at most that much later: a
//! millisecond for limits up to 60, a sixtieth of the window for larger ones, whose calls are counted in steps of
//! that length ([`window`]). So the error is always on the side of the limit.
//!
//! **Shared** windows lie in Redis, and every process that asks the same Redis counts in them ([`shared`]). Each
//! call that they let through is noted in this process as well. When Redis is away, slow or wrong, this process's
//! own windows decide, at once and with what they know: never more than the limit in each process.
//!
//! **State:** the windows of each key, in this process ([`here`]); of Redis one connection.

mod asked;
mod fingerprint;
mod here;
mod limiter;
mod shared;
#[cfg(test)]
mod told;
mod window;

use std::time::Duration;

pub use limiter::{Limiter, LimiterStatus};
pub use shared::{LimiterError, SharedOptions};

/// Calls that a window can hold. A limit above it is held to it.
const MOST: u32 = 1_000_000;

/// One limit that a policy named, for one key.
///
/// Limits are the same only if everything but `count` is: two policies that give a name other numbers count apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit<'a> {
    /// Whose: the keys of tenants are apart.
    pub tenant: &'a str,
    /// What the policy calls the limit.
    pub name: &'a str,
    /// Of whom it counts the calls. Any text.
    pub key: &'a str,
    /// Calls in a window, 1 to 1,000,000. None is let through with 0; more than 1,000,000 count as 1,000,000.
    pub limit: u32,
    /// How long the window is: whole seconds, from one to a day. Less than a second counts as one.
    pub window: Duration,
    /// How many calls this is: the messages of a batch. 0 counts as 1.
    pub count: u32,
}

/// What became of a call at one of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Whether this limit had room. The call may go on, and is counted, only if all of its limits had.
    pub allowed: bool,
    /// The limit.
    pub limit: u32,
    /// Calls that are left in the window, after this one.
    pub remaining: u32,
    /// How long until there is more room than now; of a refused call, until it would be let through if nobody
    /// else calls, to the millisecond. Zero if all of the window is free. A call of more than the limit never is: the window's length.
    pub reset: Duration,
    /// Whether the answer holds for all processes that share the limiter. Else this process alone has counted.
    pub shared: bool,
    /// Where it was counted, so that it can be taken back.
    place: Place,
}

/// Where a call was counted: the slots of the windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    /// In the key's own window of this process.
    own: Option<u64>,
    /// In the window that the keys without room share.
    common: Option<u64>,
    /// In Redis.
    shared: Option<u64>,
}

/// The bounds of a limiter.
#[derive(Clone, Copy, Debug)]
pub struct LimiterOptions {
    /// How many keys have windows of their own in this process, over all limits. While all of them are in use,
    /// further keys share one window for each limit: they are let through less, never more.
    pub max_keys: usize,
}

impl Default for LimiterOptions {
    /// 1,000,000 keys.
    fn default() -> Self {
        Self { max_keys: 1_000_000 }
    }
}

/// A moment, as windows see it: milliseconds since a fixed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    /// Rounded down: what has passed for sure.
    floor: u64,
    /// Rounded up: a call is never counted as older than it is.
    ceil: u64,
}

impl Moment {
    fn of(uptime: Duration) -> Self {
        let floor = millis(uptime);
        Self {
            floor,
            ceil: floor.saturating_add(u64::from(!uptime.subsec_nanos().is_multiple_of(1_000_000))),
        }
    }
}

/// Whole milliseconds, rounded down. What is too long for them is as long as they can say.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
