//! Which counters a thread writes to: its own, so that counting takes no operation that other processors hear of.

use std::{
    cell::OnceCell,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

/// So many threads have counters of their own at a time; the others share one set.
const OWN: usize = 16;
/// Sets of counters.
pub(super) const LANES: usize = OWN + 1;

/// The lane of a thread, for as long as it lives.
///
/// INVARIANT: no two threads that live have the same one, but for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lane(usize);

/// A bit for each lane that a thread has.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// Gives the lane back when the thread ends.
struct Held(Lane);

thread_local! {
    static HELD: OnceCell<Held> = const { OnceCell::new() };
}

impl Lane {
    const SHARED: Self = Self(OWN);

    /// That of this thread.
    pub fn of_thread() -> Self {
        // A thread that is about to end has given its own back.
        HELD.try_with(|held| held.get_or_init(|| Held(Self::take())).0).unwrap_or(Self::SHARED)
    }

    /// Its number, below [`LANES`].
    pub const fn number(self) -> usize {
        self.0
    }

    /// Adds to a counter of this lane.
    pub fn add(self, counter: &AtomicU64, amount: u64) {
        if self == Self::SHARED {
            counter.fetch_add(amount, Ordering::Relaxed);
        } else {
            // Nobody else writes it: the invariant.
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
        }
    }

    fn take() -> Self {
        let mut free = Self::SHARED;
        // Whoever had it before has written its last: what it wrote is seen from here on.
        let _ = TAKEN.fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
            let number = taken.trailing_ones();
            free = if (number as usize) < OWN { Self(number as usize) } else { Self::SHARED };
            (free != Self::SHARED).then_some(taken | 1 << number)
        });
        free
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.0 != Lane::SHARED {
            TAKEN.fetch_and(!(1 << self.0.number()), Ordering::AcqRel);
        }
    }
}
