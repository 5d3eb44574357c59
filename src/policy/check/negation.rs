//! `not` that also holds when something is missing: `negated-undefined`.
//!
//! `not startswith(input.request.host, "admin.")` holds for every request without a host, because the call
//! fails. Looked at are calls of builtins directly below a `not` or in a comparison there, and comparisons
//! by `<`, `<=`, `>`, `>=` and `!=`, when one side may be null or undefined. Left alone are the habits that
//! say what they mean: `not x`, `not x == …`, `not x in …`, and questions about types (`not is_string(x)`).

use super::{
    Bundle, Found,
    code::Code,
    defined::is_defined,
    guards::{Guards, guards},
    reference::{Reading, Reference, Root, Step},
    tree::{Comparison, Expression, Literal, Query},
};
use crate::decision::{
    builtin_arguments,
    schema::{INPUT, Shape},
};

pub(super) fn find(bundle: &Bundle<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for definition in bundle.definitions.iter().flat_map(|(_, definitions)| definitions) {
        let reading = bundle.reading(definition);
        let mut search = Search { bundle, reading, file: definition.file, found: &mut found };
        for body in definition.rule.bodies() {
            search.query(&body.query, &Guards::default());
            body.assign.iter().for_each(|assign| search.comprehensions(&assign.value, &Guards::default()));
        }
        definition
            .rule
            .value()
            .into_iter()
            .for_each(|value| search.comprehensions(value, &Guards::default()));
    }
    found
}

struct Search<'s, 't> {
    bundle: &'s Bundle<'t>,
    reading: &'s Reading,
    file: usize,
    found: &'s mut Vec<Found>,
}

impl Search<'_, '_> {
    fn query(&mut self, query: &Query, outer: &Guards) {
        let mut known = guards(self.bundle, self.reading, query);
        known.defined.extend(outer.defined.iter().cloned());
        known.not_null.extend(outer.not_null.iter().cloned());
        for statement in &query.statements {
            match &statement.literal {
                Literal::NotExpr { span, expr } => {
                    // What `with` puts in place of the input is not known.
                    if let Some(uncertain) =
                        self.uncertain(expr, &known).filter(|_| statement.with.is_empty())
                    {
                        let message = format!(
                            "this `not` also holds when `{uncertain}` is null or missing: ask for it before \
                             (is_string(…), … != null), or say what must hold without `not`"
                        );
                        let at = span.start;
                        self.found.push(Found { file: self.file, at, code: Code::NegatedUndefined, message });
                    }
                    self.comprehensions(expr, &known);
                }
                Literal::Expr { expr } => self.comprehensions(expr, &known),
                Literal::SomeIn { collection, .. } => self.comprehensions(collection, &known),
                Literal::Every { domain, query, .. } => {
                    self.comprehensions(domain, &known);
                    self.query(query, &known);
                }
                Literal::SomeVars { .. } => {}
            }
        }
    }

    fn comprehensions(&mut self, expression: &Expression, known: &Guards) {
        expression.query().into_iter().for_each(|query| self.query(query, known));
        expression.children().into_iter().for_each(|child| self.comprehensions(child, known));
    }

    /// What in a negated expression may be missing, as it is written.
    fn uncertain(&self, negated: &Expression, known: &Guards) -> Option<String> {
        match negated {
            Expression::Call { .. } | Expression::ArithExpr { .. } => self.in_calls(negated, known),
            Expression::BoolExpr { op, lhs, rhs, .. } => {
                let sides = [lhs, rhs];
                let compared =
                    sides.iter().filter(|_| *op != Comparison::Eq).find(|side| !self.is_sure(side, known));
                let compared = compared.map(|side| self.text(side));
                compared.or_else(|| sides.iter().find_map(|side| self.in_calls(side, known)))
            }
            Expression::Membership { value, .. } => self.in_calls(value, known),
            _ => None,
        }
    }

    /// The same for the arguments of calls, however deep.
    fn in_calls(&self, expression: &Expression, known: &Guards) -> Option<String> {
        match expression {
            Expression::Call { fcn, params, .. } => {
                let name = fcn.names()?.join(".");
                let asks = name.starts_with("is_") || name == "type_name" || name == "object.get";
                if asks || builtin_arguments(&name).is_none() {
                    return None;
                }
                let unsure =
                    params.iter().find(|param| !self.is_sure(param, known)).map(|param| self.text(param));
                unsure.or_else(|| params.iter().find_map(|param| self.in_calls(param, known)))
            }
            Expression::ArithExpr { lhs, rhs, .. } => {
                [lhs, rhs].iter().find_map(|side| self.in_calls(side, known))
            }
            _ => None,
        }
    }

    fn text(&self, expression: &Expression) -> String {
        let text = self.bundle.files[self.file].text.of(expression.span());
        text.lines().next().unwrap_or_default().to_owned()
    }

    /// Whether a reference has a value that is not null. Whatever is no reference is looked at elsewhere.
    fn is_sure(&self, expression: &Expression, known: &Guards) -> bool {
        let Some(reference) = self.reading.reference(expression) else { return true };
        match reference.root {
            Root::Input if self.bundle.options.input_schema => self.is_sure_input(reference, known),
            // Parameters, and what is taken from them: who calls knows.
            Root::Variable(_) => true,
            _ => is_defined(self.bundle, self.reading, known, expression, &mut Vec::new()),
        }
    }

    fn is_sure_input(&self, reference: &Reference, known: &Guards) -> bool {
        let mut shape = INPUT;
        for (index, (step, _)) in reference.steps.iter().enumerate() {
            let length = index + 1;
            let asked = known.defined.contains(&reference.spelling(length)) || reference.given >= length;
            shape = match (shape, step) {
                (Shape::Object(fields), Step::Name(name)) => {
                    match fields.iter().find(|(field, _)| field == name) {
                        Some((_, below)) => *below,
                        // Another finding already.
                        None => return true,
                    }
                }
                (Shape::List(below) | Shape::Map(below), _) if asked => *below,
                (Shape::Any, _) if asked => Shape::Any,
                _ => return false,
            };
            if let Shape::Nullable(inner) = shape {
                let below =
                    known.defined.contains(&reference.spelling(length + 1)) && length < reference.steps.len();
                if !below
                    && !known.not_null.contains(&reference.spelling(length))
                    && reference.given <= length
                {
                    return false;
                }
                shape = *inner;
            }
        }
        true
    }
}
