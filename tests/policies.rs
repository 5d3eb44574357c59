//! The shipped bundle: its own tests, its reasons, and both engines over it.

use std::{collections::BTreeSet, fs, path::PathBuf};

use regate::{
    decision::{OwnReason, RegoVersion},
    policy::{PolicySource, load, run_tests},
};
use regex::Regex;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn the_tests_of_the_shipped_bundle_pass() {
    let source = PolicySource::Paths(vec![folder("policies"), folder("policy-tests")]);
    let report = run_tests(&source, RegoVersion::V1, None).unwrap();
    let failures: Vec<String> =
        report.failures().map(|f| format!("{}:{} {}", f.test.file, f.test.line, f.test.path)).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(report.results.len() > 100, "only {} tests ran", report.results.len());
}

/// Code, and what the row says about it.
fn table() -> Vec<(String, String, String, String)> {
    let page = fs::read_to_string(folder("docs/reasons.md")).unwrap();
    let row = Regex::new(r"(?m)^\| `([a-z_]+\.[a-z_]+)` \| (allow|deny) \| (\d+) \| ([^|]+) \|").unwrap();
    let text = |c: &regex::Captures<'_>, i: usize| c[i].to_owned();
    row.captures_iter(&page).map(|c| (text(&c, 1), text(&c, 2), text(&c, 3), text(&c, 4))).collect()
}

#[test]
fn the_table_of_reasons_has_every_code_and_no_other() {
    let listed: Vec<String> = table().into_iter().map(|(code, ..)| code).collect();
    let documented: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), documented.len(), "a code stands in the table twice");
    let files = load(&PolicySource::Shipped).unwrap();
    let code = Regex::new(r#""([a-z_]+\.[a-z_]+)""#).unwrap();
    let mut given: BTreeSet<String> =
        files.sources.iter().flat_map(|s| code.captures_iter(&s.text).map(|c| c[1].to_owned())).collect();
    given.extend(OwnReason::ALL.iter().map(|own| own.code().to_owned()));
    let reserved: BTreeSet<String> =
        table().into_iter().filter(|(_, _, _, by)| by.contains("reserved")).map(|(code, ..)| code).collect();
    assert!(given.is_disjoint(&reserved), "a reserved code is given: {given:?}");
    given.extend(reserved);
    assert_eq!(documented, given);
}

#[test]
fn the_table_of_reasons_tells_the_status_of_regates_own() {
    for (code, answer, status, _) in table() {
        if let Some(own) = OwnReason::ALL.iter().find(|own| own.code() == code) {
            assert_eq!(status, own.status().to_string(), "{code}");
            assert_eq!(answer == "allow", own.status() == 200, "{code}");
        }
    }
}
