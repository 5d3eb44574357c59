//! Questions about one expression that need nothing else.

use serde_json::Value;

use super::tree::{Expression, Query, Span};

impl Expression {
    /// Where it stands.
    pub(super) fn span(&self) -> Span {
        match self {
            Self::String { span, .. }
            | Self::RawString { span, .. }
            | Self::Number { span, .. }
            | Self::Bool { span, .. }
            | Self::Null { span }
            | Self::Var { span, .. }
            | Self::Array { span, .. }
            | Self::Set { span, .. }
            | Self::Object { span, .. }
            | Self::ArrayCompr { span, .. }
            | Self::SetCompr { span, .. }
            | Self::ObjectCompr { span, .. }
            | Self::Call { span, .. }
            | Self::UnaryExpr { span, .. }
            | Self::RefDot { span, .. }
            | Self::RefBrack { span, .. }
            | Self::BinExpr { span, .. }
            | Self::BoolExpr { span, .. }
            | Self::ArithExpr { span, .. }
            | Self::AssignExpr { span, .. }
            | Self::Membership { span, .. } => *span,
        }
    }

    /// The expressions directly below, but for the queries of comprehensions.
    pub(super) fn children(&self) -> Vec<&Expression> {
        match self {
            Self::String { .. }
            | Self::RawString { .. }
            | Self::Number { .. }
            | Self::Bool { .. }
            | Self::Null { .. }
            | Self::Var { .. } => Vec::new(),
            Self::Array { items, .. } | Self::Set { items, .. } => items.iter().collect(),
            Self::Object { fields, .. } => fields.iter().flat_map(|(_, key, value)| [key, value]).collect(),
            Self::ArrayCompr { term, .. } | Self::SetCompr { term, .. } => vec![term],
            Self::ObjectCompr { key, value, .. } => vec![key, value],
            Self::Call { params, .. } => params.iter().collect(),
            Self::UnaryExpr { expr, .. } => vec![expr],
            Self::RefDot { refr, .. } => vec![refr],
            Self::RefBrack { refr, index, .. } => vec![refr, index],
            Self::BinExpr { lhs, rhs, .. }
            | Self::BoolExpr { lhs, rhs, .. }
            | Self::ArithExpr { lhs, rhs, .. }
            | Self::AssignExpr { lhs, rhs, .. } => vec![lhs, rhs],
            Self::Membership { key, value, collection, .. } => {
                key.iter().map(|key| &**key).chain([&**value, &**collection]).collect()
            }
        }
    }

    /// The query of a comprehension.
    pub(super) fn query(&self) -> Option<&Query> {
        match self {
            Self::ArrayCompr { query, .. }
            | Self::SetCompr { query, .. }
            | Self::ObjectCompr { query, .. } => Some(query),
            _ => None,
        }
    }

    /// The text of a literal text.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::String { value, .. } | Self::RawString { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The value of a literal that is no collection.
    pub(super) fn scalar(&self) -> Option<Value> {
        match self {
            Self::String { value, .. } | Self::RawString { value, .. } => Some(Value::from(value.clone())),
            Self::Number { value, .. } => Some(value.clone()),
            Self::Bool { value, .. } => Some(Value::from(*value)),
            Self::Null { .. } => Some(Value::Null),
            _ => None,
        }
    }

    /// The names of `a.b["c"]`, if it is made of names alone.
    pub(super) fn names(&self) -> Option<Vec<&str>> {
        match self {
            Self::Var { value, .. } => Some(vec![value]),
            Self::RefDot { refr, field, .. } => refr.names().map(|mut names| {
                names.push(&field.1);
                names
            }),
            Self::RefBrack { refr, index, .. } => {
                let (mut names, last) = (refr.names()?, index.text()?);
                names.push(last);
                Some(names)
            }
            _ => None,
        }
    }
}
