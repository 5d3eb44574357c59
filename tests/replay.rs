//! `regate replay`, as its users run it: counts, flips, what cannot be decided, exit codes.

use std::{fmt::Write as _, fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::program::{run, stderr, stdout};

/// Allows reading `/a` to all tokens, and `/b` only to `t1`.
const OLD: &str = r#"package regate

default decision := {"allow": false, "reasons": ["old.nothing"], "message": "not for you"}

decision := {"allow": true, "reasons": ["old.a"]} if {
	input.token
	input.request.path == ["a"]
}

decision := {"allow": true, "reasons": ["old.b"]} if {
	input.token.id == "t1"
	input.request.path == ["b"]
}
"#;

/// Allows `/a` only to `t1`, and `/b` to all; and names another reason for `/c`.
const NEW: &str = r#"package regate

default decision := {"allow": false, "reasons": ["new.nothing"], "message": "not for you any more"}

decision := {"allow": true, "reasons": ["old.a"]} if {
	input.token.id == "t1"
	input.request.path == ["a"]
}

decision := {"allow": true, "reasons": ["new.b"]} if {
	input.token
	input.request.path == ["b"]
}
"#;

const KEY: &str = "key-of-t1-which-nobody-may-see";
const COOKIE: &str = "cookie-that-nobody-may-see";
const TIME: &str = "2026-11-20T12:00:00Z";

fn token(id: &str, key: &str) -> Value {
    json!({"id": id, "kind": "global", "name": id, "user_id": "u1", "scope_pull": true,
           "sha256": regate::auth::hash(key).to_string()})
}

/// A folder with both policies and the data of two tokens.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, policy) in [("old", OLD), ("new", NEW)] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("policy.rego"), policy).unwrap();
    }
    let data = json!({"users": [{"id": "u1"}], "tokens": [token("t1", KEY), token("t2", "key-of-t2")]});
    fs::write(folder.path().join("data.json"), data.to_string()).unwrap();
    folder
}

fn question(key: Option<&str>, path: &str) -> Value {
    let mut question = json!({"request": {"method": "GET", "path": path}});
    if let Some(key) = key {
        question["token"] = key.into();
    }
    question
}

/// A record of a decision about a token, which has no credential.
fn record(token_id: Option<&str>, path: &str, allow: bool, reason: &str) -> Value {
    let subject =
        token_id.map(|id| json!({"kind": "global", "token_id": id, "user_id": "u1", "tenant": "default"}));
    json!({
        "question": question(None, path),
        "decision": {"allow": allow, "status": if allow { 200 } else { 403 }, "reason": reason,
                     "reasons": [reason], "message": "as it was", "decision_id": "0198", "subject": subject,
                     "policy_revision": "ab", "data_revision": 1, "of_another_version": true},
        "time": TIME,
        "log_sequence": 7
    })
}

fn lines(lines: &[Value]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    })
}

/// Runs over standard input, with the new policy and the data.
fn replay(folder: &Path, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let given = ["replay", "--policies", "new", "--data", "data.json", "-"];
    let output = run(folder, &[&given, arguments].concat(), input);
    (output.status.code(), stdout(&output), stderr(&output))
}

/// The JSON report.
fn report(folder: &Path, arguments: &[&str], input: &str) -> (Option<i32>, Value) {
    let (code, report, errors) = replay(folder, &[&["--format", "json"], arguments].concat(), input);
    let report = serde_json::from_str(&report).unwrap_or_else(|error| panic!("{error}: {report}{errors}"));
    (code, report)
}

/// All four changes, and one that names another reason only.
fn records() -> String {
    lines(&[
        record(Some("t1"), "/a", true, "old.a"),
        record(Some("t2"), "/a", true, "old.a"),
        record(Some("t2"), "/b", false, "old.nothing"),
        record(Some("t1"), "/b", true, "old.b"),
        record(None, "/c", false, "token.missing"),
    ])
}

