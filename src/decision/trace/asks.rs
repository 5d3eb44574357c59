//! Which rules an expression names.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    bound::{is_fixed, path, variables},
    marks::Marker,
};

impl Marker<'_> {
    /// The rules that an expression names.
    pub(super) fn asks(&self, node: &Value, found: &mut BTreeSet<String>) {
        match node {
            Value::Array(items) => items.iter().for_each(|item| self.asks(item, found)),
            Value::Object(fields) => {
                let is_reference = |kind: &String| matches!(kind.as_str(), "Var" | "RefDot" | "RefBrack");
                if fields.keys().any(is_reference) {
                    found.extend(self.rules_of(node));
                    return self.asks_in_brackets(node, found);
                }
                fields.values().for_each(|content| self.asks(content, found));
            }
            _ => {}
        }
    }

    /// What a reference begins with is part of it; what stands in its brackets is not.
    pub(super) fn asks_in_brackets(&self, reference: &Value, found: &mut BTreeSet<String>) {
        for kind in ["RefDot", "RefBrack"] {
            if let Some(content) = reference.get(kind) {
                self.asks(&content["index"], found);
                // A call's value, a literal: not a chain of names.
                let inner = &content["refr"];
                let chain = ["Var", "RefDot", "RefBrack"].iter().any(|kind| inner.get(*kind).is_some());
                if chain { self.asks_in_brackets(inner, found) } else { self.asks(inner, found) }
            }
        }
    }

    /// The paths of the rules that a reference may mean.
    fn rules_of(&self, reference: &Value) -> Vec<String> {
        let own = path(reference).first().is_some_and(|first| self.locals.contains(first));
        let Some(whole) = self.names.full_path(reference).filter(|_| !own) else { return Vec::new() };
        let all = self
            .packages
            .iter()
            .flat_map(|(package, rules)| rules.iter().map(move |rule| format!("{package}.{rule}")));
        let below = |long: &str, short: &str| {
            long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        // A rule and what is in it, or what a package and those below it have.
        all.filter(|rule| {
            below(&whole, rule) || (whole != "data" || !is_fixed(reference)) && below(rule, &whole)
        })
        .collect()
    }
}

/// The variables that are made anywhere in a rule.
pub(super) fn locals(node: &Value, found: &mut BTreeSet<String>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| locals(item, found)),
        Value::Object(fields) => {
            if fields.contains_key("literal") {
                assigned(node, found);
            }
            fields.values().for_each(|field| locals(field, found));
        }
        _ => {}
    }
}

/// The variables that a statement makes, whatever else has their names.
pub(super) fn assigned(statement: &Value, found: &mut BTreeSet<String>) {
    let literal = &statement["literal"];
    let assignment = &literal["Expr"]["expr"]["AssignExpr"];
    if assignment["op"] == "ColEq" {
        variables(&assignment["lhs"], found);
    }
    variables(&literal["SomeIn"]["key"], found);
    variables(&literal["SomeIn"]["value"], found);
}
