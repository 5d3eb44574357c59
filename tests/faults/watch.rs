//! Asking all the time, in a thread of its own.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    MAX_STALENESS,
    scene::{Seen, ask},
};

/// The same question again and again, and every answer to it.
pub struct Watch {
    seen: Arc<Mutex<Vec<Seen>>>,
    end: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watch {
    /// Begins to ask.
    pub fn over(address: &str, token: &'static str) -> Self {
        let (seen, end) = (Arc::new(Mutex::default()), Arc::new(AtomicBool::new(false)));
        let (into, ended, address) = (Arc::clone(&seen), Arc::clone(&end), address.to_owned());
        let thread = thread::spawn(move || {
            let into: &Mutex<Vec<Seen>> = &into;
            while !ended.load(Ordering::Relaxed) {
                let answer = ask(&address, token);
                into.lock().unwrap().push(answer);
                // Often enough to see any moment that matters, and no load.
                thread::sleep(Duration::from_millis(5));
            }
        });
        Self { seen, end, thread: Some(thread) }
    }

    /// Ends, and gives all answers in order.
    pub fn end(mut self) -> Answers {
        self.end.store(true, Ordering::Relaxed);
        let thread = self.thread.take().unwrap();
        thread.join().unwrap();
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        assert!(!seen.is_empty());
        Answers(seen)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Nobody must go on asking a process that a failed test has ended.
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// All answers, in order.
pub struct Answers(Vec<Seen>);

impl Answers {
    /// The right was taken away before `moment`: no question after the bound was allowed, and once denied
    /// it stayed so. There is no tolerance: a question that is asked later is decided later.
    pub fn assert_no_allow_beyond_the_bound(&self, moment: Instant) {
        let late = self.0.iter().find(|seen| seen.allow && seen.asked >= moment + MAX_STALENESS);
        assert!(late.is_none(), "allowed beyond the bound: {:?}", self.changes(moment));
        let mut since = self.0.iter().skip_while(|seen| seen.asked < moment).skip_while(|seen| seen.allow);
        assert!(since.all(|seen| !seen.allow), "denied and allowed again: {:?}", self.changes(moment));
    }

    /// Nothing of what was asked in between was allowed.
    pub fn assert_no_allow_between(&self, from: Instant, to: Instant) {
        let mut between = self.0.iter().filter(|seen| (from..to).contains(&seen.asked));
        assert!(between.all(|seen| !seen.allow), "allowed: {:?}", self.changes(from));
    }

    /// All were allowed.
    pub fn assert_all_allowed(&self) {
        assert!(self.0.iter().all(|seen| seen.allow), "denied: {:?}", self.changes(self.0[0].asked));
    }

    /// None was allowed.
    pub fn assert_none_allowed(&self) {
        assert!(self.0.iter().all(|seen| !seen.allow), "allowed: {:?}", self.changes(self.0[0].asked));
    }

    /// The first answer with this reason.
    pub fn first(&self, reason: &str) -> &Seen {
        let found = self.0.iter().find(|seen| seen.reason == reason);
        found.unwrap_or_else(|| panic!("no {reason}: {:?}", self.changes(self.0[0].asked)))
    }

    /// Each new reason, and the seconds from `start` to when it came.
    fn changes(&self, start: Instant) -> Vec<(f64, &str)> {
        let mut changes: Vec<(f64, &str)> = Vec::new();
        for seen in &self.0 {
            if changes.last().is_none_or(|(_, reason)| *reason != seen.reason) {
                let after = seen.asked.saturating_duration_since(start).as_secs_f64();
                let before = start.saturating_duration_since(seen.asked).as_secs_f64();
                changes.push((after - before, &seen.reason));
            }
        }
        changes
    }
}
