//! Counting one call at all of its limits, or at none of them.

use std::sync::{MutexGuard, atomic::Ordering};

use super::{COMMON_WINDOWS, Here, MAPS, Map, Windows, locked};
use crate::limits::{
    Counted, Limit, Moment, Place,
    asked::{self, each_once},
    fingerprint::Fingerprint,
    window::Window,
};

/// What to do with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::limits) enum Mode {
    /// Only say what would become of it.
    Look,
    /// Count it if there is room.
    Count,
    /// Count it, room or not: somebody else let it through, and was asked at this moment.
    Note(Moment),
}

/// A limit of a call, and what stands for it here.
type Asked<'a, 'l> = asked::Asked<'a, 'l, Fingerprint>;

/// Where the calls of a limit are counted.
enum Room {
    /// In the key's own window.
    Own,
    /// In a window that the key is given now; there is room for it.
    New(Window),
    /// In the window that the keys without room share.
    Common(Fingerprint),
    /// Nowhere: nothing is let through.
    Nowhere,
}

/// The maps that a call needs, locked, and the common windows once they are needed.
struct Held<'h> {
    maps: Vec<(usize, MutexGuard<'h, Map>)>,
    common: Option<MutexGuard<'h, Windows>>,
}

impl Held<'_> {
    fn map(&mut self, print: Fingerprint) -> Option<&mut Map> {
        let part = print.part(MAPS);
        let (_, map) = self.maps.iter_mut().find(|(index, _)| *index == part)?;
        Some(map)
    }
}

impl Here {
    /// Counts a call at all of its limits, or at none of them. The answers are in the order of the limits, and
    /// say of each whether it had room.
    pub(in crate::limits) fn count(&self, limits: &[Limit<'_>], mode: Mode) -> Vec<Counted> {
        if let ([limit], Mode::Count) = (limits, mode)
            && let Some((counted, now)) = self.count_one(limit)
        {
            self.sweep_in_turn(now);
            return vec![counted];
        }
        let (asked, which) = each_once(limits, |limit, _| Fingerprint::of(limit, &self.keyed));
        let (answers, now) = self.count_each(&asked, mode);
        self.sweep_in_turn(now);
        if answers.len() == limits.len() {
            return answers;
        }
        which.iter().filter_map(|index| answers.get(*index).copied()).collect()
    }

    /// The usual call, in one go: at one limit, of a key that has a window of its own.
    fn count_one(&self, limit: &Limit<'_>) -> Option<(Counted, Moment)> {
        let print = Fingerprint::of(limit, &self.keyed);
        let mut map = locked(self.maps.get(print.part(MAPS))?);
        let window = map.windows.get_mut(&print)?;
        let now = self.moment();
        window.pass(now);
        let count = limit.count.max(1);
        let mut counted = before(limit, count, window, now);
        if counted.allowed {
            counted.place.own = Some(window.add(count, now));
            after(&mut counted, window, now);
        }
        Some((counted, now))
    }

    fn count_each(&self, asked: &[Asked<'_, '_>], mode: Mode) -> (Vec<Counted>, Moment) {
        let mut held = self.hold(asked);
        // Once all locks are held: so the times in a window never go back.
        let now = self.moment();
        if self.held.load(Ordering::Relaxed) >= self.max_keys {
            held.maps.iter_mut().for_each(|(_, map)| self.sweep_if_due(map, now));
        }
        let rooms: Vec<Room> = asked.iter().map(|asked| self.room(&mut held, asked, mode, now)).collect();
        let mut answers: Vec<Counted> =
            asked.iter().zip(&rooms).map(|(asked, room)| answer(&mut held, asked, room, now)).collect();
        let counts = match mode {
            Mode::Look => false,
            Mode::Count => answers.iter().all(|answer| answer.allowed),
            Mode::Note(_) => true,
        };
        for ((asked, room), answer) in asked.iter().zip(rooms).zip(&mut answers) {
            if counts {
                let at = if let Mode::Note(asked_at) = mode { asked_at } else { now };
                self.enter(&mut held, asked, room, (at, now), answer);
            } else if matches!((room, mode), (Room::New(_), Mode::Count)) {
                self.release(1);
            }
        }
        (answers, now)
    }

    /// Locks the maps of all limits, in the order of their numbers.
    fn hold(&self, asked: &[Asked<'_, '_>]) -> Held<'_> {
        let mut parts: Vec<usize> = asked.iter().map(|asked| asked.identity.part(MAPS)).collect();
        parts.sort_unstable();
        parts.dedup();
        let maps = parts.iter().filter_map(|part| Some((*part, locked(self.maps.get(*part)?)))).collect();
        Held { maps, common: None }
    }

