//! `regate test`, as its users run it: reports, coverage, exit codes.

use std::path::{Path, PathBuf};

use regex::Regex;

use crate::{
    harness::program::{Running, run, stderr, stdout},
    live::until,
};

fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn in_runner(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = run(&fixtures("runner"), &[&["test", "."], arguments].concat(), "");
    (output.status.code(), stdout(&output), stderr(&output))
}

/// The report without what is different each time.
fn steady(report: &str) -> String {
    let report = Regex::new(r"\(\d+ µs\)").unwrap().replace_all(report, "(N µs)");
    let report = Regex::new(r#"time="[0-9.]+""#).unwrap().replace_all(&report, r#"time="T""#);
    Regex::new(r#""duration": \d+"#).unwrap().replace_all(&report, r#""duration": 0"#).into_owned()
}

#[test]
fn a_failed_test_shows_the_condition_that_was_false_with_its_values() {
    let (code, report, errors) = in_runner(&[]);
    let not_asked = "regate: no rule at data.regate.decision: what the tests ask was not asked of both engines (see \
                     --entrypoint)\n";
    assert_eq!((code, errors.as_str()), (Some(2), not_asked));
    insta::assert_snapshot!(steady(&report));
}

#[test]
fn the_report_for_ci_systems() {
    let (code, report, _) = in_runner(&["--format", "junit"]);
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(steady(&report));
}

#[test]
fn the_report_for_programs() {
    let (code, report, _) = in_runner(&["--format", "json", "--run", "test_ok|test_bad|test_cases|todo"]);
    assert_eq!(code, Some(2));
    let parsed: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(parsed.as_array().unwrap().len(), 4);
    insta::assert_snapshot!(steady(&report));
}

#[test]
fn coverage_names_the_lines_that_no_test_reaches() {
    let (code, report, _) = in_runner(&["--coverage", "--run", "test_ok"]);
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(steady(&report));
    let (code, report, _) = in_runner(&["--coverage", "--run", "test_ok", "--format", "json"]);
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(steady(&report));
}

#[test]
fn too_little_coverage_fails() {
    let (code, _, errors) = in_runner(&["--threshold", "90", "--run", "test_ok"]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("are asked for"), "{errors}");
    let (_, xml, _) = in_runner(&["--threshold", "90", "--run", "test_ok", "--format", "junit"]);
    assert!(xml.contains(r#"failures="1""#) && xml.contains(r#"<testcase name="threshold""#), "{xml}");
    let (code, _, _) = in_runner(&["--threshold", "10", "--run", "test_ok"]);
    assert_eq!(code, Some(0));
    let (code, _, errors) = in_runner(&["--threshold", "101"]);
    assert_eq!(code, Some(64), "{errors}");
}

#[test]
fn a_filter_that_selects_nothing_is_no_success() {
    let (code, _, errors) = in_runner(&["--run", "test_misspelt"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("no test to run"), "{errors}");
}

#[test]
fn what_was_not_run_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let test = "package a_test\n\ntodo_test_it if true\n";
    std::fs::write(folder.path().join("a_test.rego"), test).unwrap();
    let output = run(folder.path(), &["test", "."], "");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("no test was run"), "{}", stderr(&output));
    let output = run(folder.path(), &["test", ".", "--invariants", "0"], "");
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn without_a_path_the_configuration_says_what_is_tested_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("rules/a.rego", "package regate\n\ndecision := false\n");
    write(
        "specification/a.rego",
        "package a_test\n\ntest_it if not data.regate.decision with input as data.fixtures.nothing\n",
    );
    write("specification/fixtures.rego", "package fixtures\n\nnothing := {}\n");
    write("policies/a.rego", "package regate\n\ndecision := 1 if {\n");
    write("policy-tests/a.rego", "package a_test\n\ntest_it if {\n");
    write("regate.toml", "[policy]\nfolder = \"rules\"\ntests = \"specification\"\n");
    write("folder.toml", "[policy]\nfolder = \"rules\"\n");
    let output = run(folder.path(), &["test", "--config", "regate.toml", "-v", "--coverage"], "");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("1 passed") && stdout(&output).contains("rules/a.rego"));
    assert!(!stdout(&output).contains("fixtures.rego"), "{}", stdout(&output));
    let output = run(folder.path(), &["check", "--config", "regate.toml", "--deny-warnings"], "");
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("3 files: nothing found"), "{}", stdout(&output));
    let output = run(folder.path(), &["check", "--config", "folder.toml"], "");
    assert!(stdout(&output).contains("1 file: nothing found"), "{}", stdout(&output));
    // A path says more, and nothing at all is what it was.
    let output = run(folder.path(), &["check", "rules/a.rego", "--config", "regate.toml"], "");
    assert!(stdout(&output).contains("1 file: nothing found"), "{}", stdout(&output));
    let output = run(folder.path(), &["check"], "");
    assert_eq!(output.status.code(), Some(3), "{}", stdout(&output));
}

#[test]
fn the_questions_of_any_entrypoint_are_asked_of_both_engines() {
    let (_, _, errors) = in_runner(&["-v", "--run", "test_ok", "--entrypoint", "data.authz.allow"]);
    assert!(errors.contains("questions of the tests, and both engines agree"), "{errors}");
    let (code, _, errors) = in_runner(&["--run", "test_ok", "--entrypoint", "data.authz"]);
    assert_eq!(code, Some(3));
    assert!(errors.contains("it is a package: its rules are allow"), "{errors}");
    let (code, _, _) = in_runner(&["--entrypoint", "authz.allow"]);
    assert_eq!(code, Some(64));
}

#[test]
fn a_served_rule_with_with_says_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.rego", "package regate\n\nx := input.now\n\ndecision if data.regate.x with input as {}\n");
    write("a_test.rego", "package a_test\n\ntest_it if true\n");
    write("regate.toml", "[policy]\nengine = \"virtual_machine\"\n");
    let output = run(folder.path(), &["test", ".", "--config", "regate.toml"], "");
    assert_eq!(output.status.code(), Some(3), "{}", stdout(&output));
    for words in ["a.rego:5:", "write a function that takes what `with` replaces", "engine = \"auto\""] {
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[test]
fn a_terminal_and_xml_get_no_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let test = "package a_test\n\ntest_it[name] if {\n\tprint(\"\\u001b[2J\")\n\tsome name in [\"\\u001b]0;x\\u0007\\uffff\"]\n\tname == \"\\u001b\"\n}\n\n\
                test_other if {\n\tprint(\"\\u001b[2J\")\n\tx := \"\\u009b31m\"\n\tx == \"\"\n}\n";
    std::fs::write(folder.path().join("a_test.rego"), test).unwrap();
    for arguments in [&["test", "."][..], &["test", ".", "--format", "junit"]] {
        let output = run(folder.path(), arguments, "");
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        let all = stdout(&output) + &stderr(&output);
        let dangerous = |c: char| c.is_control() && c != '\n' || arguments.len() > 2 && c == '\u{ffff}';
        assert!(!all.contains(dangerous), "{all:?}");
    }
}

#[test]
fn a_policy_that_does_not_compile_has_a_report() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.rego"), "package a\n\np if {\n").unwrap();
    let report = |format: &str| {
        let output = run(folder.path(), &["test", ".", "--format", format], "");
        assert_eq!(output.status.code(), Some(1));
        stdout(&output)
    };
    assert_eq!(report("pretty"), "");
    let object: serde_json::Value = serde_json::from_str(&report("json")).unwrap();
    assert!(object["error"].as_str().unwrap().contains("a.rego:4"), "{object}");
    let xml = report("junit");
    assert!(xml.contains(r#"errors="1""#) && xml.contains("a.rego:4"), "{xml}");
    assert!(xml.trim_end().ends_with("</testsuites>"), "{xml}");
}

#[test]
fn a_measurement_counts_evaluations() {
    let (code, report, _) = in_runner(&["--bench", "--run", "test_ok", "--format", "json"]);
    assert_eq!(code, Some(0));
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report[0]["name"], "test_ok");
    assert!(report[0]["iterations"].as_u64().unwrap() > 0);
    assert!(report[0]["nanoseconds_per_evaluation"].as_f64().unwrap() > 0.0);
}

#[test]
fn tests_in_the_older_language_run_unchanged() {
    let folder = fixtures("v0");
    let output = run(&folder, &["test", ".", "--rego-version", "v0"], "");
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("4 passed, 0 failed"));
    // A failure is explained there as well.
    let own = tempfile::tempdir().unwrap();
    let test = "package infrabox\n\ntest_it { authz with input as {\"user\": \"eve\"} }\n";
    std::fs::write(own.path().join("own_test.rego"), test).unwrap();
    let path = own.path().to_str().unwrap();
    let output = run(&folder, &["test", ".", path, "--rego-version", "v0", "--run", "test_it"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).contains(r#"failed: input.user == "root""#), "{}", stdout(&output));
    // Without the flag it is another language, and the message says where.
    let output = run(&folder, &["test", "."], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("authz.rego:6"), "{}", stderr(&output));
}

/// A difference between the engines that is known and cannot be seen in the text (docs/policies.md): a test passes, and
/// another decision would be made.
#[test]
fn what_the_tests_ask_is_asked_of_both_engines() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "policy.rego",
        "package regate\n\ndecision := input.context.answer if {\n\tinput.context\n} else := true\n",
    );
    write(
        "policy_test.rego",
        "package regate_test\n\ntest_it if data.regate.decision with input as {\"context\": {}}\n",
    );
    let output = run(folder.path(), &["test", ".", "-v"], "");
    assert_eq!(output.status.code(), Some(2), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("1 passed, 0 failed"));
    assert!(
        stderr(&output).contains("gives undefined, the interpreter, which tests, true"),
        "{}",
        stderr(&output)
    );
    let output = run(folder.path(), &["test", ".", "--format", "junit"], "");
    assert!(stdout(&output).contains(r#"<testcase name="both_engines""#), "{}", stdout(&output));
    // As it says: decided as it is tested.
    write("regate.toml", "[policy]\nengine = \"interpreter\"\n");
    let output = run(folder.path(), &["test", ".", "--config", "regate.toml"], "");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    // What both say alike is no difference, and it is said how much was asked.
    write("policy.rego", "package regate\n\ndefault decision := false\ndecision if input.context.answer\n");
    write(
        "policy_test.rego",
        "package regate_test\n\ntest_it if {\n\tevery answer in [true, false, 1] {\n\t\tanswered := data.regate.decision with input as {\"context\": {\"answer\": answer}}\n\t\tanswered == (answer != false)\n\t}\n}\n",
    );
    let output = run(folder.path(), &["test", ".", "-v"], "");
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    assert!(
        stderr(&output).contains("3 questions of the tests, and both engines agree"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn watching_runs_the_tests_again_after_each_change() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(folder.path().join("a_test.rego"), text).unwrap();
    write("package a_test\n\ntest_it if 1 == 1\n");
    let watching = Running::start(folder.path(), &["test", ".", "--watch"]);
    let until = |wanted: &str| {
        until(|| watching.output.lock().unwrap().clone(), |output| output.contains(wanted));
    };
    until("1 passed, 0 failed");
    write("package a_test\n\ntest_it if 1 == 2\n");
    until("0 passed, 1 failed");
    // In the middle of an edit, and after it.
    write("package a_test\n\ntest_it if {");
    write("package a_test\n\ntest_it if 1 == 1\n\ntest_other if true\n");
    until("2 passed, 0 failed");
}

/// A bundle as OPA had it: an entrypoint of its own name that is a boolean, in the older language, over rows of its own.
#[test]
fn somebody_elses_bundle_is_served_unchanged() {
    use crate::harness::{http::decide, program::Serving};
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    let rego = "package infrabox\n\ndefault authz = false\n\nauthz {\n\tinput.request.method == \"GET\"\n\tinput.request.path = [\"projects\", project]\n\tdata.infrabox.rows.readers[_] == project\n}\n";
    std::fs::write(policies.join("authz.rego"), rego).unwrap();
    std::fs::create_dir_all(policies.join("infrabox/rows")).unwrap();
    std::fs::write(policies.join("infrabox/rows/data.json"), r#"{"readers": ["p1"]}"#).unwrap();
    let toml = "[policy]\nentrypoint = \"data.infrabox.authz\"\nrego_version = \"v0\"\n";
    std::fs::write(folder.path().join("regate.toml"), toml).unwrap();
    let arguments =
        ["--config", "regate.toml", "--policies", "policies", "--database-url", "sqlite::memory:"];
    let serving = Serving::start(folder.path(), &arguments);
    let ask = |path: &str| {
        let question = serde_json::json!({"request": {"method": "GET", "path": path}, "explain": true});
        decide(&serving.address, &question)
    };
    let allowed = ask("/projects/p1");
    assert_eq!((&allowed["allow"], &allowed["reason"]), (&true.into(), &"policy.allowed".into()));
    let denied = ask("/projects/p2");
    assert_eq!((&denied["allow"], &denied["status"]), (&false.into(), &401.into()));
    let why = &denied["explanation"]["why"];
    assert_eq!(why["disagreement"], serde_json::Value::Null);
    let failed = &why["closest"][0]["failed"];
    assert_eq!(failed["condition"], "data.infrabox.rows.readers[_] == project", "{why}");
}

/// Each of these has a case that fails and would never be seen, or is not true.
#[test]
fn what_is_not_clearly_true_does_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let cases = "cases := [{\"name\": \"a\", \"ok\": true}, {\"name\": \"b\", \"ok\": false}]\n";
    for (test, outcome) in [
        ("test_it contains case.name if {\n\tsome case in cases\n\tcase.ok\n}", "ERROR"),
        ("test_it[name] if {\n\tsome case in cases\n\tcase.ok\n\tname := case.name\n}", "ERROR"),
        ("test_it[case.name] if {\n\tsome case in cases\n\tcase.ok\n}", "ERROR"),
        ("test_it[sprintf(\"%s\", [case.name])] if {\n\tsome case in cases\n\tcase.ok\n}", "ERROR"),
        ("test_it[name] if {\n\tinput.x\n\tsome name, case in cases\n\tcase.ok\n}", "ERROR"),
        ("test_it[name] if {\n\tsome name, case in cases\n\tcase.ok\n}", "FAIL"),
        ("test_it := {\"a\": true, \"b\": false}", "FAIL"),
        ("test_it := {false}", "FAIL"),
        ("test_it := 1", "FAIL"),
    ] {
        std::fs::write(folder.path().join("a_test.rego"), format!("package a_test\n\n{cases}\n{test}\n"))
            .unwrap();
        let output = run(folder.path(), &["test", "."], "");
        assert_eq!(output.status.code(), Some(2), "{test}: {}{}", stdout(&output), stderr(&output));
        assert!(stdout(&output).starts_with(outcome), "{test}: {}", stdout(&output));
    }
}

/// The interpreter would call the function itself, and the test would say something that is not so.
#[test]
fn a_function_that_a_test_replaces_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.rego", "package a\n\nf(x) := x + 1\n\ng := f(input.n)\n\nh := 1\n");
    for target in ["data.a.f", "a.f"] {
        let test = format!(
            "package a_test\n\nimport data.a\n\nm(_) := 99\n\ntest_it if a.g == 99 with {target} as m\n"
        );
        write("a_test.rego", &test);
        let output = run(folder.path(), &["test", "."], "");
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("a_test.rego:7: `with` cannot replace the function data.a.f"));
    }
    // Rules, and builtins, are replaced.
    write(
        "a_test.rego",
        "package a_test\n\nimport data.a\n\nm(_) := 99\n\ntest_it if a.h == 2 with data.a.h as 2\n\ntest_builtin if count([1]) == 99 with count as m\n",
    );
    let output = run(folder.path(), &["test", "."], "");
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
}
