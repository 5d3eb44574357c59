//! `examples/ci`: the script over policies that are good, broken, and too open; the workflow by its schema.

use std::{fs, path::Path, process::Command};

use super::{example, read, root};
use crate::harness::{
    program::{REGATE, stderr, stdout},
    python,
};

/// Runs the script in a folder, which has `policies` and `policy-tests`; gives its exit code and what it said.
fn test_policies(folder: &Path, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let programs = Path::new(REGATE).parent().unwrap().to_str().unwrap();
    let mut command = Command::new(example("ci/test-policies"));
    command.env_clear().env("PATH", format!("{programs}:/usr/bin:/bin")).current_dir(folder);
    // Made-up questions enough to see that they are asked.
    command.env("TRIES", "50").envs(variables.iter().copied());
    let output = command.output().unwrap();
    (output.status.code(), format!("{}{}", stdout(&output), stderr(&output)))
}

/// A copy of the shipped policies and tests.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["policies", "policy-tests"] {
        let copied =
            Command::new("cp").args(["-r"]).arg(root().join(name)).arg(folder.path()).status().unwrap();
        assert!(copied.success());
    }
    folder
}

#[test]
fn the_shipped_policies_pass_and_leave_their_reports() {
    let folder = repository();
    let question =
        read(root().join("examples/question.json")).split_whitespace().collect::<Vec<_>>().join(" ");
    fs::write(folder.path().join("decisions.jsonl"), question + "\n").unwrap();
    fs::copy(root().join("examples/decide.json"), folder.path().join("rows.json")).unwrap();
    let replay = [("DECISIONS", "decisions.jsonl"), ("BEFORE", "shipped"), ("DATA", "rows.json")];
    let (code, said) = test_policies(folder.path(), &replay);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("passed: ").count(), 3, "{said}");
    let report = |name: &str| read(folder.path().join("reports").join(name));
    assert!(report("tests.xml").contains("<testsuites"), "{}", report("tests.xml"));
    assert!(report("check.sarif").contains("\"version\""));
    assert!(report("replay.json").contains("\"allow_to_allow\""), "{}", report("replay.json"));
}

#[test]
fn a_policy_that_does_not_compile_fails_and_all_steps_are_told() {
    let folder = repository();
    fs::write(folder.path().join("policies/broken.rego"), "package regate.broken\n\nallow if {\n").unwrap();
    let (code, said) = test_policies(folder.path(), &[]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said.matches("FAILED: ").count(), 2, "{said}");
    assert!(said.contains("reports/tests.xml"), "{said}");
    assert!(!said.contains("replay"), "{said}");
}

#[test]
fn a_policy_that_lets_somebody_in_fails_by_its_tests_and_by_the_replay() {
    let folder = repository();
    // Whoever is nobody reads every project, and not the public ones alone.
    let path = folder.path().join("policies/anonymous.rego");
    let open = read(&path).replace("].public == true", "]");
    assert_ne!(open, read(&path));
    fs::write(path, open).unwrap();
    let question = r#"{"request": {"method": "GET", "path": "/api/v1/projects/website/builds"}}"#;
    fs::write(folder.path().join("decisions.jsonl"), format!("{question}\n")).unwrap();
    fs::copy(root().join("examples/decide.json"), folder.path().join("rows.json")).unwrap();
    let replay = [("DECISIONS", "decisions.jsonl"), ("BEFORE", "shipped"), ("DATA", "rows.json")];
    let (code, said) = test_policies(folder.path(), &replay);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAILED: tests and invariants"), "{said}");
    assert!(said.contains("FAILED: replay (exit code 2)"), "{said}");
    // Where it is meant.
    let meant = [&replay[..], &[("MAX_NEW_ALLOWS", "1")]].concat();
    let (_, said) = test_policies(folder.path(), &meant);
    assert!(said.contains("passed: replay"), "{said}");
}

#[test]
fn the_workflow_is_one_and_runs_the_script_with_variables_that_it_knows() {
    let path = example("ci/policies.yml");
    let schema = ["--builtin-schema", "vendor.github-workflows", path.to_str().unwrap()];
    let output = python::run("check-jsonschema", &schema, &root());
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let (workflow, script) = (read(&path), read(example("ci/test-policies")));
    let variable = regex::Regex::new("--env ([A-Z_]+)=").unwrap();
    let given: Vec<String> = variable.captures_iter(&workflow).map(|found| found[1].to_owned()).collect();
    assert_eq!(given.len(), 3);
    for name in given {
        assert!(script.contains(&format!("${{{name}:")), "{name}");
    }
}
