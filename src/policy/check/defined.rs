//! Whether an expression has a value for sure; and values in heads that may have none: `undefined-head`.
//!
//! What is sure: literals, variables of the body, fields that `input` always has, data files, rules with a
//! default or an unconditional last `else`, and whatever the body itself has asked for ([`Guards`]).

use super::{
    Bundle, Found,
    code::Code,
    definitions::{Definition, Kind, Path},
    guards::{Guards, guards},
    reference::{Callee, Reading, Reference, Root, Step},
    tree::{Body, Expression, Literal, Rule},
};
use crate::decision::schema::{INPUT, Shape};

/// Builtins that may fail on arguments of the right type.
const MAY_FAIL: &[&str] = &[
    "base64.decode",
    "base64url.decode",
    "hex.decode",
    "json.patch",
    "json.unmarshal",
    "max",
    "min",
    "regex.replace",
    "semver.compare",
    "to_number",
    "units.parse",
    "units.parse_bytes",
    "urlquery.decode",
    "urlquery.decode_object",
    "uuid.parse",
    "yaml.unmarshal",
];

pub(super) fn find(bundle: &Bundle<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for definition in bundle.definitions.iter().flat_map(|(_, definitions)| definitions) {
        // Tests run in the interpreter, which goes on to the else.
        if bundle.files[definition.file].is_test {
            continue;
        }
        let reading = bundle.reading(definition);
        let bodies = definition.rule.bodies();
        for (index, body) in bodies.iter().enumerate() {
            let value = value(definition.rule, index);
            let followed = bodies.get(index + 1).is_some_and(|next| next.is_else);
            let Some(value) = value.filter(|_| followed) else { continue };
            let guards = guards(bundle, reading, &body.query);
            if !is_defined(bundle, reading, &guards, value, &mut Vec::new()) {
                let text = bundle.files[definition.file].text.of(value.span());
                let message = format!(
                    "`{}` may be undefined where the body holds; the rule is then undefined, and does not go on \
                     to its else: ask for it in the body (value := …), and give the variable",
                    text.lines().next().unwrap_or_default()
                );
                let (file, at) = (definition.file, value.span().start);
                found.push(Found { file, at, code: Code::UndefinedHead, message });
            }
        }
    }
    found
}

/// The value that a rule has when the body of this index holds; `None`: true.
pub(super) fn value(rule: &Rule, index: usize) -> Option<&Expression> {
    match rule.bodies().get(index) {
        Some(Body { is_else: true, assign, .. }) => assign.as_ref().map(|assign| &assign.value),
        _ => rule.value(),
    }
}

/// Whether a rule always has a value.
pub(super) fn is_total(bundle: &Bundle<'_>, path: &Path, on_the_way: &mut Vec<Path>) -> bool {
    if let Some(known) = bundle.total.borrow().get(path) {
        return *known;
    }
    if on_the_way.contains(path) {
        return false;
    }
    on_the_way.push(path.clone());
    let total = bundle.definitions.at(path).iter().any(|definition| match definition.kind {
        Kind::Default | Kind::Partial => true,
        Kind::Complete | Kind::Function(_) => is_unconditional(bundle, definition, on_the_way),
    });
    on_the_way.pop();
    bundle.total.borrow_mut().insert(path.clone(), total);
    total
}

fn is_unconditional(bundle: &Bundle<'_>, definition: &Definition<'_>, on_the_way: &mut Vec<Path>) -> bool {
    let reading = bundle.reading(definition);
    let bodies = definition.rule.bodies();
    let mut sure = |value: Option<&Expression>| {
        value.is_none_or(|value| is_defined(bundle, reading, &Guards::default(), value, on_the_way))
    };
    let holds = |body: &Body| {
        let always = |literal: &Literal| {
            matches!(literal, Literal::Expr { expr: Expression::Bool { value: true, .. } })
        };
        body.query.statements.iter().all(|statement| always(&statement.literal))
    };
    let mut unconditional = (0..bodies.len()).filter(|index| holds(&bodies[*index]));
    if bodies.is_empty() {
        sure(definition.rule.value())
    } else {
        unconditional.any(|index| sure(value(definition.rule, index)))
    }
}

/// Whether an expression has a value where the guards hold.
pub(super) fn is_defined(
    bundle: &Bundle<'_>,
    reading: &Reading,
    guards: &Guards,
    expression: &Expression,
    on_the_way: &mut Vec<Path>,
) -> bool {
    match expression {
        Expression::ArrayCompr { .. } | Expression::SetCompr { .. } | Expression::ObjectCompr { .. } => true,
        Expression::Var { .. } | Expression::RefDot { .. } | Expression::RefBrack { .. } => reading
            .reference(expression)
            .is_some_and(|reference| has_value(bundle, guards, reference, on_the_way)),
        Expression::Call { fcn, params, .. } => {
            let name = fcn.names().unwrap_or_default().join(".");
            let of_rule = reading.calls.iter().find(|call| call.span == fcn.span()).and_then(|call| {
                match &call.callee {
                    Callee::Rule(path) => Some(path),
                    Callee::Builtin(_) => None,
                }
            });
            let gives = match of_rule {
                Some(path) => is_total(bundle, path, on_the_way),
                None => !MAY_FAIL.contains(&name.as_str()),
            };
            gives && params.iter().all(|param| is_defined(bundle, reading, guards, param, on_the_way))
        }
        _ => expression
            .children()
            .into_iter()
            .all(|child| is_defined(bundle, reading, guards, child, on_the_way)),
    }
}

fn has_value(
    bundle: &Bundle<'_>,
    guards: &Guards,
    reference: &Reference,
    on_the_way: &mut Vec<Path>,
) -> bool {
    let length = reference.steps.len();
    if length <= reference.given && reference.given > 0
        || guards.defined.contains(&reference.spelling(length))
    {
        return true;
    }
    match reference.root {
        Root::Variable(_) => length == 0,
        Root::Result => false,
        Root::Input => bundle.options.input_schema && always_there(reference),
        Root::Data => {
            let names = reference.names();
            names.len() == length && (is_total(bundle, &names, on_the_way) || in_data_file(bundle, &names))
        }
    }
}

/// Whether regate always gives this field, be it as null.
fn always_there(reference: &Reference) -> bool {
    let mut shape = INPUT;
    for (step, _) in &reference.steps {
        let (Shape::Object(fields), Step::Name(name)) = (shape, step) else { return false };
        let Some((_, below)) = fields.iter().find(|(field, _)| field == name) else { return false };
        shape = *below;
    }
    true
}

fn in_data_file(bundle: &Bundle<'_>, names: &[String]) -> bool {
    names.iter().try_fold(&bundle.data, |value, name| value.get(name)).is_some()
}
