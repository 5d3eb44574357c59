//! What happened: answers, refusals, delays, and whatever must not happen.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

/// Microseconds, up to a minute and a half.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(90_000_000, 3).expect("a histogram")
}

/// Counts by name.
pub type Counts = BTreeMap<String, u64>;

/// What the sampler takes each second.
pub struct Second {
    pub latencies: Histogram<u64>,
    pub refusals: Counts,
}

struct State {
    second: Second,
    counts: BTreeMap<&'static str, Counts>,
    failures: Vec<String>,
    failed: u64,
    delays: BTreeMap<&'static str, Histogram<u64>>,
    answered: Vec<Answered>,
    reasons: Vec<String>,
}

/// A decision that a client got an answer with: what the log must have of it.
#[derive(Clone, Copy)]
pub struct Answered {
    pub id: u128,
    pub allow: bool,
    /// The place of its reason among those of [`Tally::take_answered`].
    pub reason: u16,
}

/// Shared by all that ask and change.
pub struct Tally(Mutex<State>, pub Instant);

/// Failures that are kept in full; all are counted.
const KEPT: usize = 200;

impl Default for Tally {
    fn default() -> Self {
        Self(
            Mutex::new(State {
                second: Second { latencies: histogram(), refusals: Counts::new() },
                counts: BTreeMap::new(),
                failures: Vec::new(),
                failed: 0,
                delays: BTreeMap::new(),
                answered: Vec::new(),
                reasons: Vec::new(),
            }),
            Instant::now(),
        )
    }
}

impl Tally {
    /// Something that must not happen.
    pub fn fail(&self, what: impl Into<String>) {
        let what = format!("{:7.1} s: {}", self.1.elapsed().as_secs_f64(), what.into());
        let mut state = self.0.lock().unwrap();
        state.failed += 1;
        if state.failures.len() < KEPT {
            eprintln!("FAILED at {what}");
            state.failures.push(what);
        }
    }

    /// One more of these.
    pub fn count(&self, group: &'static str, name: &str) {
        let mut state = self.0.lock().unwrap();
        let counts = state.counts.entry(group).or_default();
        match counts.get_mut(name) {
            Some(count) => *count += 1,
            None => drop(counts.insert(name.to_owned(), 1)),
        }
    }

    /// How many there were.
    pub fn counted(&self, group: &str) -> Counts {
        self.0.lock().unwrap().counts.get(group).cloned().unwrap_or_default()
    }

    /// An honest client's answer came after so long.
    pub fn latency(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.lock().unwrap().second.latencies.saturating_record(micros.max(1));
    }

    /// A refusal that is allowed for: it fails closed.
    pub fn refused(&self, reason: &str) {
        self.count("refusals", reason);
        let mut state = self.0.lock().unwrap();
        *state.second.refusals.entry(reason.to_owned()).or_default() += 1;
    }

    /// How long something took.
    pub fn delay(&self, what: &'static str, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        let mut state = self.0.lock().unwrap();
        state.delays.entry(what).or_insert_with(histogram).saturating_record(micros.max(1));
    }

    /// An answer with a decision.
    pub fn answered(&self, id: u128, allow: bool, reason: &str) {
        let mut state = self.0.lock().unwrap();
        let place = state.reasons.iter().position(|known| known == reason).unwrap_or_else(|| {
            state.reasons.push(reason.to_owned());
            state.reasons.len() - 1
        });
        state.answered.push(Answered { id, allow, reason: u16::try_from(place).unwrap_or(u16::MAX) });
    }

    /// What came since this was last asked for.
    pub fn take_second(&self) -> Second {
        let empty = Second { latencies: histogram(), refusals: Counts::new() };
        std::mem::replace(&mut self.0.lock().unwrap().second, empty)
    }

    /// All decisions that were answered, and their reasons.
    pub fn take_answered(&self) -> (Vec<Answered>, Vec<String>) {
        let mut state = self.0.lock().unwrap();
        (std::mem::take(&mut state.answered), state.reasons.clone())
    }

    /// How many answers with a decision there were.
    pub fn decisions(&self) -> usize {
        self.0.lock().unwrap().answered.len()
    }

    /// How much failed, and the first of it.
    pub fn failures(&self) -> (u64, Vec<String>) {
        let state = self.0.lock().unwrap();
        (state.failed, state.failures.clone())
    }

    /// All delays, by what they are of.
    pub fn delays(&self) -> BTreeMap<&'static str, Histogram<u64>> {
        self.0.lock().unwrap().delays.clone()
    }
}
