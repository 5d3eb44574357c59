//! The explanation itself, as it is shown.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use serde::Serialize;
use serde_json::Value as Json;

use super::{
    brief::brief,
    follow::{Attempt, Followed, follow},
    mask::Mask,
};
use crate::decision::trace::{Body, Condition, Event, Outline, Seen};

/// So many bodies are named as the closest.
const CLOSEST: usize = 5;
/// So deep a failed condition is followed into the rules that it asks.
const DEPTH: usize = 6;
/// So many rules are named below one condition.
const BELOW: usize = 4;

/// Why a decision is as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Why {
    /// The bodies of which every condition held, in the order in which they were entered.
    pub held: Vec<RuleBody>,
    /// After a deny: the bodies that would have allowed and came closest, the nearest first. After an allow:
    /// the bodies that would have denied and did not.
    pub closest: Vec<RuleBody>,
    /// Every other body that was entered and failed.
    pub failed: Vec<RuleBody>,
    /// There was more to tell than fits.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Both engines should give the same result. When they do not, this says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disagreement: Option<String>,
}

/// One body of a rule: the conditions that must hold together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleBody {
    /// The rule's path, `data.` first.
    pub rule: String,
    /// The policy file.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// What the rule is when the body holds, as written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// How many conditions there are.
    pub conditions: usize,
    /// How many of them held, from the first.
    pub conditions_held: usize,
    /// The variables that had a value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Json>,
    /// The first condition that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedCondition>,
}

/// A condition that failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FailedCondition {
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// As written.
    pub condition: String,
    /// What it compared.
    pub compared: Vec<Compared>,
    /// What became of the rules that it asks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<RuleBody>,
}

/// One thing that a condition compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// As written.
    pub expression: String,
    /// Its value; left out when it is undefined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Json>,
    /// It has no value.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub undefined: bool,
}

/// Puts an explanation together.
pub(super) fn why(outline: &Outline, followed: &Followed, mask: &Mask, allowed: bool) -> Why {
    let teller = Teller { outline, followed, mask };
    let mut entered: Vec<usize> = followed
        .iter()
        .filter(|(body, _)| outline.bodies.get(**body).is_some_and(|body| body.within.is_none()))
        .map(|(body, _)| *body)
        .collect();
    entered.sort_by_key(|body| followed.get(body).map(|record| record.first));
    let (held, failed): (Vec<usize>, Vec<usize>) =
        entered.into_iter().partition(|body| followed.get(body).is_some_and(|record| record.held));
    let closest = teller.closest(&failed, allowed);
    let failed = failed.into_iter().filter(|body| !closest.contains(body));
    Why {
        held: held.into_iter().filter_map(|body| teller.held(body)).collect(),
        closest: closest
            .iter()
            .filter_map(|body| teller.failed(*body, DEPTH, &mut BTreeSet::new()))
            .collect(),
        // What they ask is in the list itself.
        failed: failed.filter_map(|body| teller.failed(body, 0, &mut BTreeSet::new())).collect(),
        truncated: false,
        disagreement: None,
    }
}

/// Why the rule at `path`, a test, is not true: its last attempt, followed into what it asked. Of a test with
/// a key in its head: the attempt for that `case`.
pub(in crate::decision) fn why_failed(
    outline: &Outline,
    events: &[Event],
    path: &str,
    case: Option<&Value>,
) -> Option<RuleBody> {
    let bodies: BTreeSet<usize> = outline.bodies_of(path).collect();
    let marks = events.iter().enumerate().filter_map(|(moment, event)| match &event.seen {
        Seen::Variables(variables) if bodies.contains(&event.body) => {
            let of_case = case.is_none_or(|case| outline.key_of(event.body, variables) == Some(case));
            of_case.then_some((event, moment))
        }
        _ => None,
    });
    let (event, begin) = marks.max_by_key(|(event, moment)| (event.condition, *moment))?;
    // Functions are called by other conditions as well: only what this one did tells why it failed.
    let end = events.iter().enumerate().skip(begin + 1).find_map(|(moment, later)| {
        (later.body == event.body && matches!(later.seen, Seen::Variables(_))).then_some(moment)
    });
    let window = events.get(begin..end.unwrap_or(events.len()))?;
    let followed = follow(outline, window);
    let teller = Teller { outline, followed: &followed, mask: &Mask::default() };
    teller.failed(event.body, DEPTH, &mut BTreeSet::new())
}

/// Tells what became of bodies.
struct Teller<'a> {
    outline: &'a Outline,
    followed: &'a Followed,
    mask: &'a Mask,
}