fn questions() -> String {
    let mut first = question(None, "/a?access_token=in-the-query");
    first["request"]["headers"] =
        json!({"authorization": format!("Bearer {KEY}"), "cookie": format!("session={COOKIE}")});
    lines(&[
        first,
        question(Some("key-of-t2"), "/a"),
        question(Some("key-of-t2"), "/b"),
        question(Some(KEY), "/b"),
        question(None, "/c"),
    ])
}

const UNLIMITED: [&str; 4] = ["--max-flips", "100", "--max-new-allows", "100"];

#[test]
fn records_are_decided_again_as_their_tokens() {
    let folder = folder();
    let (code, report) = report(folder.path(), &[], &records());
    assert_eq!(code, Some(2));
    insta::assert_json_snapshot!(report, { ".policy.revision" => "REVISION" });
}

#[test]
fn the_report_for_people() {
    let folder = folder();
    let (code, report, errors) = replay(folder.path(), &["--explain"], &records());
    assert_eq!(code, Some(2));
    let revision = regex::Regex::new(r"\([0-9a-f]{12}\)").unwrap();
    insta::assert_snapshot!(format!("{}---\n{errors}", revision.replace_all(&report, "(REVISION)")));
}

#[test]
fn questions_are_compared_with_what_the_old_policy_gives() {
    let folder = folder();
    let arguments = ["--against", "old", "--now", TIME, "--format", "jsonl"];
    let (code, report, errors) = replay(folder.path(), &arguments, &questions());
    assert_eq!(code, Some(2));
    let revision = regex::Regex::new(r"\([0-9a-f]{12}\)").unwrap();
    insta::assert_snapshot!(format!("{report}---\n{}", revision.replace_all(&errors, "(REVISION)")));
    // The policies that are built in, as the old and as the new ones.
    let (code, report) = self::report(folder.path(), &["--against", "shipped"], &questions());
    assert_eq!(code, Some(2));
    assert_eq!(report["deny_to_allow"], 3, "{report}");
    let shipped = ["replay", "--policies", "shipped", "--against", "shipped", "--data", "data.json", "-"];
    assert_eq!(run(folder.path(), &shipped, &questions()).status.code(), Some(0));
}

