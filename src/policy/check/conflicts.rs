//! Two definitions of one rule that give different values: `conflicting-rules`.
//!
//! Where both hold, Rego has an error and the virtual machine has nothing. Only literal values are looked
//! at, and bodies that plainly exclude each other (`x` and `not x`, `x == 1` and `x == 2`) are let alone.

use serde_json::Value;

use super::{
    Bundle, Found,
    code::Code,
    definitions::{Definition, Kind},
    reference::Reading,
    tree::{Body, Comparison, Expression, Head, Literal, Rule},
};

pub(super) fn find(bundle: &Bundle<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (path, definitions) in bundle.definitions.iter() {
        for (index, definition) in definitions.iter().enumerate() {
            let earlier = definitions.iter().take(index);
            let Some(other) = earlier.into_iter().find(|other| conflict(bundle, other, definition)) else {
                continue;
            };
            let file = &bundle.files[other.file];
            let line = file.text.place(other.rule.span().start).line;
            let message = format!(
                "`data.{}` gets another value here than at {}:{line}; where both hold, it has none: join them \
                 with else, or make sure that one excludes the other",
                path.join("."),
                file.name,
            );
            let at = definition.rule.span().start;
            found.push(Found { file: definition.file, at, code: Code::ConflictingRules, message });
        }
    }
    found
}

fn conflict(bundle: &Bundle<'_>, one: &Definition<'_>, other: &Definition<'_>) -> bool {
    let comparable = match (one.kind, other.kind) {
        (Kind::Complete, Kind::Complete) => true,
        (Kind::Function(_), Kind::Function(_)) => takes_anything(one.rule) && takes_anything(other.rule),
        _ => false,
    };
    // A chain of else is one definition: its parts are ordered.
    let single = |rule: &Rule| rule.bodies().iter().all(|body| !body.is_else);
    if !comparable || !single(one.rule) || !single(other.rule) {
        return false;
    }
    let literal = |rule: &Rule| rule.value().map_or(Some(Value::Bool(true)), literal);
    let (Some(first), Some(second)) = (literal(one.rule), literal(other.rule)) else { return false };
    first != second && !excluded(bundle.reading(one), one.rule, bundle.reading(other), other.rule)
}

fn takes_anything(rule: &Rule) -> bool {
    let Rule::Spec { head: Head::Func { args, .. }, .. } = rule else { return false };
    args.iter().all(|argument| matches!(argument, Expression::Var { .. }))
}

fn literal(value: &Expression) -> Option<Value> {
    match value {
        Expression::Array { items, .. } => items.iter().map(literal).collect(),
        Expression::Object { fields, .. } => {
            let fields = fields.iter().map(|(_, key, value)| Some((key.text()?.to_owned(), literal(value)?)));
            fields.collect::<Option<serde_json::Map<_, _>>>().map(Value::Object)
        }
        _ => value.scalar(),
    }
}

/// Whether every body of one rule excludes every body of the other.
fn excluded(one_reading: &Reading, one: &Rule, other_reading: &Reading, other: &Rule) -> bool {
    let (these, those) = (one.bodies(), other.bodies());
    !these.is_empty()
        && !those.is_empty()
        && these.iter().all(|this| {
            let says = claims(one_reading, this);
            those.iter().all(|that| {
                claims(other_reading, that).iter().any(|claim| says.iter().any(|s| s.excludes(claim)))
            })
        })
}

/// What a statement claims about a reference.
#[derive(Debug, PartialEq)]
enum Claim {
    Holds(String),
    HoldsNot(String),
    Is(String, Value),
    IsNot(String, Value),
}

impl Claim {
    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Holds(one), Self::HoldsNot(two)) | (Self::HoldsNot(one), Self::Holds(two)) => one == two,
            (Self::Is(one, is), Self::Is(two, other)) => one == two && is != other,
            (Self::Is(one, is), Self::IsNot(two, not)) | (Self::IsNot(two, not), Self::Is(one, is)) => {
                one == two && is == not
            }
            _ => false,
        }
    }
}

fn claims(reading: &Reading, body: &Body) -> Vec<Claim> {
    let spelling = |expression: &Expression| Some(reading.reference(expression)?.spelling(usize::MAX));
    let compared = |expression: &Expression| match expression {
        Expression::BoolExpr { op, lhs, rhs, .. } => {
            let (name, value) = match (spelling(lhs), rhs.scalar()) {
                (Some(name), Some(value)) => (name, value),
                _ => (spelling(rhs)?, lhs.scalar()?),
            };
            match op {
                Comparison::Eq => Some(Claim::Is(name, value)),
                Comparison::Ne => Some(Claim::IsNot(name, value)),
                _ => None,
            }
        }
        _ => None,
    };
    let claim = |literal: &Literal| match literal {
        Literal::Expr { expr } => spelling(expr).map(Claim::Holds).or_else(|| compared(expr)),
        Literal::NotExpr { expr, .. } => match compared(expr) {
            Some(Claim::Is(name, value)) => Some(Claim::IsNot(name, value)),
            Some(_) => None,
            None => spelling(expr).map(Claim::HoldsNot),
        },
        _ => None,
    };
    body.query.statements.iter().filter_map(|statement| claim(&statement.literal)).collect()
}
