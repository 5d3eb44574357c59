//! The windows of this process.
//!
//! They lie in maps of their own lock each, so that threads seldom wait for each other. A call at several limits
//! locks the maps of all of them, in the order of their numbers, and the windows without room of their own last.
//!
//! **Memory** is bounded by the number of keys. A key costs an entry of 64 bytes and 8 bytes for each slot that holds
//! calls, 61 at most: measured over 100,000 keys, 189 bytes a key with one call, 210 with ten, 607 with sixty
//! (`cargo bench --bench decisions -- limits`). What has passed is swept: at every call perhaps one map, each about
//! every ten seconds, and all maps when the status is asked for. Windows in use are never thrown away, since a caller
//! could make room for itself by filling the maps with other keys. While they are full, new keys share one window for
//! each limit. A key that gets its own window later begins with what the shared one counted, so that it gets nothing
//! twice.

mod count;

use std::{
    collections::HashMap,
    fmt,
    hash::RandomState,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

pub(super) use self::count::Mode;
use super::{
    Counted, Limit, LimiterOptions, Moment,
    fingerprint::{BuildAsItIs, Fingerprint},
    window::Window,
};
use crate::types::Clock;

/// Maps, so that threads do not wait for each other.
const MAPS: usize = 64;
/// How long it takes to sweep all maps once, in milliseconds, while calls come.
const SWEEP: u64 = 10_000;
/// A map is swept for room or for numbers at most so often, in milliseconds.
const SWEEP_AGAIN: u64 = 1_000;
/// Limits whose keys share a window. With more, nobody without room is let through.
const COMMON_WINDOWS: usize = 1_024;

/// Windows by what they stand for.
type Windows = HashMap<Fingerprint, Window, BuildAsItIs>;

/// One of the maps.
#[derive(Default)]
struct Map {
    windows: Windows,
    /// When it was swept last, in milliseconds.
    swept: u64,
}

/// All windows of this process.
pub(super) struct Here {
    maps: [Mutex<Map>; MAPS],
    common: Mutex<Windows>,
    /// How many are in `common`: to know without its lock that there are none.
    commons: AtomicUsize,
    held: AtomicUsize,
    max_keys: usize,
    crowded: AtomicU64,
    next_sweep: AtomicU64,
    turn: AtomicUsize,
    keyed: RandomState,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Here {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Here").field("max_keys", &self.max_keys).finish_non_exhaustive()
    }
}

/// What a panic left behind is still windows: each is changed in one go.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Here {
    /// No calls so far.
    pub(super) fn new(options: LimiterOptions, clock: Arc<dyn Clock>) -> Self {
        Self {
            maps: std::array::from_fn(|_| Mutex::default()),
            common: Mutex::default(),
            commons: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            max_keys: options.max_keys,
            crowded: AtomicU64::new(0),
            next_sweep: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
            // The one thing here that is random, and none of the answers shows it: the hash's own key, of the
            // operating system's randomness, so that no caller can aim.
            keyed: RandomState::new(),
            clock,
        }
    }

    /// The present moment.
    pub(super) fn moment(&self) -> Moment {
        Moment::of(self.clock.uptime())
    }

    /// How many keys can have a window of their own.
    pub(super) const fn max_keys(&self) -> usize {
        self.max_keys
    }

    /// Takes back what [`Here::count`] counted here. What has passed by now is gone already.
    pub(super) fn take_back(&self, limit: &Limit<'_>, counted: &Counted) {
        let count = limit.count.max(1);
        if let Some(slot) = counted.place.own {
            let print = Fingerprint::of(limit, &self.keyed);
            let Some(map) = self.maps.get(print.part(MAPS)) else { return };
            if let Some(window) = locked(map).windows.get_mut(&print) {
                window.take_back(count, slot);
            }
        }
        if let Some(slot) = counted.place.common {
            let print = Fingerprint::of_all(limit, &self.keyed);
            if let Some(window) = locked(&self.common).get_mut(&print) {
                window.take_back(count, slot);
            }
        }
    }

    /// Keys with a window of their own, limits whose further keys share one, and calls that such a window counted.
    /// Sweeps what is due.
    pub(super) fn status(&self) -> (usize, usize, u64) {
        let now = self.moment();
        for map in &self.maps {
            self.sweep_if_due(&mut locked(map), now);
        }
        self.sweep_common(now);
        let (held, commons) = (self.held.load(Ordering::Relaxed), self.commons.load(Ordering::Relaxed));
        (held, commons, self.crowded.load(Ordering::Relaxed))
    }

    /// Takes the room of one more key, if there is any.
    fn reserve(&self) -> bool {
        let one_more = |held| (held < self.max_keys).then_some(held + 1);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Gives the room of so many keys back.
    fn release(&self, keys: usize) {
        self.held.fetch_sub(keys, Ordering::Relaxed);
    }

    /// Forgets the windows of a map that are over, and gives memory back if most were.
    fn sweep(&self, map: &mut Map, now: Moment) {
        let before = map.windows.len();
        map.windows.retain(|_, window| !window.is_over(now));
        self.release(before - map.windows.len());
        if map.windows.capacity() > 4 * map.windows.len() {
            let room = 2 * map.windows.len();
            map.windows.shrink_to(room);
        }
        map.swept = now.floor;
    }

    /// The same, when there is need of room or numbers.
    fn sweep_if_due(&self, map: &mut Map, now: Moment) {
        if map.swept.saturating_add(SWEEP_AGAIN) <= now.floor {
            self.sweep(map, now);
        }
    }

    fn sweep_common(&self, now: Moment) {
        if self.commons.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut common = locked(&self.common);
        common.retain(|_, window| !window.is_over(now));
        self.commons.store(common.len(), Ordering::Relaxed);
    }

    /// Sweeps the next map, if it is time: called at every call, once its own locks are gone.
    fn sweep_in_turn(&self, now: Moment) {
        let due = self.next_sweep.load(Ordering::Relaxed);
        let next = now.floor.saturating_add(SWEEP / MAPS as u64);
        let (relaxed, free) = (Ordering::Relaxed, now.floor >= due);
        if !free || self.next_sweep.compare_exchange(due, next, relaxed, relaxed).is_err() {
            return;
        }
        let turn = self.turn.fetch_add(1, relaxed) % MAPS;
        match self.maps.get(turn).map(Mutex::try_lock) {
            Some(Ok(mut map)) => self.sweep(&mut map, now),
            Some(Err(TryLockError::Poisoned(map))) => self.sweep(&mut map.into_inner(), now),
            // Somebody counts there: the next time.
            Some(Err(TryLockError::WouldBlock)) | None => {}
        }
        if turn == 0 {
            self.sweep_common(now);
        }
    }
}

#[cfg(test)]
mod tests;