    /// Where a call is to be counted. Room for a new key is taken, unless this is only a look.
    fn room<'h>(&'h self, held: &mut Held<'h>, asked: &Asked<'_, '_>, mode: Mode, now: Moment) -> Room {
        let Some(map) = held.map(asked.identity) else { return Room::Nowhere };
        if let Some(window) = map.windows.get_mut(&asked.identity) {
            window.pass(now);
            return Room::Own;
        }
        let has_room = mode == Mode::Look || self.reserve();
        // A key that was counted with others begins with their calls, unless somebody else is to decide: then the
        // others' calls are not to stand in its way.
        if has_room && (mode != Mode::Count || self.commons.load(Ordering::Relaxed) == 0) {
            return Room::New(Window::new(asked.shape));
        }
        let print = Fingerprint::of_all(asked.limit, &self.keyed);
        let common = held.common.get_or_insert_with(|| locked(&self.common));
        if !has_room && common.len() < COMMON_WINDOWS {
            common.entry(print).or_insert_with(|| Window::new(asked.shape));
            self.commons.store(common.len(), Ordering::Relaxed);
        }
        let window = common.get_mut(&print);
        match (window, has_room) {
            (Some(window), true) => {
                window.pass(now);
                Room::New(window.clone())
            }
            (None, true) => Room::New(Window::new(asked.shape)),
            (Some(window), false) => {
                window.pass(now);
                Room::Common(print)
            }
            (None, false) => Room::Nowhere,
        }
    }

    /// Counts a call where there is room for it.
    fn enter(
        &self,
        held: &mut Held<'_>,
        asked: &Asked<'_, '_>,
        room: Room,
        (at, now): (Moment, Moment),
        answer: &mut Counted,
    ) {
        let mut add = |window: &mut Window| {
            let slot = window.add(asked.count, at);
            after(answer, window, now);
            Some(slot)
        };
        match room {
            Room::Own => {
                let window = held.map(asked.identity).and_then(|map| map.windows.get_mut(&asked.identity));
                answer.place.own = window.and_then(add);
            }
            Room::New(mut window) => {
                answer.place.own = add(&mut window);
                if let Some(map) = held.map(asked.identity) {
                    map.windows.insert(asked.identity, window);
                }
            }
            Room::Common(print) => {
                let window = held.common.as_mut().and_then(|common| common.get_mut(&print));
                answer.place.common = window.and_then(add);
                self.crowded.fetch_add(1, Ordering::Relaxed);
            }
            Room::Nowhere => {
                self.crowded.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// What becomes of a call, before it is counted.
fn answer(held: &mut Held<'_>, asked: &Asked<'_, '_>, room: &Room, now: Moment) -> Counted {
    let empty = Window::new(asked.shape);
    let window = match room {
        Room::Own => held.map(asked.identity).and_then(|map| map.windows.get(&asked.identity)),
        Room::New(window) => Some(window),
        Room::Common(print) => held.common.as_ref().and_then(|common| common.get(print)),
        Room::Nowhere => None,
    };
    if let Some(window) = window {
        return before(asked.limit, asked.count, window, now);
    }
    // There may be room when some of the windows of others are over.
    let none = before(asked.limit, u32::MAX, &empty, now);
    Counted { allowed: false, remaining: 0, ..none }
}

/// What becomes of so many calls in a window, and how it stands before them.
fn before(limit: &Limit<'_>, count: u32, window: &Window, now: Moment) -> Counted {
    Counted {
        allowed: window.fits(count),
        limit: limit.limit,
        remaining: window.remaining(),
        reset: window.wait(count, now),
        shared: false,
        place: Place::default(),
    }
}

/// How the window stands after them.
fn after(counted: &mut Counted, window: &Window, now: Moment) {
    counted.remaining = window.remaining();
    counted.reset = window.wait(0, now);
}
