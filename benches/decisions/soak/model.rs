//! What the right answer is: the data and the policy as they are at a moment, or may be while a change is under way.
//!
//! **Must never know:** how a change is made, or that there is a database.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use super::world;

/// Something that changes during the soak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The global token of a user is revoked.
    Revoked(usize),
    /// A user is disabled.
    Disabled(usize),
    /// The role of a user on a project.
    Role(usize, usize),
    /// A project is public.
    Public(usize),
    /// The policy forbids archives.
    Closed,
}

/// What a user may do on a project; also the number that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    None = 0,
    Viewer = 1,
    Developer = 2,
}

impl Role {
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Viewer => "viewer",
            Self::Developer => "developer",
        }
    }
}

/// A value, from when a decision may have seen it, and from when none sees an earlier one.
#[derive(Clone, Copy)]
struct Step {
    value: u8,
    from: Instant,
    settled: Option<Instant>,
}

/// The state of everything that changes.
#[derive(Default)]
pub struct Model(Mutex<HashMap<Key, Vec<Step>>>);

/// No question takes as long.
const FORGET_AFTER: Duration = Duration::from_secs(120);

impl Model {
    fn first(key: Key) -> u8 {
        match key {
            Key::Role(user, project) => world::role(user, project) as u8,
            Key::Public(project) => u8::from(world::is_public(project)),
            Key::Revoked(_) | Key::Disabled(_) | Key::Closed => 0,
        }
    }

    /// From now on decisions may see this value, or still the one before.
    pub fn begin(&self, key: Key, value: u8) {
        let now = Instant::now();
        let mut all = self.0.lock().unwrap();
        let steps = all.entry(key).or_default();
        // What no question can have seen any more.
        let settled = steps.iter().rposition(|step| {
            step.settled.is_some_and(|settled| now.saturating_duration_since(settled) > FORGET_AFTER)
        });
        steps.drain(..settled.unwrap_or(0));
        steps.push(Step { value, from: now, settled: None });
    }

    /// Questions that are asked from now on see the last value that began.
    pub fn settle(&self, key: Key) {
        if let Some(step) = self.0.lock().unwrap().get_mut(&key).and_then(|steps| steps.last_mut()) {
            step.settled.get_or_insert_with(Instant::now);
        }
    }

    /// The values that a question may have seen that was asked and answered at these moments.
    pub fn possible(&self, key: Key, asked: Instant, answered: Instant) -> Vec<u8> {
        let all = self.0.lock().unwrap();
        let Some(steps) = all.get(&key) else { return vec![Self::first(key)] };
        // The last value that was in force for sure when the question was asked.
        let base = steps.iter().rposition(|step| step.settled.is_some_and(|settled| settled <= asked));
        let mut values = if base.is_none() { vec![Self::first(key)] } else { Vec::new() };
        let later = steps.iter().skip(base.unwrap_or(0)).filter(|step| step.from <= answered);
        values.extend(later.map(|step| step.value));
        values.sort_unstable();
        values.dedup();
        values
    }

    /// The last value that began.
    pub fn latest(&self, key: Key) -> u8 {
        let all = self.0.lock().unwrap();
        all.get(&key).and_then(|steps| steps.last()).map_or_else(|| Self::first(key), |step| step.value)
    }
}
