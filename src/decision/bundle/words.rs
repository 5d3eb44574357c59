//! The engine's messages in words that say what to write.

use serde_json::Value;

use crate::decision::trace;

/// What the parser says of a rule in the older language.
const OLDER: [&str; 2] =
    ["`if` keyword is required before rule body", "`contains` keyword is required for partial set rules"];

/// A message of the parser. Of rules in the older language it says how to have them read.
pub(super) fn of_parser(message: String) -> String {
    if OLDER.iter().any(|older| message.contains(older)) {
        return message
            + " (for rules in the older language: --rego-version v0, or [policy] rego_version = \"v0\")";
    }
    message
}

/// A message of the machine's compiler about a rule that is of two sorts: where it is which.
pub(super) fn of_compiler(message: String, modules: &[Value]) -> String {
    let path = message
        .split_once("rule '")
        .and_then(|(_, rest)| rest.split_once("' has multiple types"))
        .map(|(path, _)| path);
    path.and_then(|path| two_sorts(path, modules)).unwrap_or(message)
}

/// What a definition makes of its rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Value,
    Set,
    Object,
    Function,
}

impl Sort {
    fn as_str(self) -> &'static str {
        match self {
            Self::Value => "one value",
            Self::Set => "a set (`contains`)",
            Self::Object => "an object (`[key]`)",
            Self::Function => "a function",
        }
    }
}

fn two_sorts(path: &str, modules: &[Value]) -> Option<String> {
    let found = modules.iter().flat_map(|module| definitions(module, path));
    let mut found = found.collect::<Vec<_>>().into_iter();
    let (place, sort) = found.next()?;
    let (other_place, other) = found.find(|(_, other)| *other != sort)?;
    let name = path.rsplit('.').next().unwrap_or(path);
    let what = match [sort, other].contains(&Sort::Set) {
        true => format!("write `{name} contains … if` in both places"),
        false => "make both the same".to_owned(),
    };
    Some(format!(
        "{place}: `{path}` is {} here and {} at {other_place}: {what}, or give one of them another name",
        sort.as_str(),
        other.as_str()
    ))
}

/// Where a file defines a rule, and as what.
fn definitions(module: &Value, path: &str) -> Vec<(String, Sort)> {
    let package = trace::package(module);
    let file = module["source"]["file"].as_str().unwrap_or("a policy file");
    let rules = module["ast"]["rules"].as_array().into_iter().flatten();
    let found = rules.filter_map(|rule| {
        let (default, head) = (&rule["Default"], &rule["Spec"]["head"]);
        let (reference, sort) = match (&default["refr"], &head["Set"]["refr"], &head["Func"]["refr"]) {
            (Value::Null, Value::Null, Value::Null) => (&head["Compr"]["refr"], Sort::Value),
            (Value::Null, Value::Null, function) => (function, Sort::Function),
            (Value::Null, set, _) => (set, Sort::Set),
            (default, _, _) => (default, Sort::Value),
        };
        let (name, keyed) = name(reference)?;
        let sort = if keyed && sort == Sort::Value { Sort::Object } else { sort };
        let line = [&rule["Spec"]["span"], &default["span"]].iter().find_map(|span| span["line"].as_u64())?;
        (format!("{package}.{name}") == path).then(|| (format!("{file}:{line}"), sort))
    });
    found.collect()
}

/// The name in a head, and whether a key follows that is found in evaluation.
fn name(reference: &Value) -> Option<(String, bool)> {
    if let Some(name) = reference["Var"]["value"].as_str() {
        return Some((name.to_owned(), false));
    }
    let dotted = &reference["RefDot"];
    let bracketed = &reference["RefBrack"];
    let (above, field) = match (dotted["field"][1].as_str(), bracketed["index"]["String"]["value"].as_str()) {
        (Some(field), _) => (&dotted["refr"], Some(field)),
        (None, key) => (&bracketed["refr"], key),
    };
    let (above, keyed) = name(above)?;
    Some(match field {
        Some(field) if !keyed => (format!("{above}.{field}"), false),
        _ => (above, true),
    })
}
