//! One window: how many calls there were in the time that it looks back on.
//!
//! Time is cut into slots, and a window knows how many calls fell into each. A call belongs to the slot that ends
//! with or after it, and is forgotten one window after the *end* of its slot. So every call of the last window is
//! counted (the count is never too low), and a call is counted at most one slot too long.
//!
//! Up to 60 calls a slot is a millisecond, the finest that times are kept in: no more than 60 slots hold anything.
//! Above, it is a sixtieth of the window (rounded up to milliseconds): no more than 61 do. So a window has a bound
//! in memory whatever its limit is: 61 steps of 8 bytes.

use std::{collections::VecDeque, time::Duration};

use super::{Limit, MOST, Moment, millis};

/// Up to so many calls are told apart by the millisecond; into so many slots the window of more is cut.
const SLOTS: u32 = 60;
/// A step keeps its number of calls in so many bits. `MOST` fits.
const COUNT_BITS: u32 = 20;

/// The numbers of a limit, as its windows use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Calls in a window.
    pub limit: u32,
    /// Its length in milliseconds.
    pub window: u32,
    /// The length of a slot in milliseconds.
    pub slot: u32,
}

impl Shape {
    /// What is out of range is brought into it, on the strict side where there is one.
    pub(super) fn of(limit: &Limit<'_>) -> Self {
        let window = u32::try_from(millis(limit.window.max(Duration::from_secs(1)))).unwrap_or(u32::MAX);
        let calls = limit.limit.min(MOST);
        Self { limit: calls, window, slot: if calls <= SLOTS { 1 } else { window.div_ceil(SLOTS) } }
    }

    /// The slot of a call at this moment.
    fn slot_of(self, moment: Moment) -> u64 {
        moment.ceil.div_ceil(u64::from(self.slot))
    }

    /// A wait that is longer than the window by a part of a millisecond is the window: else whoever calls once in a
    /// minute would be told to wait for 61 seconds.
    fn at_most_the_window(self, wait: u64) -> u64 {
        if self.slot == 1 { wait.min(u64::from(self.window)) } else { wait }
    }

    /// From when on the calls of a slot count no more.
    fn free(self, slot: u64) -> u64 {
        slot.saturating_mul(u64::from(self.slot)).saturating_add(u64::from(self.window))
    }
}

/// The calls of one slot: its number, and below it how many.
#[derive(Clone, Copy, Debug)]
struct Step(u64);

impl Step {
    /// `count` is at most `MOST`.
    fn new(slot: u64, count: u32) -> Self {
        Self(slot << COUNT_BITS | u64::from(count.min(MOST)))
    }

    fn slot(self) -> u64 {
        self.0 >> COUNT_BITS
    }

    fn count(self) -> u32 {
        // Never fails: the bits that are left are fewer than 32.
        u32::try_from(self.0 & ((1 << COUNT_BITS) - 1)).unwrap_or(MOST)
    }
}

/// The calls of one key, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Window {
    steps: VecDeque<Step>,
    used: u32,
    shape: Shape,
}

impl Window {
    pub(super) const fn new(shape: Shape) -> Self {
        Self { steps: VecDeque::new(), used: 0, shape }
    }

    /// Forgets what counts no more.
    pub(super) fn pass(&mut self, now: Moment) {
        while let Some(step) = self.steps.front().filter(|step| self.shape.free(step.slot()) <= now.floor) {
            self.used = self.used.saturating_sub(step.count());
            self.steps.pop_front();
        }
    }

    /// Whether nothing counts any more.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        self.steps.back().is_none_or(|step| self.shape.free(step.slot()) <= now.floor)
    }

    /// Whether so many more calls fit in. To be asked after [`Window::pass`].
    pub(super) fn fits(&self, count: u32) -> bool {
        count <= self.remaining()
    }

    /// How many fit in.
    pub(super) fn remaining(&self) -> u32 {
        self.shape.limit.saturating_sub(self.used)
    }

    /// How long until so many calls fit in, if they do not now; else until more fit in than now, and zero if
    /// nothing counts. More calls than the limit never fit in: the window's length.
    pub(super) fn wait(&self, count: u32, now: Moment) -> Duration {
        if count > self.shape.limit {
            return Duration::from_millis(u64::from(self.shape.window));
        }
        let missing = self.used.saturating_add(count).saturating_sub(self.shape.limit).max(1);
        let mut freed = 0;
        let enough = self.steps.iter().find(|step| {
            freed += step.count();
            freed >= missing
        });
        let free = enough.map_or(now.floor, |step| self.shape.free(step.slot()));
        Duration::from_millis(self.shape.at_most_the_window(free.saturating_sub(now.floor)))
    }

    /// Counts calls, whether or not they fit in, and says in which slot.
    ///
    /// Beyond the limit only the newest calls that fill it are kept: while those count, nothing fits in, and by
    /// then the older ones have passed.
    pub(super) fn add(&mut self, count: u32, now: Moment) -> u64 {
        // Moments come in order, but for calls that are noted after Redis was asked.
        let last = self.steps.back().map_or(0, |step| step.slot());
        let slot = self.shape.slot_of(now).max(last);
        let before = self.steps.pop_back_if(|step| step.slot() == slot).map_or(0, Step::count);
        let counted = before.saturating_add(count).min(MOST);
        self.used = self.used.saturating_sub(before).saturating_add(counted);
        self.steps.push_back(Step::new(slot, counted));
        while let Some(oldest) = self.steps.front() {
            if self.used.saturating_sub(oldest.count()) < self.shape.limit {
                break;
            }
            self.used = self.used.saturating_sub(oldest.count());
            self.steps.pop_front();
        }
        slot
    }

    /// Takes calls back that were counted in a slot. What has passed already is gone.
    pub(super) fn take_back(&mut self, count: u32, slot: u64) {
        let Some(index) = self.steps.iter().rposition(|step| step.slot() == slot) else { return };
        let Some(step) = self.steps.get_mut(index) else { return };
        let left = step.count().saturating_sub(count);
        self.used = self.used.saturating_sub(step.count() - left);
        *step = Step::new(slot, left);
        if left == 0 {
            self.steps.remove(index);
        }
    }
}

#[cfg(test)]
mod tests;