#[test]
fn no_credential_is_ever_printed() {
    let folder = folder();
    let mut all = questions();
    // A line that cannot be read must not be repeated either.
    let _ = writeln!(
        all,
        r#"{{"token": "{KEY}", "request": {{"method": "GET", "path": "/a", "x": "{COOKIE}"}}}}"#
    );
    let _ = writeln!(all, r#"{{"token": "{KEY}", "request": "{COOKIE}"}}"#);
    let _ = writeln!(all, r#"{{"question": {{"token": ["{KEY}"]}}, "time": "{COOKIE}"}}"#);
    // The new policy takes the cookie apart, and compares it.
    let rule = "package regate\n\ndecision := {\"allow\": true, \"reasons\": [\"cookie\"]} if {\n\tinput.request.headers.cookie == \"session=other\"\n}\n";
    fs::write(folder.path().join("new/policy.rego"), rule).unwrap();
    for format in ["pretty", "json", "jsonl"] {
        let arguments = ["--against", "old", "--explain", "--format", format];
        let (code, report, errors) = replay(folder.path(), &arguments, &all);
        assert_eq!(code, Some(1), "{errors}");
        assert!(report.contains("old.a") && errors.contains("unreadable"), "{report}{errors}");
        for secret in [KEY, COOKIE, "in-the-query", "key-of-t2"] {
            assert!(!report.contains(secret) && !errors.contains(secret), "{secret}: {report}{errors}");
        }
    }
}

#[test]
fn what_a_record_lacks_is_said() {
    let folder = folder();
    let mut without_time = record(Some("t1"), "/a", true, "old.a");
    without_time.as_object_mut().unwrap().remove("time");
    let input = lines(&[
        record(Some("t1"), "/a", true, "old.a"),
        record(Some("t9"), "/a", true, "old.a"),
        record(Some("t9"), "/b", true, "old.a"),
        // There was a credential, which nobody knows now.
        record(None, "/a", false, "token.unknown"),
        // These are as they were, whoever asks.
        record(None, "/a//b", false, "request.ambiguous_path"),
        record(None, "/health", true, "request.public_path"),
        record(None, "/a", false, "token.malformed"),
        record(None, "/a", false, "request.ambiguous_credential"),
        without_time,
        question(Some(KEY), "/a"),
    ]);
    let (code, report) = report(folder.path(), &[], &input);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(report["compared"], 5);
    assert_eq!(report["reasons"], json!([]));
    assert_eq!((&report["cannot_decide"], &report["cannot_compare"]), (&json!(4), &json!(1)));
    assert_eq!(
        report["lacking"],
        json!([
            {"problem": "the token t9 is not in the data", "count": 2},
            {"problem": "the record does not say whose credential it was (token.unknown)", "count": 1},
            {"problem": "the record has no time", "count": 1},
        ])
    );
    let (_, pretty, _) = replay(folder.path(), &[], &input);
    assert!(pretty.contains("cannot_decide: the token t9 is not in the data"), "{pretty}");
    // Nothing but such lines is no success.
    let input = lines(&[question(Some(KEY), "/a")]);
    let (code, _, errors) = replay(folder.path(), &[], &input);
    assert_eq!(code, Some(1));
    assert!(errors.contains("nothing was compared"), "{errors}");
}

#[test]
fn a_record_decided_over_other_data_is_counted() {
    let folder = folder();
    let mut other = record(Some("t1"), "/a", true, "old.a");
    other["decision"]["data_revision"] = 99.into();
    let input = lines(&[other, record(Some("t1"), "/a", true, "old.a")]);
    let (code, report) = report(folder.path(), &[], &input);
    assert_eq!((code, &report["other_data"], &report["data_revision"]), (Some(0), &json!(1), &json!(1)));
    let (_, pretty, _) = replay(folder.path(), &[], &input);
    assert_eq!(pretty.matches("over other data").count(), 1, "{pretty}");
    // Both answers are of the same data here.
    let (_, report) = self::report(folder.path(), &["--against", "old"], &input);
    assert_eq!(report["other_data"], 0);
}

#[test]
fn a_record_is_decided_at_its_own_time() {
    let folder = folder();
    let mut expiring = token("t1", KEY);
    expiring["expires_at"] = "2026-11-20T12:30:00Z".into();
    let data = json!({"users": [{"id": "u1"}], "tokens": [expiring]});
    fs::write(folder.path().join("data.json"), data.to_string()).unwrap();
    let mut later = record(Some("t1"), "/a", false, "token.expired");
    later["time"] = "2026-11-20T14:30:00+02:00".into();
    let all = lines(&[record(Some("t1"), "/a", true, "old.a"), later]);
    let (code, report) = report(folder.path(), &[], &all);
    assert_eq!((code, &report["reasons"]), (Some(0), &json!([])), "{report}");
    for (arguments, compared) in [
        (["--since", "2026-11-20T12:30:00Z", "--until", "2026-11-20T12:30:01Z"], 1),
        (["--since", "2026-11-20T12:00:00Z", "--until", "2026-11-20T12:30:00Z"], 1),
        (["--since", "100000h", "--until", "2030-01-01T00:00:00Z"], 2),
    ] {
        let (code, report) = self::report(folder.path(), &arguments, &all);
        assert_eq!((code, &report["compared"]), (Some(0), &json!(compared)), "{arguments:?}");
        assert_eq!(report["not_selected"], 2 - compared);
    }
}

#[test]
fn lines_that_are_no_question_are_named_and_the_others_decided() {
    let folder = folder();
    let good = record(Some("t1"), "/a", true, "old.a").to_string();
    let long = format!(r#"{{"question": "{}"}}"#, "x".repeat(5 * 1024 * 1024));
    let input = [
        &good,
        "not json",
        "",
        "[]",
        r#"{"request": {"method": "GET", "path": "/a"}, "tokn": "x"}"#,
        r#"{"question": {"request": {"method": "GET", "path": "/a"}, "tokn": "x"}}"#,
        r#"{"decision": {"allow": true, "reason": "a"}, "time": "2026-11-20T12:00:00Z"}"#,
        r#"{"question": {"request": {"method": "GET", "path": "/a"}}, "time": "yesterday"}"#,
        &long,
        &good,
    ];
    let file = folder.path().join("log.jsonl");
    fs::write(&file, input.join("\r\n")).unwrap();
    let arguments = ["replay", "--policies", "new", "--data", "data.json", "log.jsonl"];
    let output = run(folder.path(), &[&arguments[..], &["--format", "json"]].concat(), "");
    let errors = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["unreadable"], &report["compared"]), (&json!(7), &json!(2)));
    for (line, problem) in [
        (2, "expected"),
        (4, "expected an object"),
        (5, "unknown field `tokn`"),
        (6, "question.tokn: unknown field `tokn`"),
        (7, "the record has no `question`"),
        (8, "time: it must be a time as in RFC 3339"),
        (9, "the line is longer than 4194304 bytes"),
    ] {
        let said = errors.lines().find(|said| said.contains(&format!("log.jsonl:{line}: unreadable: ")));
        assert!(said.is_some_and(|said| said.contains(problem)), "{line} {problem}: {errors}");
    }
    let output = run(folder.path(), &[&arguments[..], &["--skip-unreadable"]].concat(), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn so_many_flips_as_the_limits_admit() {
    let folder = folder();
    // One newly allowed, one newly denied.
    for (arguments, code, said) in [
        (&[][..], 2, &["decisions flipped: 2; at most 0 may be", "decisions newly allowed: 1"][..]),
        (&UNLIMITED, 0, &[]),
        (&["--max-flips", "2"], 2, &["newly allowed"]),
        (&["--max-flips", "1", "--max-new-allows", "1"], 2, &["decisions flipped: 2; at most 1 may be"]),
        (&["--max-new-allows", "1"], 2, &["decisions flipped: 2; at most 1 may be"]),
        (&["--max-new-allows", "1", "--max-new-denies", "1"], 0, &[]),
        (&["--max-flips", "2", "--max-new-allows", "1", "--max-new-denies", "0"], 2, &["newly denied"]),
        (&["--max-flips", "some"], 64, &["--max-flips"]),
        (&["--since", "soon"], 64, &["--since"]),
    ] {
        let (exit, _, errors) = replay(folder.path(), arguments, &records());
        assert_eq!(exit, Some(code), "{arguments:?}: {errors}");
        assert!(said.iter().all(|said| errors.contains(said)), "{arguments:?}: {errors}");
        assert!(code != 0 || errors.is_empty(), "{errors}");
    }
}

#[test]
fn the_pretty_report_shows_some_flips_and_counts_all() {
    let folder = folder();
    let input = records().repeat(30);
    let (_, report, _) = replay(folder.path(), &["--limit", "3"], &input);
    assert_eq!(report.matches("\n  before ").count(), 3, "{report}");
    assert!(report.contains("… and 57 more flips"), "{report}");
    let (_, report) = self::report(folder.path(), &["--limit", "3"], &input);
    assert_eq!(report["flips"].as_array().unwrap().len(), 60);
}

#[test]
fn a_run_that_cannot_be_says_why() {
    let folder = folder();
    let (code, report, errors) = replay(folder.path(), &[], "\n \n");
    assert_eq!((code, report.as_str()), (Some(1), ""));
    assert!(errors.contains("nothing was replayed"), "{errors}");
    fs::create_dir(folder.path().join("broken")).unwrap();
    fs::write(folder.path().join("broken/policy.rego"), "package regate\n\ndecision :=").unwrap();
    for (arguments, code, said) in [
        (&["--policies", "broken", "-"][..], 3, "policy.rego:3"),
        (&["--policies", "missing", "-"], 3, "missing"),
        (&["--policies", "new", "--against", "broken", "-"], 1, "--against broken"),
        (&["--policies", "new", "missing.jsonl"], 1, "missing.jsonl cannot be read"),
        (&["--policies", "new", "--data", "missing.json", "-"], 1, "missing.json cannot be read"),
        (&["--policies", "new"], 64, "FILE"),
        (&["-"], 64, "--policies"),
        (&["--policies", "new", "--data", "x", "--database-url", "y", "-"], 64, "give one of them"),
    ] {
        let output = run(folder.path(), &[&["replay"], arguments].concat(), &records());
        let errors = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(said), "{arguments:?}: {errors}");
    }
}

#[test]
fn the_live_rows_are_read_and_nothing_is_written() {
    let folder = folder();
    let files = || {
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = files();
    let arguments = ["replay", "--policies", "new", "--database-url", "sqlite://live.sqlite", "-"];
    let output = run(folder.path(), &arguments, &records());
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("there is no database at live.sqlite"), "{}", stderr(&output));
    assert_eq!(files(), before);
    // A file without tables is not given any.
    fs::write(folder.path().join("live.sqlite"), "").unwrap();
    let output = run(folder.path(), &arguments, &records());
    assert!(stderr(&output).contains("regate migrate"), "{}", stderr(&output));
    assert_eq!(fs::read(folder.path().join("live.sqlite")).unwrap(), b"");
    let import = ["import", "data.json", "--database-url", "sqlite://live.sqlite"];
    assert!(run(folder.path(), &import, "").status.success());
    let (files_before, content) = (files(), fs::read(folder.path().join("live.sqlite")).unwrap());
    let output = run(folder.path(), &[&arguments[..], &UNLIMITED].concat(), &records());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("5 decisions under new"), "{}", stdout(&output));
    assert_eq!(files(), files_before);
    assert!(fs::read(folder.path().join("live.sqlite")).unwrap() == content, "the file was written");
}

#[test]
fn the_lines_of_the_documentation_are_what_is_read() {
    let folder = folder();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/replay.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks = page.split("```json\n").skip(1);
    let input: String = blocks.map(|block| block.split("```").next().unwrap()).collect();
    let (_, report) = report(folder.path(), &["--against", "old"], &input);
    assert_eq!((&report["lines"], &report["unreadable"]), (&json!(2), &json!(0)));
    // The one has its key, which is none; the other's token is not here.
    assert_eq!((&report["compared"], &report["cannot_decide"]), (&json!(1), &json!(1)));
    for code in ["the token t9 is not in the data", "the record has no time"] {
        assert!(page.contains(code), "{code}");
    }
}

#[test]
fn the_gateway_that_asked_is_part_of_a_record() {
    let folder = folder();
    let rule =
        "package regate\n\ndecision := {\"allow\": input.gateway.id == \"g1\", \"reasons\": [\"gateway\"]}\n";
    fs::write(folder.path().join("new/policy.rego"), rule).unwrap();
    let mut asked = record(Some("t1"), "/a", true, "gateway");
    asked["gateway"] = json!({"id": "g1", "tenant": "default"});
    // A token of another tenant than the gateway's is nobody's there.
    let mut foreign = record(Some("t1"), "/a", false, "token.unknown");
    foreign["gateway"] = json!({"id": "g1", "tenant": "other"});
    let (code, report) = report(folder.path(), &[], &lines(&[asked, foreign]));
    assert_eq!((code, &report["reasons"]), (Some(0), &json!([])), "{report}");
}
