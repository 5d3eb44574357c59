//! What there is to be reached: rules, their bodies, the conditions in them.

use std::collections::BTreeSet;

use regorus::Value;

use super::{Event, Seen};

/// All rules of some sources.
#[derive(Clone, Debug, Default)]
pub(in crate::decision) struct Outline {
    /// In the order of the files.
    pub definitions: Vec<Definition>,
    /// The bodies of all of them, and the queries within conditions.
    pub bodies: Vec<Body>,
}

/// The key in the head of a rule for parts of an object or a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::decision) enum Key {
    /// A complete rule, or a function.
    None,
    /// A variable that gets its values from the first `some … in`, before anything can fail: each value that there
    /// is, is seen.
    Listed(String),
    /// Anything else: a value for which a condition fails may never be seen.
    Other,
}

/// One definition of a rule; a rule may have several.
#[derive(Clone, Debug)]
pub(in crate::decision) struct Definition {
    /// The rule's path, `data.` first. Of a rule for parts of an object or set: without the key.
    pub path: String,
    /// The package's path, `data.` first.
    pub package: String,
    /// The file's name.
    pub file: String,
    /// What stands for the key in the head of a rule for parts.
    pub key: Key,
    /// The paths of the rules that it names anywhere; of a package, or of a name that is only known when it is
    /// evaluated, all that it may mean.
    pub asks: BTreeSet<String>,
}

/// The conditions that must hold together: a rule's body, an `else`, or the query of an `every` or a
/// comprehension.
#[derive(Clone, Debug)]
pub(in crate::decision) struct Body {
    /// The definition that it belongs to, by its place.
    pub definition: usize,
    /// The body and condition that it is a part of.
    pub within: Option<(usize, usize)>,
    /// The line of its head, from 1.
    pub line: u32,
    /// What the rule is when it holds, as written; empty where nothing is.
    pub value: String,
    /// Whether that is an allow or a deny, where it can be seen.
    pub allow: Option<bool>,
    /// Variables that may hold a secret of the input, or something made of one.
    pub secret: BTreeSet<String>,
    /// In the order in which they stand.
    pub conditions: Vec<Condition>,
}

/// One condition.
#[derive(Clone, Debug)]
pub(in crate::decision) struct Condition {
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// As written, in one line.
    pub text: String,
    /// What it compares, as written. Longer references come after those that they begin with.
    pub compared: Vec<String>,
    /// The places in it of what may be a secret of the input, or made of one.
    pub secret: BTreeSet<usize>,
    /// The paths of the rules that it asks, as far as they can be seen.
    pub asks: BTreeSet<String>,
}

impl Outline {
    /// The bodies of the rule at `path`, without the queries in them, in order.
    pub(in crate::decision) fn bodies_of(&self, path: &str) -> impl Iterator<Item = usize> {
        self.bodies
            .iter()
            .enumerate()
            .filter(move |(_, body)| {
                body.within.is_none()
                    && self.definitions.get(body.definition).is_some_and(|definition| definition.path == path)
            })
            .map(|(place, _)| place)
    }

    /// What stands for the key in the heads of the rule at `path`: anything else but a variable in one of them
    /// goes for all.
    pub(in crate::decision) fn key(&self, path: &str) -> &Key {
        let mut keys = self
            .definitions
            .iter()
            .filter(|definition| definition.path == path)
            .map(|definition| &definition.key);
        let first = keys.next().unwrap_or(&Key::None);
        if keys.any(|key| std::mem::discriminant(key) != std::mem::discriminant(first)) {
            &Key::Other
        } else {
            first
        }
    }

    /// The value of the key in the head of a body's rule.
    pub(in crate::decision) fn key_of<'a>(&self, body: usize, variables: &'a Value) -> Option<&'a Value> {
        let definition = self.definitions.get(self.bodies.get(body)?.definition)?;
        let Value::Object(variables) = variables else { return None };
        let Key::Listed(key) = &definition.key else { return None };
        variables.get(&key.as_str().into())
    }

    /// The values that the key in the head of the rule at `path` had on the way.
    pub(in crate::decision) fn keys_seen(&self, path: &str, events: &[Event]) -> BTreeSet<Value> {
        let mut seen = BTreeSet::new();
        for event in events {
            let Some(body) = self.bodies.get(event.body) else { continue };
            let here =
                self.definitions.get(body.definition).is_some_and(|definition| definition.path == path);
            if let (true, Seen::Variables(variables)) = (here, &event.seen) {
                seen.extend(self.key_of(event.body, variables).cloned());
            }
        }
        seen
    }

    /// The packages of the rules that these rules may ask, directly or through others.
    pub(in crate::decision) fn packages_reached(&self, rules: &[&str]) -> BTreeSet<String> {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = rules.to_vec();
        while let Some(rule) = open.pop() {
            if reached.insert(rule) {
                let definitions = self.definitions.iter().filter(|definition| definition.path == rule);
                open.extend(definitions.flat_map(|definition| definition.asks.iter().map(String::as_str)));
            }
        }
        let packages = reached.iter().flat_map(|rule| {
            self.definitions.iter().filter(|definition| definition.path == **rule).map(|d| d.package.clone())
        });
        packages.collect()
    }
}
