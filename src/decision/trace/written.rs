//! Expressions as they are written, and where.

use serde_json::Value;

use super::{marks::Marker, probes::place};
use crate::decision::edits::{leftmost, whole_begin, whole_end};

impl Marker<'_> {
    pub(super) fn place_of(&self, expression: &Value) -> Option<(usize, usize)> {
        let content = expression.as_object()?.values().next()?;
        Some((leftmost(&self.source.text, expression)?, place(content)?.1))
    }

    pub(super) fn place_of_statement(&self, statement: &Value) -> Result<(usize, usize), String> {
        let text = &self.source.text;
        let known = |at: usize| text.is_char_boundary(at);
        let (begin, end) = place(statement)
            .filter(|(begin, end)| known(*begin) && known(*end))
            .ok_or("a condition has no place")?;
        let first = leftmost(text, &statement["literal"]["Expr"]["expr"]);
        Ok((first.unwrap_or(begin).min(whole_begin(text, begin)), end))
    }

    /// An expression as it is written, in one line.
    pub(super) fn written(&self, expression: &Value) -> Option<String> {
        let (begin, end) = self.place_of(expression)?;
        self.written_at((begin, end)).map(|text| one_line(&text))
    }

    pub(super) fn written_at(&self, (begin, end): (usize, usize)) -> Option<String> {
        let text = &self.source.text;
        let begin = if text.is_char_boundary(begin) { whole_begin(text, begin) } else { return None };
        let end = whole_end(text, begin, end).ok()?;
        text.get(begin..end).map(str::to_owned)
    }

    pub(super) fn written_at_span(&self, span: &Value) -> Option<String> {
        let at = |end: &str| span[end].as_u64().and_then(|at| usize::try_from(at).ok());
        self.source.text.get(at("start")?..at("end")?).map(str::to_owned)
    }
}

/// The expression of a condition whose parts tell why it failed.
pub(super) fn expression(statement: &Value) -> &Value {
    let literal = &statement["literal"];
    if let Some(some) = literal.get("SomeIn") {
        return &some["collection"];
    }
    if let Some(every) = literal.get("Every") {
        return &every["domain"];
    }
    let (expression, negated) = (&literal["Expr"]["expr"], &literal["NotExpr"]["expr"]);
    if expression.is_null() { negated } else { expression }
}

/// Whether a value is an allow or a deny, where it is written out.
pub(super) fn allow(value: &Value) -> Option<bool> {
    if let Some(value) = value["Bool"]["value"].as_bool() {
        return Some(value);
    }
    let fields = value["Object"]["fields"].as_array()?;
    let field = fields.iter().find(|field| field[1]["String"]["value"] == "allow")?;
    field[2]["Bool"]["value"].as_bool()
}

pub(super) fn one_line(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim()).filter(|line| !line.starts_with('#'));
    lines.collect::<Vec<_>>().join(" ")
}

pub(super) fn line_at(text: &str, at: usize) -> u32 {
    u32::try_from(text[..at].matches('\n').count() + 1).unwrap_or(u32::MAX)
}

pub(super) fn column_at(text: &str, at: usize) -> u32 {
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    u32::try_from(text[line..at].chars().count() + 1).unwrap_or(u32::MAX)
}

pub(super) fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}
