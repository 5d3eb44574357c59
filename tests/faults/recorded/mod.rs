//! The decision log under faults: every decision that somebody saw answered is in it, once; and what it cannot take is
//! denied.

mod away;
mod full;
mod killed;
mod load;

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    scene::{SETTINGS, arguments},
    sessions, until,
};
use crate::harness::program::{run, stderr};
use load::Answered;

/// Data that may be older than any test takes, and this of the log.
fn settings(audit: &str) -> String {
    format!("{}\n[audit]\n{audit}\n", SETTINGS.replace("2s", "600s"))
}

/// Waits until all of these are in the database, each once, and as they were answered; and the chain fits.
fn assert_recorded(folder: &std::path::Path, url: &str, answered: &[Answered]) {
    let mut expected: BTreeMap<&str, &Answered> = BTreeMap::new();
    for one in answered {
        assert!(expected.insert(&one.decision_id, one).is_none(), "an id was answered twice: {one:?}");
    }
    let count = "select count(*) from decisions";
    let missing = |recorded: &BTreeMap<String, Value>| {
        expected.keys().find(|id| !recorded.contains_key(**id)).map(ToString::to_string)
    };
    let recorded = until("everything is shipped", || {
        let recorded = recorded(url);
        missing(&recorded).is_none().then_some(recorded)
    });
    let rows: usize = sessions::sql(url, &format!("copy ({count}) to stdout")).parse().unwrap();
    assert_eq!(rows, recorded.len(), "a decision is in the log twice");
    for (id, answer) in expected {
        let decision = &recorded[id]["decision"];
        assert_eq!(decision["allow"], answer.allow, "{answer:?}");
        assert_eq!(decision["reason"], answer.reason.as_str(), "{answer:?}");
    }
    let verified = run(folder, &[&["audit", "verify"], &arguments(url)[..]].concat(), "");
    assert!(verified.status.success(), "{}", stderr(&verified));
}

/// All records in the database, by the decision's id.
fn recorded(url: &str) -> BTreeMap<String, Value> {
    let rows = sessions::sql(url, "copy (select record from decisions) to stdout (format csv)");
    let unquoted = |row: &str| {
        let inner = row.strip_prefix('"').and_then(|row| row.strip_suffix('"')).unwrap_or(row);
        serde_json::from_str::<Value>(&inner.replace("\"\"", "\""))
            .unwrap_or_else(|error| panic!("{error}: {row}"))
    };
    rows.lines()
        .map(unquoted)
        .map(|record| (record["decision"]["decision_id"].as_str().unwrap().to_owned(), record))
        .collect()
}
