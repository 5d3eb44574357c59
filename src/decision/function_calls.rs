//! Functions that call themselves, found in the rules' text.
//!
//! The interpreter notices a rule that needs itself, and not a function: it follows the calls until the
//! stack is used up, which ends the process. Tests are run in it beside decisions that must go on, so such
//! functions are refused before. (What decides is looked at more closely, see [`recursion`](super::recursion).)

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    bundle::RegoSource,
    trace::{Names, names_of_all, names_of_head},
};

/// Each function, and the functions that it names in a call.
type Calls = BTreeMap<String, BTreeSet<String>>;

/// A chain of functions that leads back to its beginning, by path, if there is one.
/// `modules` are the syntax trees of `sources`, in the same order.
pub(super) fn find_recursion(sources: &[RegoSource], modules: &[Value]) -> Option<Vec<String>> {
    let mut calls = Calls::new();
    for (module, names) in modules.iter().zip(names_of_all(sources, modules)) {
        note(module, &names, &mut calls);
    }
    let mut finished = BTreeSet::new();
    calls.keys().find_map(|function| chain_from(function, &calls, &mut finished))
}

/// Walks without calling itself: the chains of others may be long.
fn chain_from<'a>(begin: &'a str, calls: &'a Calls, finished: &mut BTreeSet<&'a str>) -> Option<Vec<String>> {
    let called = |function: &str| calls.get(function).into_iter().flatten().map(String::as_str);
    let mut path = vec![(begin, called(begin))];
    while let Some((function, left)) = path.last_mut() {
        let function: &str = function;
        let Some(next) = left.next() else {
            finished.insert(function);
            path.pop();
            continue;
        };
        if let Some(at) = path.iter().position(|(on_path, _)| *on_path == next) {
            let chain = path.iter().skip(at).map(|(name, _)| (*name).to_owned());
            return Some(chain.chain([next.to_owned()]).collect());
        }
        if calls.contains_key(next) && !finished.contains(next) {
            path.push((next, called(next)));
        }
    }
    None
}

/// Takes down the functions of a module.
fn note(module: &Value, names: &Names, calls: &mut Calls) {
    let ast = &module["ast"];
    for rule in ast["rules"].as_array().into_iter().flatten().filter_map(|rule| rule.get("Spec")) {
        if rule["head"].get("Func").is_some() {
            let function = names_of_head(&ast["package"]["refr"], rule);
            each_call(rule, names, calls.entry(function).or_default());
        }
    }
}

/// Every function that is called within a piece of the tree. The parser bounds its depth.
fn each_call(node: &Value, names: &Names, found: &mut BTreeSet<String>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| each_call(item, names, found)),
        Value::Object(fields) => {
            found.extend(fields.get("Call").and_then(|call| names.full_path(&call["fcn"])));
            fields.values().for_each(|field| each_call(field, names, found));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::find_recursion;
    use crate::decision::{RegoSource, RegoVersion, syntax_trees};

    fn chain(files: &[&str]) -> Option<String> {
        let sources: Vec<RegoSource> =
            files.iter().map(|text| RegoSource { name: "a.rego".into(), text: (*text).to_owned() }).collect();
        let trees = syntax_trees(&sources, RegoVersion::V1).unwrap();
        find_recursion(&sources, &trees).map(|chain| chain.join(" -> "))
    }

    #[test]
    fn a_function_that_comes_back_to_itself_is_found() {
        for (files, expected) in [
            (&["package x\nf(n) := f(n + 1)"][..], Some("data.x.f -> data.x.f")),
            (
                &["package x\nf(n) := [1 | g(n)]\ng(n) := 1 if { n > 1 } else := data.x.f(n)"],
                Some("data.x.f -> data.x.g -> data.x.f"),
            ),
            (
                &[
                    "package x\nimport data.y as other\nf(n) := other.g(n)",
                    "package y\nimport data.x\ng(n) := x.f(n)",
                ],
                Some("data.x.f -> data.y.g -> data.x.f"),
            ),
            (
                &["package x\nimport data.y.g\nf(n) := g(n)", "package y\ng(n) := data[\"x\"].f(n)"],
                Some("data.x.f -> data.y.g -> data.x.f"),
            ),
            (
                &["package x\nf(n) := g(n)\ng(n) := count([n])\nr := f(1)", "package y\nf(n) := data.x.f(n)"],
                None,
            ),
        ] {
            assert_eq!(chain(files).as_deref(), expected, "{files:?}");
        }
    }
}
