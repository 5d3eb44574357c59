//! Rules that may be asked as they are, with whatever input: those that the configuration lists for OPA's API.

use std::collections::{BTreeMap, BTreeSet};

use regorus::{Engine, Value};
use serde_json::Value as Json;

use super::CompileError;
use crate::decision::{syntax, trace::names_of_head};

/// What the configuration lists, by its path below `data`; `None` where the bundle has no rule there.
pub(super) type Asked = BTreeMap<String, Option<AskedRule>>;

/// A rule, and the place within its value that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::decision) struct AskedRule {
    /// The rule's path, with `data` before it.
    pub rule: String,
    /// Keys into the rule's value: none asks for all of it.
    within: Vec<String>,
}

/// Why a listed path has no answer. The text is for the engineer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAskable {
    /// There is no rule at the path.
    NoRule,
    /// It is a package with these rules.
    Package(Vec<String>),
    /// It is a function, which only rules can call.
    Function,
}

/// A package may have hundreds.
const RULES_SHOWN: usize = 10;

impl std::fmt::Display for NotAskable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoRule => f.write_str("the policy has no rule there"),
            Self::Package(rules) => {
                let (shown, more) = rules.split_at(rules.len().min(RULES_SHOWN));
                write!(f, "it is a package: list the paths of its rules instead ({}", shown.join(", "))?;
                match more.len() {
                    0 => f.write_str(")"),
                    more => write!(f, ", and {more} more)"),
                }
            }
            Self::Function => f.write_str("it is a function: list a rule that calls it"),
        }
    }
}

impl AskedRule {
    /// Finds the rule that `path` is, or is within the value of.
    fn find(path: &str, rules: &BTreeSet<String>) -> Option<Self> {
        let ends = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
        // The longest: where a rule stands below another's path, it is the one that is meant.
        let rule = ends.filter_map(|end| path.get(..end)).rfind(|path| rules.contains(*path))?;
        let rest = path.get(rule.len()..).unwrap_or_default();
        let within = rest.split('.').filter(|key| !key.is_empty()).map(str::to_owned).collect();
        Some(Self { rule: rule.to_owned(), within })
    }

    /// The place within the rule's value; undefined where there is none.
    pub fn within(&self, value: Value) -> Value {
        self.within.iter().fold(value, |value, key| match &value {
            Value::Object(object) => object.get(&key.as_str().into()).cloned().unwrap_or(Value::Undefined),
            Value::Array(items) => {
                let item = key.parse::<usize>().ok().and_then(|index| items.get(index));
                item.cloned().unwrap_or(Value::Undefined)
            }
            _ => Value::Undefined,
        })
    }
}

/// Finds the rules of all listed paths; and what is to be told of those that have none.
pub(super) fn find(
    paths: &[String],
    rules: &BTreeSet<String>,
    engine: &Engine,
) -> Result<(Asked, Vec<(String, NotAskable)>), CompileError> {
    let functions = if paths.is_empty() { BTreeSet::new() } else { functions(&syntax::trees(engine)?) };
    let values: BTreeSet<String> = rules.difference(&functions).cloned().collect();
    let mut asked = Asked::new();
    let mut untold = Vec::new();
    for path in paths {
        let found = AskedRule::find(path, &values);
        if found.is_none() {
            untold.push((path.clone(), why_not(path, rules, &functions)));
        }
        asked.insert(path.clone(), found);
    }
    Ok((asked, untold))
}

fn why_not(path: &str, rules: &BTreeSet<String>, functions: &BTreeSet<String>) -> NotAskable {
    if functions.contains(path) {
        return NotAskable::Function;
    }
    let below = rules.iter().filter(|rule| rule.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')));
    let below: Vec<String> = below.filter_map(|rule| rule.strip_prefix("data.")).map(slashed).collect();
    if below.is_empty() { NotAskable::NoRule } else { NotAskable::Package(below) }
}

/// As paths are written in URLs and in the configuration.
fn slashed(path: &str) -> String {
    path.replace('.', "/")
}

/// The paths of all functions.
fn functions(modules: &[Json]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for ast in modules.iter().map(|module| &module["ast"]) {
        for rule in ast["rules"].as_array().into_iter().flatten().filter_map(|rule| rule.get("Spec")) {
            if rule["head"].get("Func").is_some() {
                found.insert(names_of_head(&ast["package"]["refr"], rule));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{AskedRule, NotAskable};
    use crate::decision::Document;

    #[test]
    fn of_a_large_package_some_rules_are_named() {
        let told = |rules: usize| {
            let rules = (0..rules).map(|number| format!("p/r{number}")).collect();
            NotAskable::Package(rules).to_string()
        };
        assert!(told(10).ends_with("p/r8, p/r9)"), "{}", told(10));
        assert!(told(130).ends_with("p/r9, and 120 more)"), "{}", told(130));
    }

    #[test]
    fn a_path_may_lead_into_the_value_of_a_rule() {
        let rules = ["data.a.b", "data.a.b.c"].map(str::to_owned).into();
        let find = |path: &str| AskedRule::find(path, &rules);
        let value = Document::from_json_str(r#"{"allow": true, "list": [1, {"x": 2}]}"#).unwrap();
        let within = |path: &str| find(path).map(|asked| asked.within(value.clone()));
        assert_eq!(within("data.a.b"), Some(value.clone()));
        assert_eq!(within("data.a.b.allow"), Some(true.into()));
        assert_eq!(within("data.a.b.list.1.x"), Some(2_u64.into()));
        for nowhere in ["data.a.b.list.2", "data.a.b.list.x", "data.a.b.allow.x", "data.a.b.none"] {
            assert_eq!(within(nowhere), Some(Document::Undefined), "{nowhere}");
        }
        assert_eq!(find("data.a.b.c.d").unwrap().rule, "data.a.b.c");
        assert_eq!(find("data.a"), None);
        assert_eq!(find("data.a.bb"), None);
    }
}
