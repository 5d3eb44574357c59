//! Conditions that no question comes past: what a rule says behind them was never tried.
//!
//! A rule that states what must never be, and is misspelt, never holds either. Of the conditions in a body only the
//! last may fail for every question; what fails for all of them further in front hides the rest.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::decision::{
    Document,
    interpreter::{Interpreter, RuleTest},
    trace::{Event, FEW_EVENTS, Outline, Seen},
};

/// A condition that no question came past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IdleCondition {
    /// The policy file.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// As written.
    pub condition: String,
    /// What had no value for any question, as written; none where the condition just never held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undefined: Option<String>,
}

impl Interpreter {
    /// The conditions of a rule, and of the rules of its file that it asks, that none of these questions came past:
    /// data and input. Fields of the rule at `answer` that never have a value stand for all others.
    pub fn idle_conditions(
        &self,
        rule: &RuleTest,
        answer: &str,
        questions: impl IntoIterator<Item = (Document, Document)>,
    ) -> Vec<IdleCondition> {
        let Some((_, tracer)) = self.tracer() else { return Vec::new() };
        let mut idle = Idle::new(tracer.outline(), rule, answer);
        for (data, input) in questions {
            if idle.open.is_empty() && idle.fields.is_empty() {
                break;
            }
            let recording = tracer.record(&rule.path, data, Some(input), FEW_EVENTS);
            recording.events.iter().for_each(|event| idle.see(event));
        }
        idle.told()
    }
}

/// A body and a condition in it, by their places in the outline.
type Place = (usize, usize);

/// What no question came past so far.
struct Idle<'a> {
    outline: &'a Outline,
    /// Conditions that did not hold, with others behind them, and whether they were reached.
    open: BTreeMap<Place, bool>,
    /// Fields of the answer that had no value, by their place among what a condition compares, and whether the
    /// condition was reached.
    fields: BTreeMap<(Place, usize), bool>,
}

impl<'a> Idle<'a> {
    fn new(outline: &'a Outline, rule: &RuleTest, answer: &str) -> Self {
        let mut idle = Self { outline, open: BTreeMap::new(), fields: BTreeMap::new() };
        // A helper of a helper may have alternatives that no question needs; what the invariant asks itself has not.
        let near = idle.asked(&BTreeSet::from([rule.path.as_str()]), &rule.file);
        let mut all = near.clone();
        loop {
            let more = idle.asked(&all, &rule.file);
            if more.len() == all.len() {
                break;
            }
            all = more;
        }
        for path in &all {
            for body in outline.bodies_of(path) {
                let conditions = &outline.bodies[body].conditions;
                for (place, condition) in conditions.iter().enumerate() {
                    if near.contains(path) && place + 1 < conditions.len() {
                        idle.open.insert((body, place), false);
                    }
                    for (part, text) in condition.compared.iter().enumerate() {
                        if text.strip_prefix(answer).is_some_and(|field| field.starts_with(['.', '['])) {
                            idle.fields.insert(((body, place), part), false);
                        }
                    }
                }
            }
        }
        idle
    }

    /// These rules and those of the file that they ask.
    fn asked(&self, paths: &BTreeSet<&'a str>, file: &str) -> BTreeSet<&'a str> {
        let definitions = &self.outline.definitions;
        let here = || definitions.iter().filter(|definition| definition.file == file);
        let asking = here().filter(|definition| paths.contains(definition.path.as_str()));
        let asked: BTreeSet<&str> =
            asking.flat_map(|definition| definition.asks.iter().map(String::as_str)).collect();
        let paths_here = here().map(|definition| definition.path.as_str());
        paths_here.filter(|path| paths.contains(path) || asked.contains(path)).collect()
    }

    fn see(&mut self, event: &Event) {
        let place = (event.body, event.condition);
        match &event.seen {
            Seen::Variables(_) => {
                self.open.retain(|(body, condition), _| *body != event.body || *condition >= event.condition);
                self.open.entry(place).and_modify(|reached| *reached = true);
            }
            Seen::Values(values) => {
                let has_value = |part: usize| {
                    let list = values.as_array().ok().and_then(|values| values.get(part));
                    list.and_then(|list| list.as_array().ok()).is_some_and(|list| !list.is_empty())
                };
                self.fields.retain(|(of, part), _| *of != place || !has_value(*part));
                let reached = self.fields.iter_mut().filter(|((of, _), _)| *of == place);
                reached.for_each(|(_, reached)| *reached = true);
            }
        }
    }

    fn told(&self) -> Vec<IdleCondition> {
        let fields = self.fields.iter().filter(|(_, reached)| **reached);
        let fields: Vec<_> =
            fields.filter_map(|((place, part), _)| self.condition(*place, Some(*part))).collect();
        if !fields.is_empty() {
            return fields;
        }
        let open = self.open.iter().filter(|(_, reached)| **reached);
        open.filter_map(|(place, _)| self.condition(*place, None)).collect()
    }

    fn condition(&self, (body, condition): Place, part: Option<usize>) -> Option<IdleCondition> {
        let body = self.outline.bodies.get(body)?;
        let condition = body.conditions.get(condition)?;
        Some(IdleCondition {
            file: self.outline.definitions.get(body.definition)?.file.clone(),
            line: condition.line,
            condition: condition.text.clone(),
            undefined: part.and_then(|part| condition.compared.get(part).cloned()),
        })
    }
}
