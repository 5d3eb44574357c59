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

/// An answer may have been on its way for so long when the first good one was there.
const REST: Duration = Duration::from_secs(2);

impl Outages {
    /// It begins now.
    pub fn begin(&self, what: &'static str, how: &'static str) {
        self.0.lock().unwrap().push(Outage { what, how, from: Instant::now(), back: None, over: None });
    }

    /// What was away last is back now.
    pub fn back(&self) {
        self.0.lock().unwrap().last_mut().expect("an outage").back = Some(Instant::now());
    }

    /// All is well again.
    pub fn over(&self) {
        self.0.lock().unwrap().last_mut().expect("an outage").over = Some(Instant::now());
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
        self.0.lock().unwrap().last().is_some_and(|outage| outage.over.is_none())
    }

    /// All so far.
    pub fn all(&self) -> Vec<Outage> {
        self.0.lock().unwrap().clone()
    }
}
