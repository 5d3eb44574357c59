//! Functions that call themselves, found in the rules' text.
//!
//! The interpreter notices a rule that needs itself, and not a function: it follows the calls until the
//! stack is used up, which ends the process. Tests are run in it beside decisions that must go on, so such
//! functions are refused before. (What decides is looked at more closely, see [`recursion`](super::recursion).)

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::bundle::RegoSource;

/// Each function, and the functions that it names in a call.
type Calls = BTreeMap<String, BTreeSet<String>>;

/// A chain of functions that leads back to its beginning, by path, if there is one.
/// `modules` are the syntax trees of `sources`, in the same order.
pub(super) fn find_recursion(sources: &[RegoSource], modules: &[Value]) -> Option<Vec<String>> {
    let mut calls = Calls::new();
    for (source, module) in sources.iter().zip(modules) {
        note(&module["ast"], &source.text, &mut calls);
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
fn note(module: &Value, text: &str, calls: &mut Calls) {
    // `package a.b` is written without the `data` that its rules stand below.
    let Some(package) = names(&module["package"]["refr"]) else { return };
    let package = format!("data.{}", package.join("."));
    let mut imports = BTreeMap::new();
    for import in module["imports"].as_array().into_iter().flatten() {
        let Some(path) = names(&import["refr"]) else { continue };
        let last = path.last().cloned().unwrap_or_default();
        // The tree has the place of the alias and not its text.
        let place = |end: &str| import["as"][end].as_u64().and_then(|at| usize::try_from(at).ok());
        let alias = place("start").zip(place("end")).and_then(|(start, end)| text.get(start..end));
        imports.insert(alias.map_or(last, str::to_owned), path.join("."));
    }
    for rule in module["rules"].as_array().into_iter().flatten() {
        let Some(name) = names(&rule["Spec"]["head"]["Func"]["refr"]) else { continue };
        let own = calls.entry(format!("{package}.{}", name.join("."))).or_default();
        each_call(rule, &mut |called| {
            let Some((first, rest)) = called.split_first() else { return };
            let first = match imports.get(first) {
                Some(path) => path.clone(),
                None if first == "data" => first.clone(),
                None => format!("{package}.{first}"),
            };
            own.insert([&[first], rest].concat().join("."));
        });
    }
}

/// The names of a reference such as `data.a.b` or `f`.
fn names(reference: &Value) -> Option<Vec<String>> {
    if let Some(name) = reference["Var"]["value"].as_str() {
        return Some(vec![name.to_owned()]);
    }
    for (kind, last) in [
        ("RefDot", &reference["RefDot"]["field"][1]),
        ("RefBrack", &reference["RefBrack"]["index"]["String"]["value"]),
    ] {
        if let Some(last) = last.as_str() {
            let mut names = names(&reference[kind]["refr"])?;
            names.push(last.to_owned());
            return Some(names);
        }
    }
    None
}

/// Every call within a piece of the tree. The parser bounds its depth.
fn each_call(node: &Value, found: &mut impl FnMut(Vec<String>)) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| each_call(item, found)),
        Value::Object(fields) => {
            if let Some(called) = fields.get("Call").and_then(|call| names(&call["fcn"])) {
                found(called);
            }
            fields.values().for_each(|field| each_call(field, found));
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