impl Teller<'_> {
    /// The bodies that would have turned the answer and came closest to it, the nearest first.
    fn closest(&self, failed: &[usize], allowed: bool) -> Vec<usize> {
        let would_turn =
            |body: &&usize| self.outline.bodies.get(**body).is_some_and(|body| body.allow == Some(!allowed));
        let mut closest: Vec<usize> = failed.iter().filter(would_turn).copied().collect();
        // A bundle whose rules do not say in their heads what they mean: whatever came furthest.
        if closest.is_empty() && !allowed {
            closest = failed.to_vec();
        }
        // By the part of the conditions that held, then by their number.
        closest.sort_by_key(|body| {
            let held = self.attempt(*body).map_or(0, |attempt| attempt.condition);
            let all = self.outline.bodies.get(*body).map_or(1, |body| body.conditions.len().max(1));
            std::cmp::Reverse((1000 * held / all, held))
        });
        closest.truncate(CLOSEST);
        closest
    }

    fn body(&self, place: usize) -> Option<(&Body, RuleBody)> {
        let body = self.outline.bodies.get(place)?;
        let definition = self.outline.definitions.get(body.definition)?;
        let told = RuleBody {
            rule: definition.path.clone(),
            file: definition.file.clone(),
            line: body.line,
            value: body.value.clone(),
            conditions: body.conditions.len(),
            conditions_held: body.conditions.len(),
            variables: BTreeMap::new(),
            failed: None,
        };
        Some((body, told))
    }

    /// A body that held.
    fn held(&self, place: usize) -> Option<RuleBody> {
        let (_, told) = self.body(place)?;
        let variables = self.followed.get(&place)?.held_with.as_ref();
        let secret = &self.outline.bodies.get(place)?.secret;
        Some(RuleBody { variables: variables.map(|v| self.variables(v, secret)).unwrap_or_default(), ..told })
    }

    /// A body that failed, and why, followed into the rules that the failed condition asks.
    fn failed(&self, place: usize, depth: usize, above: &mut BTreeSet<usize>) -> Option<RuleBody> {
        let (body, told) = self.body(place)?;
        let attempt = self.followed.get(&place)?.failed.as_ref()?;
        let condition = body.conditions.get(attempt.condition)?;
        let mut because = Vec::new();
        if depth > 0 && above.insert(place) {
            because = self.because(place, attempt.condition, depth - 1, above);
            above.remove(&place);
        }
        Some(RuleBody {
            conditions_held: attempt.condition,
            variables: self.variables(&attempt.variables, &body.secret),
            failed: Some(FailedCondition {
                line: condition.line,
                column: condition.column,
                condition: condition.text.clone(),
                compared: self.compared(condition, attempt),
                because,
            }),
            ..told
        })
    }

    /// The queries within a condition, and the rules that it asks: those that failed, or, below a `not`,
    /// those that held.
    fn because(
        &self,
        body: usize,
        condition: usize,
        depth: usize,
        above: &mut BTreeSet<usize>,
    ) -> Vec<RuleBody> {
        let Some(asked) = self.outline.bodies.get(body).and_then(|body| body.conditions.get(condition))
        else {
            return Vec::new();
        };
        let negated = asked.text.starts_with("not ");
        // Where a value is missing, rules that have one are not the reason.
        let missing = self.attempt(body).and_then(|attempt| attempt.values.as_ref()).is_some_and(|values| {
            let empty = |list: &Value| list.as_array().is_ok_and(|list| list.is_empty());
            values.as_array().is_ok_and(|values| values.iter().any(empty))
        });
        let within = self.followed.keys().copied().filter(|place| {
            self.outline.bodies.get(*place).is_some_and(|inner| inner.within == Some((body, condition)))
        });
        let rules = asked.asks.iter().flat_map(|rule| self.outline.bodies_of(rule));
        let places: Vec<usize> = within.chain(rules).filter(|place| !above.contains(place)).collect();
        let mut told: Vec<RuleBody> = places
            .into_iter()
            .filter_map(|place| {
                let record = self.followed.get(&place)?;
                let inner = self.outline.bodies.get(place)?.within.is_some();
                // A query is entered once for each item: the one that failed is the reason.
                let held = record.held && !(inner && record.failed.is_some());
                match (negated, held) {
                    (false, false) => self.failed(place, depth, above),
                    (true, false) => None,
                    // A rule that has a value, but not the one that is asked for.
                    (_, true) => {
                        let (_, told) = self.body(place)?;
                        (negated || !missing && !told.value.is_empty()).then_some(told)
                    }
                }
            })
            .collect();
        told.truncate(BELOW);
        told
    }

    fn attempt(&self, body: usize) -> Option<&Attempt> {
        self.followed.get(&body)?.failed.as_ref()
    }

    /// A value in short; of what may be made of a secret nothing but whether it is true, false or null.
    fn value(&self, value: &Value, secret: bool) -> Json {
        let tells = !matches!(value, Value::Bool(_) | Value::Null);
        if secret && tells && self.mask.is_needed() { Mask::hidden() } else { brief(value, self.mask) }
    }

    fn variables(&self, variables: &Value, secret: &BTreeSet<String>) -> BTreeMap<String, Json> {
        let Value::Object(fields) = variables else { return BTreeMap::new() };
        let named = fields.iter().filter_map(|(name, value)| match name {
            Value::String(name) => {
                Some((name.to_string(), self.value(value, secret.contains(name.as_ref()))))
            }
            _ => None,
        });
        named.collect()
    }

    fn compared(&self, condition: &Condition, attempt: &Attempt) -> Vec<Compared> {
        let Some(Value::Array(values)) = &attempt.values else { return Vec::new() };
        let all: Vec<(&str, Option<&Value>)> = condition
            .compared
            .iter()
            .map(String::as_str)
            .zip(values.iter().map(|list| list.as_array().ok().and_then(|list| list.first())))
            .collect();
        let longer = |short: &str, long: &str| {
            long.strip_prefix(short).is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        let told = all.iter().enumerate().filter(|(_, (expression, value))| {
            // Of a chain of references: the whole, or the first part of it that is missing.
            let hidden_by = |other: &(&str, Option<&Value>)| match value {
                Some(_) => longer(expression, other.0),
                None => longer(other.0, expression) && other.1.is_none(),
            };
            !all.iter().any(hidden_by)
        });
        told.map(|(place, (expression, value))| Compared {
            expression: (*expression).to_owned(),
            value: value.map(|value| self.value(value, condition.secret.contains(&place))),
            undefined: value.is_none(),
        })
        .collect()
    }
}
