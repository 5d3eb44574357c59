//! Which variables and expressions may hold a secret of the input, or something made of one.
//!
//! Secrets are known by the places they stand in. A rule may take them apart, turn them round, or put something
//! between, so that their text is not recognised: what is made of them is therefore known by its expression, from rule to
//! rule and into the arguments of functions.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    asks::assigned,
    bound::{Names, path, variables},
};
use crate::decision::explain::hides;

/// Places below `input` under which secrets may stand: all of what is there, or what has such a name.
const SOURCES: [&[&str]; 5] = [
    &["input", "request", "headers"],
    &["input", "request", "query"],
    &["input", "request", "raw_path"],
    &["input", "mcp", "params"],
    &["input", "context"],
];

/// Rules whose value may be made of a secret, and parameters that may be given one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tainted {
    /// By path.
    pub rules: BTreeSet<String>,
    /// By the function's path and the parameter's place.
    pub parameters: BTreeSet<(String, usize)>,
}

/// What a body knows while it is gone through.
pub(super) struct Look<'a> {
    pub names: &'a Names,
    pub tainted: &'a Tainted,
}

impl Look<'_> {
    /// Whether an expression may give a secret. `variables` are those that may hold one.
    pub(super) fn is_secret(&self, node: &Value, variables: &BTreeSet<String>) -> bool {
        match node {
            Value::Array(items) => items.iter().any(|item| self.is_secret(item, variables)),
            Value::Object(fields) => {
                if ["Var", "RefDot", "RefBrack"].iter().any(|kind| fields.contains_key(*kind)) {
                    return self.is_secret_reference(node, variables);
                }
                fields.values().any(|field| self.is_secret(field, variables))
            }
            _ => false,
        }
    }

    fn is_secret_reference(&self, reference: &Value, variables: &BTreeSet<String>) -> bool {
        let names = path(reference);
        let Some(first) = names.first() else {
            // What a function gives, a literal: followed by names or not.
            return reference.as_object().is_some_and(|kinds| {
                kinds.values().any(|content| self.is_secret(&content["refr"], variables))
            });
        };
        if variables.contains(first) {
            return true;
        }
        // A part of something that has no secret name itself.
        let is_local = !self.names.has(first);
        if is_local && names.iter().skip(1).any(|name| hides(name)) {
            return true;
        }
        let full = self.names.full_path(reference).unwrap_or_default();
        let full: Vec<&str> = full.split('.').collect();
        if full.first() == Some(&"input") {
            return SOURCES.iter().any(|source| {
                // `input.request` as a whole has the headers in it; `input.request.headers.accept` is no secret.
                let deeper = full.get(source.len()..).unwrap_or_default();
                let meets = source.iter().zip(&full).all(|(source, name)| source == name);
                meets && (deeper.is_empty() || deeper.iter().any(|name| hides(name)))
            });
        }
        self.tainted.rules.iter().any(|rule| {
            let rule: Vec<&str> = rule.split('.').collect();
            rule.iter().zip(&full).all(|(rule, name)| rule == name)
        })
    }

    /// Adds the variables that a statement gives something secret.
    pub(super) fn follow(&self, statement: &Value, secret: &mut BTreeSet<String>) {
        let literal = &statement["literal"];
        let gives = if let Some(some) = literal.get("SomeIn") {
            self.is_secret(&some["collection"], secret)
        } else if let Some(every) = literal.get("Every") {
            self.is_secret(&every["domain"], secret)
        } else {
            self.is_secret(&literal["Expr"]["expr"], secret)
        };
        if gives {
            let mut made = BTreeSet::new();
            assigned(statement, &mut made);
            let assignment = &literal["Expr"]["expr"]["AssignExpr"];
            if assignment["op"] == "Eq" {
                variables(assignment, &mut made);
            }
            secret.extend(made);
        }
    }

    /// Takes down which parameters the calls in an expression give a secret.
    pub(super) fn calls(
        &self,
        node: &Value,
        secret: &BTreeSet<String>,
        found: &mut BTreeSet<(String, usize)>,
    ) {
        match node {
            Value::Array(items) => items.iter().for_each(|item| self.calls(item, secret, found)),
            Value::Object(fields) => {
                if let Some(call) = fields.get("Call")
                    && let Some(function) = self.names.full_path(&call["fcn"])
                {
                    let given = call["params"].as_array().into_iter().flatten().enumerate();
                    let secrets = given.filter(|(_, given)| self.is_secret(given, secret));
                    found.extend(secrets.map(|(place, _)| (function.clone(), place)));
                }
                fields.values().for_each(|field| self.calls(field, secret, found));
            }
            _ => {}
        }
    }
}

/// Goes once through the rules of a file and adds what they make of secrets.
pub(super) fn spread(names: &Names, rules: &Value, before: &Tainted, after: &mut Tainted) {
    let look = Look { names, tainted: before };
    for rule in rules.as_array().into_iter().flatten() {
        let Some(rule) = rule.get("Spec") else { continue };
        let Some(head) = rule["head"].as_object().and_then(|kinds| kinds.values().next()) else { continue };
        let rule_path = format!("{}.{}", names.package, path(&head["refr"]).join("."));
        let of_the_head = parameters(head, &rule_path, before);
        // A rule without a body has its head alone.
        look.calls(&head["assign"], &of_the_head, &mut after.parameters);
        if look.is_secret(&head["assign"]["value"], &of_the_head) {
            after.rules.insert(rule_path.clone());
        }
        for body in rule["bodies"].as_array().into_iter().flatten() {
            let mut secret = of_the_head.clone();
            for statement in body["query"]["stmts"].as_array().into_iter().flatten() {
                look.follow(statement, &mut secret);
                look.calls(&statement["literal"], &secret, &mut after.parameters);
            }
            let mut values = vec![&head["key"], &body["assign"]["value"]];
            if body["is_else"] != true {
                values.push(&head["assign"]["value"]);
            }
            if values.iter().any(|value| look.is_secret(value, &secret)) {
                after.rules.insert(rule_path.clone());
            }
            look.calls(&body["assign"], &secret, &mut after.parameters);
            look.calls(&head["assign"], &secret, &mut after.parameters);
        }
    }
}

/// The variables of a function's head that may be given a secret.
pub(super) fn parameters(head: &Value, rule_path: &str, tainted: &Tainted) -> BTreeSet<String> {
    let mut secret = BTreeSet::new();
    for (place, parameter) in head["args"].as_array().into_iter().flatten().enumerate() {
        if tainted.parameters.contains(&(rule_path.to_owned(), place)) {
            variables(parameter, &mut secret);
        }
    }
    secret
}
