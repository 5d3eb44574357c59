//! From the marks that were reached to what became of each body.

use std::collections::BTreeMap;

use regorus::Value;

use crate::decision::trace::{Event, Outline, Seen};

/// What became of the bodies that were entered, by their place in the outline.
pub(in crate::decision) type Followed = BTreeMap<usize, BodyRecord>;

/// What became of one body, which may have been entered many times: a function's is with each call, a
/// loop's with each turn.
#[derive(Clone, Debug, Default)]
pub(in crate::decision) struct BodyRecord {
    /// When it was first entered: the number of the mark.
    pub first: usize,
    /// It was entered so many times.
    pub attempts: usize,
    /// All of its conditions held, at least once.
    pub held: bool,
    /// The variables when they did, for the last time.
    pub held_with: Option<Value>,
    /// The attempt that came furthest and failed; of equals, the last.
    pub failed: Option<Attempt>,
    open: Option<Attempt>,
}

/// One attempt at the conditions of a body.
#[derive(Clone, Debug)]
pub(in crate::decision) struct Attempt {
    /// The condition that it came to.
    pub condition: usize,
    /// The variables that had a value.
    pub variables: Value,
    /// What the condition compared, as lists that are empty for undefined.
    pub values: Option<Value>,
    held: bool,
}

/// Puts the marks together.
pub(in crate::decision) fn follow(outline: &Outline, events: &[Event]) -> Followed {
    let mut followed = Followed::new();
    for (moment, event) in events.iter().enumerate() {
        let Some(body) = outline.bodies.get(event.body) else { continue };
        let record = followed
            .entry(event.body)
            .or_insert_with(|| BodyRecord { first: moment, ..BodyRecord::default() });
        match &event.seen {
            Seen::Variables(variables) => {
                if event.condition == 0 {
                    record.close();
                    record.attempts += 1;
                }
                record.reach(event.condition, variables, body.conditions.len());
            }
            Seen::Values(values) => {
                if let Some(open) = record.open.as_mut().filter(|open| open.condition == event.condition) {
                    open.values = Some(values.clone());
                }
            }
        }
    }
    followed.values_mut().for_each(BodyRecord::close);
    followed
}

impl BodyRecord {
    fn reach(&mut self, condition: usize, variables: &Value, all: usize) {
        if condition >= all {
            self.held = true;
            self.held_with = Some(variables.clone());
        }
        let held = condition >= all;
        match &mut self.open {
            // In a loop the marks go back: what came furthest counts, and of equals the last.
            Some(open) if condition < open.condition => {}
            open => {
                let held = held || open.as_ref().is_some_and(|open| open.held);
                *open = Some(Attempt { condition, variables: variables.clone(), values: None, held });
            }
        }
    }

    fn close(&mut self) {
        let Some(attempt) = self.open.take().filter(|attempt| !attempt.held) else { return };
        if self.failed.as_ref().is_none_or(|failed| attempt.condition >= failed.condition) {
            self.failed = Some(attempt);
        }
    }
}
