//! `regate check` as people and CI use it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use regate::policy::check::Code;
use serde_json::Value;

use crate::harness::program::{run, stderr, stdout};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Exit code and standard output.
fn check(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = run(folder, &[&["check"], arguments].concat(), "");
    (output.status.code().unwrap(), stdout(&output) + &stderr(&output))
}

/// A small bundle with an error, a warning, and something that is silenced.
fn small() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rules = "package regate

import data.regate.hosts

default decision := false

decision if {
\tinput.tokn.kind == \"session\"
\tinput.request.host == \"grün\"; data.colaborators.p1
}

# regate:allow unreachable-rule asked from outside
hosts_of_tomorrow := 1
";
    write(folder.path(), "policies/a b.rego", rules);
    write(folder.path(), "policies/hosts.rego", "package regate.hosts\n\nopen := {\"a\"}\n");
    let tests = "package t\n\ntest_hosts if data.regate.hosts.open\n";
    write(folder.path(), "policy-tests/a_test.rego", tests);
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn the_shipped_bundle_is_clean() {
    let (code, printed) = check(&root(), &["--deny-warnings"]);
    assert_eq!((code, printed.contains("nothing found")), (0, true), "{printed}");
}

#[test]
fn findings_in_three_formats() {
    let folder = small();
    let (code, pretty) = check(folder.path(), &[]);
    assert_eq!(code, 2);
    insta::assert_snapshot!("pretty", pretty);
    let (code, text) = check(folder.path(), &["--format", "json"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!("json", text);
    let (code, text) = check(folder.path(), &["--format", "sarif"]);
    assert_eq!(code, 2);
    let mut log: Value = serde_json::from_str(&text).unwrap();
    // The rules are the documentation, which may change; they stand in the order of their codes.
    let rules = log["runs"][0]["tool"]["driver"]["rules"].take();
    let ids: Vec<&str> = rules.as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(ids, Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
    for rule in rules.as_array().unwrap() {
        for text in
            [&rule["shortDescription"]["text"], &rule["fullDescription"]["text"], &rule["help"]["markdown"]]
        {
            assert!(text.as_str().is_some_and(|text| text.len() > 20), "{rule}");
        }
    }
    log["runs"][0]["tool"]["driver"]["version"] = "VERSION".into();
    for result in log["runs"][0]["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(result["ruleId"], rules[index]["id"]);
    }
    insta::assert_snapshot!("sarif", serde_json::to_string_pretty(&log).unwrap());
}

#[test]
fn a_typing_error_planted_in_the_shipped_bundle_is_found_at_its_line() {
    type Plant<'a> = (&'a str, &'a str, &'a str, &'a str);
    let plants: &[Plant<'_>] = &[
        (
            "policies/regate.rego",
            "input.token.kind == \"project\"",
            "input.token.kind == \"projects\"",
            "unknown-value",
        ),
        (
            "policies/project_token.rego",
            "token.scope_pull == true",
            "token.scope_pul == true",
            "unknown-input",
        ),
        (
            "policies/regate.rego",
            "input.token.kind == \"mcp\"",
            "input.tokn.kind == \"mcp\"",
            "unknown-input",
        ),
        (
            "policies/request.rego",
            "input.request.headers[\"x-http-method\"]",
            "input.request.header[\"x-http-method\"]",
            "unknown-input",
        ),
        (
            "policies/session.rego",
            "data.regate.request.project_list",
            "data.regate.request.projects_list",
            "unknown-data",
        ),
        (
            "policies/anonymous.rego",
            "data.projects[data.regate.request.project].public",
            "data.projects[data.regate.request.project].publik",
            "unknown-data",
        ),
        ("policies/mcp_token.rego", "data.routes.mcp_methods", "data.routes.mcp_method", "unknown-data"),
        ("policies/admin_token.rego", "not is_string(", "not is_sting(", "unknown-function"),
        (
            "policies/overrides.rego",
            "deny contains \"policy.no",
            "denies contains \"policy.no",
            "unreachable-rule",
        ),
        (
            "policies/session.rego",
            "else := {\"allow\": true, \"reasons\": [\"session.mcp\"]} if {\n\tis_string(input.user.id)\n",
            "else := {\"allow\": true, \"reasons\": [\"session.mcp\"]} if {\n\tmcp_start := data.regate.request.mcp_start\n",
            "unused-variable",
        ),
        (
            "policy-tests/regate_test.rego",
            "fixtures.token(\"global\", \"gone\")",
            "fixtures.tokn(\"global\", \"gone\")",
            "unknown-function",
        ),
    ];
    for (file, good, bad, expected) in plants {
        let folder = tempfile::tempdir().unwrap();
        copy(&root().join("policies"), &folder.path().join("policies"));
        copy(&root().join("policy-tests"), &folder.path().join("policy-tests"));
        let text = fs::read_to_string(folder.path().join(file)).unwrap();
        let at = text.find(good).unwrap_or_else(|| panic!("{file}: {good}"));
        let lines_before = good.trim_end().matches('\n').count();
        let line = text[..at].matches('\n').count() + 1 + lines_before;
        write(folder.path(), file, &text.replacen(good, bad, 1));
        let (_, printed) = check(folder.path(), &["--format", "json"]);
        let report: Value = serde_json::from_str(&printed).unwrap();
        let found = report["findings"].as_array().unwrap().iter().any(|finding| {
            finding["file"] == *file && finding["line"] == line && finding["code"] == *expected
        });
        assert!(found, "{file}:{line} {expected}\n{printed}");
    }
}

#[test]
fn exit_codes_are_those_of_the_documentation() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "clean/a.rego", "package regate\n\ndecision := false\n");
    write(folder, "warning/a.rego", "package regate\n\nimport input.token\n\ndecision := false\n");
    write(folder, "error/a.rego", "package regate\n\ndefault decision := false\n\ndecision if input.x\n");
    write(folder, "broken/a.rego", "package regate\n\ndecision if {\n");
    write(folder, "other/a.rego", "package other\n\nallow := false\n");
    write(folder, "empty/notes.txt", "");
    write(folder, "data/a.rego", "package regate\n\ndecision := true\n");
    write(folder, "data/data.json", "{");
    fs::create_dir(folder.join("bytes")).unwrap();
    fs::write(folder.join("bytes/a.rego"), b"package regate\n# \xff\n").unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["clean"], 0, "1 file: nothing found"),
        (&["warning"], 0, "warning[unused-import]"),
        (&["warning", "--deny-warnings"], 2, "warning[unused-import]"),
        (&["error"], 2, "error[unknown-input]"),
        (&["error", "--no-input-schema"], 0, "nothing found"),
        (&["error", "error/a.rego"], 2, "error/a.rego:5:"),
        (&["broken"], 3, "broken/a.rego:4:1: error[compile]"),
        (&["other"], 3, "no rule at the entrypoint data.regate.decision"),
        (&["other", "--entrypoint", "data.other.allow"], 0, "nothing found"),
        (
            &["other", "--entrypoint", "data.other.allow", "--entrypoint", "data.other.deny"],
            3,
            "data.other.deny",
        ),
        (&["other", "--entrypoint", "other.allow"], 64, "such as data.regate.decision"),
        (&["bytes"], 3, "bytes/a.rego: error[compile]: is not UTF-8"),
        (&["bytes", "--format", "json"], 3, "\"line\": null"),
        (&["bytes", "--format", "sarif"], 3, "\"uri\": \"bytes/a.rego\""),
        (&["data"], 3, "data/data.json: error[compile]"),
        (&["empty"], 1, "empty: there is no .rego file in it"),
        (&["nowhere"], 1, "nowhere: cannot be read"),
        (&[], 1, "policies: cannot be read"),
        (&["clean", "--config", "nowhere.toml"], 1, "nowhere.toml"),
        (&["clean", "--format", "xml"], 64, "sarif"),
        (&["--explain", "nosuch"], 64, "regate check --list"),
        (&["clean", "--rego-version", "v2"], 64, "v0 or v1"),
    ];
    for (arguments, expected, text) in cases {
        let (code, printed) = check(folder, arguments);
        assert_eq!(code, *expected, "{arguments:?}: {printed}");
        assert!(printed.contains(text), "{arguments:?}: {printed}");
    }
}

