//! What a body asks for, and what therefore has a value where the body holds.
//!
//! A statement that mentions `input.token.user_id` fails when there is none. What a rule that is mentioned
//! asks for in all of its definitions is proven with it.

use std::collections::BTreeSet;

use super::{
    Bundle,
    defined::value,
    definitions::{Kind, Path},
    reference::{Reading, Root},
    tree::{Comparison, Expression, Literal, Query},
};

/// What is proven where a body holds, by spelling.
#[derive(Clone, Debug, Default)]
pub(super) struct Guards {
    pub defined: BTreeSet<String>,
    pub not_null: BTreeSet<String>,
}

/// More items of a list are not asked for one by one.
const LONGEST_LIST: u64 = 64;

/// What holds where the statements of a query hold.
pub(super) fn guards(bundle: &Bundle<'_>, reading: &Reading, query: &Query) -> Guards {
    let mut guards = Guards::default();
    for statement in query.statements.iter().filter(|statement| statement.with.is_empty()) {
        match &statement.literal {
            Literal::Expr { expr } => mention(bundle, reading, expr, &mut guards, &mut Vec::new()),
            Literal::SomeIn { collection: asked, .. } | Literal::Every { domain: asked, .. } => {
                mention(bundle, reading, asked, &mut guards, &mut Vec::new());
            }
            Literal::SomeVars { .. } | Literal::NotExpr { .. } => {}
        }
    }
    guards
}

/// Everything in an expression that has a value must have one.
fn mention(
    bundle: &Bundle<'_>,
    reading: &Reading,
    expression: &Expression,
    guards: &mut Guards,
    on_the_way: &mut Vec<Path>,
) {
    if let Some(reference) = reading.reference(expression) {
        guards.defined.extend((1..=reference.steps.len()).map(|length| reference.spelling(length)));
        // What has something below it is not null.
        guards.not_null.extend((1..reference.steps.len()).map(|length| reference.spelling(length)));
        let names = reference.names();
        if reference.root == Root::Data && !on_the_way.contains(&names) {
            on_the_way.push(names.clone());
            let implied = implied(bundle, &names, on_the_way);
            guards.defined.extend(implied.defined);
            guards.not_null.extend(implied.not_null);
            on_the_way.pop();
        }
    }
    not_null(reading, expression, guards);
    long_enough(reading, expression, guards);
    if expression.query().is_none() {
        for child in expression.children() {
            // The steps of a reference are no expressions of their own.
            mention(bundle, reading, child, guards, on_the_way);
        }
    }
}

/// What an expression that holds says about being null: an argument of a function that would fail, a
/// comparison with a literal.
fn not_null(reading: &Reading, expression: &Expression, guards: &mut Guards) {
    let mut add = |expression: &Expression| {
        let spelling = reading.reference(expression).map(|reference| reference.spelling(usize::MAX));
        guards.not_null.extend(spelling);
    };
    match expression {
        Expression::Call { fcn, params, .. } if fcn.names().is_none_or(|names| names != ["is_null"]) => {
            params.iter().for_each(&mut add);
        }
        Expression::BoolExpr { op, lhs, rhs, .. } => {
            for (one, other) in [(lhs, rhs), (rhs, lhs)] {
                let null = matches!(**other, Expression::Null { .. });
                let literal = other.scalar().is_some();
                if *op == Comparison::Ne && null || *op == Comparison::Eq && literal && !null {
                    add(one);
                }
            }
        }
        Expression::ArithExpr { lhs, rhs, .. } => [lhs, rhs].into_iter().for_each(|side| add(side)),
        _ => {}
    }
}

/// What must hold when the rule at this path has a value: what all of its definitions ask for.
fn implied(bundle: &Bundle<'_>, path: &Path, on_the_way: &mut Vec<Path>) -> Guards {
    if let Some(known) = bundle.proven.borrow().get(path) {
        return known.clone();
    }
    let proven = asked_by_all(bundle, path, on_the_way);
    bundle.proven.borrow_mut().insert(path.clone(), proven.clone());
    proven
}

fn asked_by_all(bundle: &Bundle<'_>, path: &Path, on_the_way: &mut Vec<Path>) -> Guards {
    let mut common: Option<Guards> = None;
    for definition in bundle.definitions.at(path) {
        let reading = bundle.reading(definition);
        if !matches!(definition.kind, Kind::Complete) {
            return Guards::default();
        }
        for index in 0..definition.rule.bodies().len().max(1) {
            let mut here = Guards::default();
            for statement in
                definition.rule.bodies().get(index).into_iter().flat_map(|body| &body.query.statements)
            {
                if let Literal::Expr { expr } = &statement.literal {
                    mention(bundle, reading, expr, &mut here, on_the_way);
                }
            }
            if let Some(value) = value(definition.rule, index) {
                mention(bundle, reading, value, &mut here, on_the_way);
            }
            // Variables, and what is spelled with them, mean something only where they stand.
            let own = |spelling: &String| {
                ["variable ", "result ", "item ", "text "].iter().any(|word| spelling.contains(word))
            };
            here.defined.retain(|spelling| !own(spelling));
            here.not_null.retain(|spelling| !own(spelling));
            common = Some(match common {
                None => here,
                Some(known) => Guards {
                    defined: known.defined.intersection(&here.defined).cloned().collect(),
                    not_null: known.not_null.intersection(&here.not_null).cloned().collect(),
                },
            });
        }
    }
    common.unwrap_or_default()
}

/// `count(xs) > n` says that `xs[n]` is there.
fn long_enough(reading: &Reading, expression: &Expression, guards: &mut Guards) {
    let Expression::BoolExpr { op, lhs, rhs, .. } = expression else { return };
    let Expression::Call { fcn, params, .. } = &**lhs else { return };
    let (Some(["count"]), [list]) = (fcn.names().as_deref(), &params[..]) else { return };
    let Some(list) = reading.reference(list).map(|reference| reference.spelling(usize::MAX)) else { return };
    match (&**rhs, op) {
        (Expression::Number { value, .. }, Comparison::Gt | Comparison::Ge | Comparison::Eq) => {
            let least = value.as_u64().unwrap_or(0) + u64::from(*op == Comparison::Gt);
            guards.defined.extend((0..least.min(LONGEST_LIST)).map(|index| format!("{list}[{index}]")));
        }
        (index, Comparison::Gt) => {
            guards.defined.insert(format!("{list}[{}]", reading.index_spelling(index)));
        }
        _ => {}
    }
}
