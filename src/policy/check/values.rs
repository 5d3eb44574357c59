//! Comparisons with a text that never stands in that place: `unknown-value`.

use super::{
    Bundle, Found,
    code::Code,
    known::shape_of,
    nearest::did_you_mean,
    reference::Reading,
    tree::{Assignment, Comparison, Expression, Literal, Query},
};
use crate::decision::schema::Shape;

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
            _ => {}
        }
        expression.query().into_iter().for_each(|query| self.query(query));
        expression.children().into_iter().for_each(|child| self.expression(child));
    }

    fn compared(&mut self, place: &Expression, literal: &Expression) {
        let (Some(reference), Some(text)) = (self.reading.reference(place), literal.text()) else { return };
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
