//! Comparisons with a text that never stands in that place, and questions about a text where there is a list:
//! `unknown-value`.

use super::{
    Bundle, Found,
    code::Code,
    known::shape_of,
    nearest::did_you_mean,
    reference::{Callee, Reading, Reference, Root},
    tree::{Assignment, Comparison, Expression, Literal, Query},
};
use crate::decision::schema::Shape;

/// Builtins whose arguments are texts: of anything else they are undefined. Those of `regex` and `glob` are more.
const OF_TEXTS: [&str; 15] = [
    "contains",
    "endswith",
    "indexof",
    "lower",
    "replace",
    "split",
    "startswith",
    "trim",
    "trim_left",
    "trim_prefix",
    "trim_right",
    "trim_space",
    "trim_suffix",
    "upper",
    "strings.reverse",
];

pub(super) fn find(bundle: &Bundle<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for definition in bundle.definitions.iter().flat_map(|(_, definitions)| definitions) {
        let mut search =
            Search { bundle, reading: bundle.reading(definition), file: definition.file, found: &mut found };
        for body in definition.rule.bodies() {
            search.query(&body.query);
            body.assign.iter().for_each(|assign| search.expression(&assign.value));
        }
        definition.rule.value().into_iter().for_each(|value| search.expression(value));
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
    fn query(&mut self, query: &Query) {
        // What `with` puts in place of the input is the test's own affair.
        for statement in query.statements.iter().filter(|statement| statement.with.is_empty()) {
            match &statement.literal {
                Literal::Expr { expr } | Literal::NotExpr { expr, .. } => self.expression(expr),
                Literal::SomeIn { collection, .. } => self.expression(collection),
                Literal::Every { domain, query, .. } => {
                    self.expression(domain);
                    self.query(query);
                }
                Literal::SomeVars { .. } => {}
            }
        }
    }

    fn expression(&mut self, expression: &Expression) {
        match expression {
            Expression::BoolExpr { op: Comparison::Eq | Comparison::Ne, lhs, rhs, .. }
            | Expression::AssignExpr { op: Assignment::Eq, lhs, rhs, .. } => {
                self.compared(lhs, rhs);
                self.compared(rhs, lhs);
            }
            Expression::Membership { value, collection, .. } => {
                if let Expression::Array { items, .. } | Expression::Set { items, .. } = &**collection {
                    items.iter().for_each(|item| self.compared(value, item));
                }
            }
            Expression::Call { fcn, params, .. } => self.called(fcn, params),
            _ => {}
        }
        expression.query().into_iter().for_each(|query| self.query(query));
        expression.children().into_iter().for_each(|child| self.expression(child));
    }

    /// A builtin for texts that is given a list.
    fn called(&mut self, function: &Expression, arguments: &[Expression]) {
        let call = self.reading.calls.iter().find(|call| call.span == function.span());
        let Some(Callee::Builtin(name)) = call.map(|call| &call.callee) else { return };
        let of_texts = ["regex.", "glob."].iter().any(|package| name.starts_with(package));
        if !of_texts && !OF_TEXTS.contains(&name.as_str()) {
            return;
        }
        for argument in arguments {
            let Some(reference) = self.reading.reference(argument) else { continue };
            if !matches!(shape_of(self.bundle, reference), Some(Shape::List(_))) {
                continue;
            }
            let spelling = reference.spelling(usize::MAX);
            let instead = match spelling.as_str() {
                "input.request.path" => {
                    ": compare its segments, such as `input.request.path[0] == \"admin\"`"
                }
                _ => ": look at its elements",
            };
            let message = format!("`{spelling}` is a list, and `{name}` is for texts{instead}");
            let (file, at) = (self.file, argument.span().start);
            self.found.push(Found { file, at, code: Code::UnknownValue, message });
        }
    }

    /// Methods are upper case, whatever a gateway sends.
    fn is_method(&self, reference: &Reference) -> bool {
        self.bundle.options.input_schema
            && reference.root == Root::Input
            && reference.names() == ["request", "method"]
            && reference.steps.len() == 2
    }

    fn compared(&mut self, place: &Expression, literal: &Expression) {
        let (Some(reference), Some(text)) = (self.reading.reference(place), literal.text()) else { return };
        if self.is_method(reference) && text.chars().any(char::is_lowercase) {
            let message =
                format!("`method` is never \"{text}\": it is upper case, \"{}\"", text.to_uppercase());
            let (file, at) = (self.file, literal.span().start);
            self.found.push(Found { file, at, code: Code::UnknownValue, message });
        }
        let mut shape = shape_of(self.bundle, reference);
        while let Some(Shape::Nullable(inner)) = shape {
            shape = Some(*inner);
        }
        if let Some(Shape::OneOf(texts)) = shape
            && !texts.contains(&text)
        {
            let spelling = reference.spelling(usize::MAX);
            let name = spelling.rsplit('.').next().unwrap_or_default();
            let message = format!("`{name}` is never \"{text}\"{}", did_you_mean(text, texts));
            let (file, at) = (self.file, literal.span().start);
            self.found.push(Found { file, at, code: Code::UnknownValue, message });
        }
    }
}
