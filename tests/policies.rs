//! The shipped bundle: its own tests, its reasons, and both engines over it.

use std::{cell::RefCell, collections::BTreeSet, fs, path::PathBuf, sync::Arc};

use proptest::{prelude::*, test_runner::TestRunner};
use regate::{
    decision::{
        Bundle, CompileOptions, Document, Entrypoint, Evaluator, Interpreter, OwnReason, RegoVersion,
    },
    policy::{PolicySource, load, run_tests},
};
use regex::Regex;
use serde_json::json;

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

/// The example in `policies/overrides.rego`, taken as that file says, breaks nothing.
#[test]
fn the_shipped_tests_pass_with_the_example_of_an_override() {
    let shipped = fs::read_to_string(folder("policies/overrides.rego")).unwrap();
    let example: Vec<&str> = shipped.lines().filter_map(|line| line.strip_prefix("#     ")).collect();
    let example = example.join("\n");
    assert!(example.contains("package regate.overrides") && example.contains("deny contains"), "{example}");
    let own = tempfile::tempdir().unwrap();
    fs::write(own.path().join("archive.rego"), &example).unwrap();
    let test = "package regate.archive_test\n\ntest_the_archive_is_read_only if {\n\tinput_of := data.regate.fixtures.input_of(null, \"POST\", \"/api/v1/projects/archive\", {})\n\tdata.regate.overrides.deny[\"acme.archive.is_read_only\"] with input as input_of\n}\n";
    fs::write(own.path().join("archive_test.rego"), test).unwrap();
    let paths = vec![folder("policies"), folder("policy-tests"), own.path().to_owned()];
    let report = run_tests(&PolicySource::Paths(paths), RegoVersion::V1, None).unwrap();
    let failures: Vec<String> =
        report.failures().map(|f| format!("{} {:?}", f.test.path, f.outcome)).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(report.results.iter().any(|result| result.test.path.contains("archive_test")));
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
    let code = Regex::new(r#"\["([a-z_]+\.[a-z_]+)"\]"#).unwrap();
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

/// One of some JSON values.
fn one_of(values: &[&str]) -> impl Strategy<Value = serde_json::Value> {
    let values: Vec<serde_json::Value> = values.iter().map(|v| serde_json::from_str(v).unwrap()).collect();
    prop::sample::select(values)
}

/// Inputs made of what the rules speak of, and of its nearest neighbours.
fn input() -> impl Strategy<Value = serde_json::Value> {
    let segment = prop::sample::select(vec![
        "api",
        "v1",
        "mcp",
        "MCP",
        "projects",
        "Projects",
        "p1",
        "p2",
        "open",
        "secrets",
        "Secrets",
        "cronjobs",
        "builds",
        "restart",
        "RESTART",
        "cache",
        "clear",
        "trigger",
        "tokens",
        "admin",
        "collaborators",
    ]);
    let prefix = prop::sample::select(vec![
        vec![],
        vec!["api", "v1", "projects"],
        vec!["api", "v1", "projects", "p1"],
        vec!["mcp"],
        vec!["api", "v1", "mcp"],
        vec!["api", "v1", "mcp", "projects", "p1"],
    ]);
    let path = (prefix, prop::collection::vec(segment, 0..4)).prop_map(|(mut prefix, rest)| {
        prefix.extend(rest);
        prefix
    });
    let token = (
        one_of(&[
            r#""global""#,
            r#""mcp""#,
            r#""project""#,
            r#""admin""#,
            r#""session""#,
            r#""gateway""#,
            r#""other""#,
        ]),
        one_of(&["null", r#""u1""#, r#""u2""#, r#""u3""#, r#""nobody""#]),
        one_of(&["null", r#""p1""#, r#""p2""#]),
        any::<(bool, bool, bool)>(),
        one_of(&["null", "{}", r#"{"p1": null}"#, r#"{"p1": 5}"#, r#"{"p1": 2000}"#, r#"{"p1": "soon"}"#]),
        one_of(&["null", "null", "[]", r#"["search"]"#]),
    );
    let token = token.prop_map(|(kind, user, project, (pull, push, trigger), projects, tools)| {
        json!({"id": "t", "kind": kind, "tenant": "default", "user_id": user, "project_id": project, "scope_pull": pull,
            "scope_push": push, "allow_trigger": trigger, "projects": projects, "tools": tools, "expires_at": null})
    });
    (
        prop::option::weighted(0.9, token),
        one_of(&[r#""GET""#, r#""HEAD""#, r#""OPTIONS""#, r#""POST""#, r#""PUT""#, r#""DELETE""#, r#""FOO""#]),
        path,
        one_of(&["{}", r#"{"x-http-method-override": "DELETE"}"#, r#"{"accept": "*/*"}"#]),
        one_of(&[
            "null",
            "null",
            r#"{"method": "ping", "params": null, "tool": null}"#,
            r#"{"method": null, "params": null, "tool": null}"#,
            r#"{"method": "notifications/x", "params": {}, "tool": null}"#,
            r#"{"method": "x", "params": {}, "tool": null}"#,
            r#"{"method": 1, "params": {}, "tool": null}"#,
            r#"{"method": "tools/call", "params": {"name": "search"}, "tool": "search"}"#,
            r#"{"method": "tools/call", "params": {"name": "a b"}, "tool": "a b"}"#,
            r#"{"method": "tools/call", "params": {"name": 1}, "tool": 1}"#,
        ]),
    )
        .prop_map(|(token, method, path, headers, mcp)| {
            let user = token.as_ref().map_or(&serde_json::Value::Null, |t| &t["user_id"]);
            let user = match user.as_str() {
                Some(id @ ("u1" | "u2")) => json!({"id": id, "role": "user", "disabled": false}),
                Some("u3") => json!({"id": "u3", "role": "admin", "disabled": true}),
                _ => serde_json::Value::Null,
            };
            json!({"request": {"method": method, "path": path, "raw_path": "", "query": {}, "host": null, "headers": headers,
                "source_ip": null}, "token": token, "user": user, "gateway": null, "upstream": null, "mcp": mcp,
                "context": {}, "now": 1000})
        })
}

#[test]
fn both_engines_agree_over_the_shipped_bundle() {
    let files = load(&PolicySource::Shipped).unwrap();
    let mut data = serde_json::to_value(&files.data).unwrap();
    let bundle = Arc::new(
        Bundle::compile(&files.sources, files.data, files.revision, &CompileOptions::default()).unwrap(),
    );
    let rows = json!({
        "projects": {"p1": {"name": "one", "public": false}, "p2": {"name": "two", "public": false}, "open": {"name": "o", "public": true}},
        "collaborators": {"p1": {"u1": {"role": "developer"}, "u2": {"role": "viewer"}, "u3": {"role": "owner"}}},
        "users": {"u1": {"role": "user", "disabled": false}, "u2": {"role": "viewer", "disabled": false}, "u3": {"role": "admin", "disabled": true}},
        "upstreams": {},
    });
    data.as_object_mut().unwrap().extend(rows.as_object().unwrap().clone());
    let data = Document::from(data);
    let interpreter = RefCell::new(Interpreter::of_bundle(&bundle, data.clone()).unwrap());
    let evaluator = RefCell::new(Evaluator::new(0));
    let seen = RefCell::new(BTreeSet::new());
    let mut runner = TestRunner::new(ProptestConfig { cases: 20_000, ..ProptestConfig::default() });
    runner
        .run(&input(), |input| {
            let input = Document::from(input);
            for entrypoint in [Entrypoint::Decision, Entrypoint::Management] {
                let interpreted =
                    interpreter.borrow_mut().evaluate(&bundle, entrypoint, input.clone()).unwrap();
                let evaluated =
                    evaluator.borrow_mut().evaluate(&bundle, entrypoint, &data, input.clone()).unwrap();
                prop_assert_eq!(&evaluated, &interpreted);
                prop_assert!(
                    matches!(evaluated["allow"], Document::Bool(_)),
                    "no boolean allow: {evaluated:?}"
                );
                seen.borrow_mut().insert(evaluated["reasons"][0].to_string());
            }
            Ok(())
        })
        .unwrap();
    // Inputs that all end in one place would show little.
    assert!(seen.borrow().len() > 25, "{seen:?}");
}
