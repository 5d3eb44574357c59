//! When something that regate needs was away.
//!
//! **Must never know:** how it is taken away; and what regate says meanwhile.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// One time that something was away or unwell.
#[derive(Clone)]
pub struct Outage {
    pub what: &'static str,
    pub how: &'static str,
    pub from: Instant,
    /// When it was back.
    pub back: Option<Instant>,
    /// When decisions were all right again.
    pub over: Option<Instant>,
}

/// All of them.
#[derive(Default)]
pub struct Outages(Mutex<Vec<Outage>>);

/// What is away when nothing runs, neither regate nor this program.
pub const MACHINE: &str = "the machine";

/// What is known is old when it goes on; so long regate has to ask the database again.
const AFTER_STANDSTILL: Duration = Duration::from_secs(5);

/// An answer may have been on its way for so long when the first good one was there.
const REST: Duration = Duration::from_secs(2);

impl Outages {
    /// It begins now; gives what it is to be called by.
    pub fn begin(&self, what: &'static str, how: &'static str) -> usize {
        let mut all = self.0.lock().unwrap();
        all.push(Outage { what, how, from: Instant::now(), back: None, over: None });
        all.len() - 1
    }

    /// What was away is back now.
    pub fn back(&self, number: usize) {
        self.0.lock().unwrap()[number].back = Some(Instant::now());
    }

    /// All is well again.
    pub fn over(&self, number: usize) {
        self.0.lock().unwrap()[number].over = Some(Instant::now());
    }

    /// It was away from then until now, and nobody did that on purpose.
    pub fn seen(&self, what: &'static str, how: &'static str, from: Instant) {
        let now = Instant::now();
        let over = Some(now + AFTER_STANDSTILL);
        self.0.lock().unwrap().push(Outage { what, how, from, back: Some(now), over });
    }

    /// Whether it was away at some time between these.
    pub fn overlap(&self, what: &str, from: Instant, until: Instant) -> bool {
        let all = self.0.lock().unwrap();
        all.iter()
            .filter(|outage| outage.what == what)
            .any(|outage| outage.from <= until && outage.over.is_none_or(|over| over + REST >= from))
    }

    /// Whether anything is away now.
    pub fn now(&self) -> bool {
        let (all, now) = (self.0.lock().unwrap(), Instant::now());
        all.iter().any(|outage| outage.over.is_none_or(|over| over > now))
    }

    /// All so far.
    pub fn all(&self) -> Vec<Outage> {
        self.0.lock().unwrap().clone()
    }
}
