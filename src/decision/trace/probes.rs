//! What a condition compares: the parts of it whose values tell why it failed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::bound::{Names, is_bound, variables};

/// A part of a condition, by its place in the text: begin and end as the engine gives them.
pub(super) type Place = (usize, usize);

/// The parts of an expression that are worth a look, shorter references before longer ones.
pub(super) fn compared<'a>(expression: &'a Value, bound: &BTreeSet<String>, names: &Names) -> Vec<&'a Value> {
    let mut parts = Vec::new();
    look(expression, bound, names, &mut parts);
    parts
}

fn look<'a>(expression: &'a Value, bound: &BTreeSet<String>, names: &Names, parts: &mut Vec<&'a Value>) {
    let Some((kind, content)) = expression.as_object().and_then(|fields| fields.iter().next()) else {
        return;
    };
    let mut all =
        |names_of: &[&str]| names_of.iter().for_each(|part| look(&content[*part], bound, names, parts));
    match kind.as_str() {
        "BoolExpr" => {
            all(&["lhs", "rhs"]);
            // A function of the policy's own is called once more only where its value is compared: its own
            // conditions have marks too, and each call within a call would double them.
            for side in ["lhs", "rhs"] {
                if content[side].get("Call").is_some() {
                    whole(&content[side], bound, names, parts);
                }
            }
        }
        "ArithExpr" | "BinExpr" => all(&["lhs", "rhs"]),
        "AssignExpr" if content["op"] == "ColEq" => all(&["rhs"]),
        "AssignExpr" => all(&["lhs", "rhs"]),
        "Membership" => all(&["value", "collection"]),
        "UnaryExpr" => all(&["expr"]),
        "Call" => {
            for parameter in content["params"].as_array().into_iter().flatten() {
                look(parameter, bound, names, parts);
            }
            if !is_own_function(&content["fcn"], names) {
                whole(expression, bound, names, parts);
            }
        }
        "RefDot" | "RefBrack" => {
            // What it begins with tells where a value is missing. The two documents need no look.
            if !is_document(&content["refr"]) {
                look(&content["refr"], bound, names, parts);
            }
            if kind == "RefBrack" && !matches!(content["index"].get("String"), Some(Value::Object(_))) {
                look(&content["index"], bound, names, parts);
            }
            whole(expression, bound, names, parts);
        }
        "Var" => whole(expression, bound, names, parts),
        // Literals say what they are, and collections show their parts.
        "Array" | "Set" => {
            for item in content["items"].as_array().into_iter().flatten() {
                look(item, bound, names, parts);
            }
        }
        _ => {}
    }
}

/// Whether a function is defined by a rule.
fn is_own_function(function: &Value, names: &Names) -> bool {
    let mut found = BTreeSet::new();
    variables(function, &mut found);
    found.iter().any(|name| names.has(name))
}

fn is_document(expression: &Value) -> bool {
    matches!(expression["Var"]["value"].as_str(), Some("data" | "input"))
}

fn whole<'a>(expression: &'a Value, bound: &BTreeSet<String>, names: &Names, parts: &mut Vec<&'a Value>) {
    let mut found = BTreeSet::new();
    variables(expression, &mut found);
    // A package is no value but all that is in it: to look at it would evaluate every rule.
    if found.contains("_") || names.is_package(expression) || !is_bound(expression, bound, names) {
        return;
    }
    parts.push(expression);
}

/// The place of a node's content, as the engine gives it.
pub(super) fn place(content: &Value) -> Option<Place> {
    let number = |name: &str| content["span"][name].as_u64().and_then(|at| usize::try_from(at).ok());
    Some((number("start")?, number("end")?))
}