#[test]
fn the_configuration_says_what_is_asked_and_which_documents_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rules =
        "package acme\n\nallow { data.company.teams[_] == input.token.user_id }\n\ndefault allow = false\n";
    write(folder, "policies/a.rego", rules);
    let configuration = "[policy]\nentrypoint = \"data.acme.allow\"\nrego_version = \"v0\"\n\n[[documents]]\n\
        path = \"company.teams\"\nquery = \"select user_id from teams\"\nlist = true\n";
    write(folder, "regate.toml", configuration);
    let (code, printed) = check(folder, &["policies", "--config", "regate.toml", "--deny-warnings"]);
    assert_eq!(code, 0, "{printed}");
    let (code, printed) =
        check(folder, &["policies", "--entrypoint", "data.acme.allow", "--rego-version", "v0"]);
    assert!(code == 2 && printed.contains("`data` has no `company`"), "{printed}");
}

#[test]
fn tests_within_the_policy_folder_are_no_part_of_what_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "policies/a.rego", "package regate\n\ndecision := false\n");
    // `with` is not for the virtual machine.
    let test = "package regate\n\ntest_it if not data.regate.decision with input as {}\n";
    write(folder, "policies/a_test.rego", test);
    write(
        folder,
        "policies/tests/helper.rego",
        "package regate.helper\n\nhelp := data.regate\n\ntest_help if help\n",
    );
    let (code, printed) = check(folder, &["policies", "--deny-warnings"]);
    assert_eq!(code, 0, "{printed}");
}

#[test]
fn every_code_is_documented_listed_and_explained() {
    let page = fs::read_to_string(root().join("docs/check-codes.md")).unwrap();
    let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(sections, codes);
    let (code, list) = check(&root(), &["--list"]);
    assert_eq!(code, 0);
    let listed: Vec<&str> = list.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(listed, codes);
    for name in codes {
        let (code, text) = check(&root(), &["--explain", name]);
        assert!(code == 0 && text.starts_with(name) && text.contains("Good:"), "{text}");
    }
}
