//! What a record is found by in the database: read from its JSON, so that it can be read again to see whether it agrees.

use std::borrow::Cow;

use serde_json::Value;

use crate::store::{self, decisions::DecisionColumns};

/// A longer text is cut: an index has no room for it. Ids have 256 characters at most.
const MOST_CHARACTERS: usize = 256;
/// The same of a path, which no index has.
const MOST_PATH_CHARACTERS: usize = 2048;

/// The columns of a record. What it does not say, or says in another form, is empty.
pub(super) fn columns(record: &Value) -> DecisionColumns {
    let decision = &record["decision"];
    let asked = [&record["question"], &record["call"]].into_iter().find(|asked| asked.is_object());
    let asked = asked.unwrap_or(&Value::Null);
    let (request, subject) = (&asked["request"], &decision["subject"]);
    let upstream = [&asked["upstream"], &record["credential"]["upstream"]];
    DecisionColumns {
        decision_id: text(&decision["decision_id"]).unwrap_or_default(),
        tenant: text(&record["tenant"]).unwrap_or_default(),
        time_millis: record["time"].as_str().and_then(store::read_time).map_or(0, |time| time.unix_millis()),
        face: text(&record["face"]).unwrap_or_default(),
        allow: decision["allow"].as_bool().unwrap_or(false),
        status: decision["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(0),
        reason: text(&decision["reason"]).unwrap_or_default(),
        token_id: text(&subject["token_id"]),
        user_id: text(&subject["user_id"]),
        project_id: text(&record["project"]),
        upstream_id: upstream.into_iter().find_map(text),
        method: text(&request["method"]),
        path: request["path"].as_str().map(|path| column(path, MOST_PATH_CHARACTERS).into_owned()),
    }
}

/// The names of the columns that differ.
pub(super) fn differences(one: &DecisionColumns, other: &DecisionColumns) -> Vec<&'static str> {
    [
        ("decision_id", one.decision_id == other.decision_id),
        ("tenant", one.tenant == other.tenant),
        ("time_millis", one.time_millis == other.time_millis),
        ("face", one.face == other.face),
        ("allow", one.allow == other.allow),
        ("status", one.status == other.status),
        ("reason", one.reason == other.reason),
        ("token_id", one.token_id == other.token_id),
        ("user_id", one.user_id == other.user_id),
        ("project_id", one.project_id == other.project_id),
        ("upstream_id", one.upstream_id == other.upstream_id),
        ("method", one.method == other.method),
        ("path", one.path == other.path),
    ]
    .into_iter()
    .filter_map(|(name, same)| (!same).then_some(name))
    .collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(|text| column(text, MOST_CHARACTERS).into_owned())
}

/// A text as a column can hold it: neither database takes the character U+0000 everywhere.
fn column(text: &str, most: usize) -> Cow<'_, str> {
    let cut = text.char_indices().nth(most).map_or(text, |(at, _)| &text[..at]);
    if cut.contains('\0') { Cow::Owned(cut.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(cut) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{columns, differences};
    use crate::store::decisions::DecisionColumns;

    #[test]
    fn a_record_is_found_by_what_it_says() {
        let mut record = json!({
            "time": "2026-11-22T09:00:00.123Z", "tenant": "acme", "face": "/v1/decide", "project": "p1",
            "decision": {"decision_id": "0198", "allow": true, "status": 200, "reason": "a.b",
                         "subject": {"token_id": "t1", "user_id": "u1"}},
            "question": {"request": {"method": "GET", "path": "/a"}, "upstream": "github"},
        });
        let expected = DecisionColumns {
            decision_id: "0198".into(),
            tenant: "acme".into(),
            time_millis: 1_795_338_000_123,
            face: "/v1/decide".into(),
            allow: true,
            status: 200,
            reason: "a.b".into(),
            token_id: Some("t1".into()),
            user_id: Some("u1".into()),
            project_id: Some("p1".into()),
            upstream_id: Some("github".into()),
            method: Some("GET".into()),
            path: Some("/a".into()),
        };
        assert_eq!(columns(&record), expected);
        // A call of the management API.
        let question = record.as_object_mut().unwrap().remove("question").unwrap();
        record["call"] = question;
        assert_eq!(columns(&record), expected);
        record["call"]["upstream"] = json!(null);
        record["credential"] = json!({"upstream": "gitlab"});
        assert_eq!(differences(&columns(&record), &expected), ["upstream_id"]);
    }

    #[test]
    fn what_no_column_can_hold_is_cut() {
        let record = json!({
            "tenant": "a\0b", "project": "ü".repeat(300),
            "question": {"request": {"path": format!("/{}", "x".repeat(3000))}},
        });
        let columns = columns(&record);
        assert_eq!(columns.tenant, "a\u{fffd}b");
        assert_eq!(columns.project_id.unwrap().chars().count(), 256);
        assert_eq!(columns.path.unwrap().len(), 2048);
    }

    #[test]
    fn what_is_no_record_has_empty_columns() {
        for odd in [json!(null), json!([1]), json!({"decision": "x", "question": 1, "time": 5})] {
            assert_eq!(columns(&odd), DecisionColumns::default(), "{odd}");
        }
    }
}
