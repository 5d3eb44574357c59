//! What `with` replaces in tests and the interpreter does not: it calls the function itself, and the test would show
//! something else than it says.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    bound::Names,
    marks::{names_of_all, names_of_head},
};
use crate::decision::bundle::RegoSource;

/// The first `with` whose target is a function that a rule defines: file, line, and the function.
pub(in crate::decision) fn replaced_function(sources: &[RegoSource], trees: &[Value]) -> Option<String> {
    let functions: BTreeSet<String> = trees
        .iter()
        .flat_map(|tree| {
            let rules = tree["ast"]["rules"].as_array().into_iter().flatten();
            let functions =
                rules.filter_map(|rule| rule.get("Spec")).filter(|rule| rule["head"].get("Func").is_some());
            functions.map(|rule| names_of_head(&tree["ast"]["package"]["refr"], rule))
        })
        .collect();
    let names = names_of_all(sources, trees);
    sources.iter().zip(trees).zip(names).find_map(|((source, tree), names)| {
        let (line, function) = find(&tree["ast"]["rules"], &names, &functions)?;
        Some(format!(
            "{}:{line}: `with` cannot replace the function {function} here: what it replaces is input, data, rules without \
             arguments and builtins",
            source.name
        ))
    })
}

fn find(node: &Value, names: &Names, functions: &BTreeSet<String>) -> Option<(u64, String)> {
    match node {
        Value::Array(items) => items.iter().find_map(|item| find(item, names, functions)),
        Value::Object(fields) => {
            for with in fields.get("with_mods").and_then(Value::as_array).into_iter().flatten() {
                let target = names.full_path(&with["refr"]).filter(|path| functions.contains(path));
                if let Some(function) = target {
                    return Some((with["span"]["line"].as_u64().unwrap_or(0), function));
                }
            }
            fields.values().find_map(|field| find(field, names, functions))
        }
        _ => None,
    }
}
