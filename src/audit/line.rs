//! A record as it leaves the log: one JSON object on one line.

use serde_json::json;

use crate::store::decisions::DecisionRow;

/// The record's own text, with `sequence` and `hash`, its place in the chain, before it. What was hashed is the text
/// without these two.
pub fn line(row: &DecisionRow) -> String {
    let place = format!("{{\"sequence\":{},\"hash\":{}", row.sequence, json!(row.hash));
    match row.record.strip_prefix('{').filter(|rest| rest.ends_with('}') && !rest.contains(['\n', '\r'])) {
        Some("}") => format!("{place}}}"),
        Some(rest) => format!("{place},{rest}"),
        // No record of regate's. What it says is worth a look all the same.
        None => format!("{place},\"text\":{}}}", json!(row.record)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::line;
    use crate::store::decisions::{DecisionColumns, DecisionRow};

    #[test]
    fn every_line_is_an_object() {
        for (record, expected) in [
            ("{}", json!({"sequence": 7, "hash": "ab"})),
            ("{\"a\":1}", json!({"sequence": 7, "hash": "ab", "a": 1})),
            ("[1]", json!({"sequence": 7, "hash": "ab", "text": "[1]"})),
            ("{\n}", json!({"sequence": 7, "hash": "ab", "text": "{\n}"})),
            ("", json!({"sequence": 7, "hash": "ab", "text": ""})),
        ] {
            let columns = DecisionColumns::default();
            let row = DecisionRow { sequence: 7, columns, record: record.into(), hash: "ab".into() };
            let line = line(&row);
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
        }
    }
}
