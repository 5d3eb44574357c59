//! Rego that the virtual machine would evaluate to something else than Rego says, and that is refused
//! for that reason when a bundle is compiled. To refuse is loud; to allow by mistake would be silent.
//!
//! - A **default function** (`default f(x) := …`): the machine of regorus 0.14 ignores it, so that
//!   `not f(input.x)` holds where it should not.
//! - A **comprehension whose head may be undefined** (`[data.users[u].role | …]`): the machine keeps an
//!   undefined element where Rego leaves it out, so that `count(…)` counts what is not there. A head
//!   that is a variable of the body is safe: the body fails when the variable has no value.

use std::collections::BTreeSet;

use serde_json::Value;

/// The first thing in the syntax trees that is refused: file, line, and what to write instead. `all` are the
/// trees of the whole bundle.
pub(super) fn find(modules: &[Value], all: &[Value]) -> Option<String> {
    let mut rules = BTreeSet::new();
    all.iter().for_each(|module| rule_names(&module["ast"]["rules"], &mut rules));
    modules.iter().find_map(|module| {
        let (line, text) = walk(&module["ast"], &rules)?;
        let file = module["source"]["file"].as_str().unwrap_or("a policy file");
        Some(format!("{file}:{line}: {text}"))
    })
}

/// The first word of the name of every rule: a variable of that name is a rule, and may be undefined.
fn rule_names(rules: &Value, names: &mut BTreeSet<String>) {
    match rules {
        Value::Array(items) => items.iter().for_each(|item| rule_names(item, names)),
        Value::Object(fields) => {
            if let Some(name) = fields.get("Var").and_then(|var| var["value"].as_str()) {
                names.insert(name.to_owned());
            }
            for part in ["Spec", "Default", "head", "refr", "Compr", "Set", "Func", "RefDot", "RefBrack"] {
                fields.get(part).into_iter().for_each(|field| rule_names(field, names));
            }
        }
        _ => {}
    }
}

fn walk(node: &Value, rules: &BTreeSet<String>) -> Option<(u64, &'static str)> {
    match node {
        Value::Array(items) => items.iter().find_map(|item| walk(item, rules)),
        Value::Object(fields) => {
            let line = |node: &Value| node["span"]["line"].as_u64().unwrap_or(0);
            if let Some(default) = fields.get("Default")
                && default["args"].as_array().is_some_and(|arguments| !arguments.is_empty())
            {
                let text = "a default function is not supported: write it as the last `else` of the function";
                return Some((line(default), text));
            }
            let heads =
                [("ArrayCompr", &["term"][..]), ("SetCompr", &["term"]), ("ObjectCompr", &["key", "value"])];
            for (kind, parts) in heads {
                let Some(comprehension) = fields.get(kind) else { continue };
                if !parts.iter().all(|part| is_safe(&comprehension[*part], rules)) {
                    let text = "the head of a comprehension must be a variable of its body, since it may be undefined: \
                                write [x | …; x := …] instead of […  | …]";
                    return Some((line(comprehension), text));
                }
            }
            fields.values().find_map(|field| walk(field, rules))
        }
        _ => None,
    }
}

/// Whether an expression always has a value: a literal, a variable that is no rule, or a collection of
/// such.
fn is_safe(expression: &Value, rules: &BTreeSet<String>) -> bool {
    let Some((kind, content)) = expression.as_object().and_then(|fields| fields.iter().next()) else {
        return false;
    };
    match kind.as_str() {
        "Var" => content["value"]
            .as_str()
            .is_some_and(|name| !rules.contains(name) && name != "input" && name != "data"),
        "String" | "RawString" | "Number" | "Bool" | "Null" | "True" | "False" => true,
        "Array" | "Set" => {
            content["items"].as_array().is_some_and(|items| items.iter().all(|item| is_safe(item, rules)))
        }
        _ => false,
    }
}
