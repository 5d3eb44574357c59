//! Invariants: those of the shipped bundle hold, planted holes are found, and made small.

use std::{fs, path::Path};

use regate::{
    decision::{CompileOptions, Document},
    policy::{
        PolicySource,
        invariants::{InvariantReport, search},
    },
};
use regex::Regex;

use crate::harness::program::{run, stdout};

const TRIES: usize = 10_000;

/// A copy of the shipped bundle and its tests.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["policies", "policies/limits", "policies/routes", "policy-tests"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, folder.path().join(name).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    folder
}

/// Writes a hole into a file of the copy.
fn plant(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join("policies").join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{file} has it once: {from}");
    fs::write(path, text.replace(from, to)).unwrap();
}

fn look(folder: &Path, only: &str, tries: usize, seed: u64) -> InvariantReport {
    let source = PolicySource::Paths(vec![folder.join("policies"), folder.join("policy-tests")]);
    let only = Regex::new(only).unwrap();
    search(&source, &CompileOptions::default(), Some(&only), None, tries, seed).unwrap()
}

/// Looks with several seeds: to find it once may be luck.
fn finds(folder: &Path, invariant: &str, expected: &str) {
    let mut tries = Vec::new();
    for seed in 1..=seeds() {
        let report = look(folder, invariant, TRIES, seed);
        let found = report.results[0].counterexample.as_ref();
        let found = found.unwrap_or_else(|| panic!("{invariant}: not found with the seed {seed}"));
        assert!(found.found_at <= TRIES);
        assert_eq!(found.decision["allow"], Document::Bool(true));
        assert!(!found.why.held.is_empty());
        // Small: nothing is left that is not needed.
        assert!(found.case.upstream.is_none() && found.case.mcp.is_none() && found.case.gateway.is_none());
        let question = format!("{} /{}", found.case.method, found.case.path.join("/"));
        assert!(Regex::new(expected).unwrap().is_match(&question), "{question}");
        tries.push(found.found_at);
    }
    tries.sort_unstable();
    let middle = usize::midpoint(tries[(tries.len() - 1) / 2], tries[tries.len() / 2]);
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    println!("{test}: median {middle}, most {} {tries:?}", tries[tries.len() - 1]);
}

/// Three, or as many as the measurement in docs/testing.md asks for.
fn seeds() -> u64 {
    std::env::var("REGATE_TEST_SEEDS").map_or(3, |seeds| seeds.parse().unwrap())
}

#[test]
fn finds_a_wildcard_segment_that_swallows_restart() {
    let folder = copy();
    plant(
        folder.path(),
        "global_token.rego",
        "decision := reading if {",
        "decision := {\"allow\": true, \"reasons\": [\"global_token.read\"]} if {\n\tinput.request.method == \"GET\"\n\t\
         [\"api\", \"v1\", \"projects\", project, \"builds\", _, _] = input.request.path\n\t\
         data.collaborators[project][input.token.user_id]\n\tinput.token.projects == null\n}\n\nelse := reading if {",
    );
    finds(folder.path(), "a_change_needs_the_right_to_it", "^GET /api/v1/projects/[^/]+/builds/x/[^/]+$");
}

#[test]
fn finds_a_forgotten_membership_check() {
    let folder = copy();
    plant(
        folder.path(),
        "global_token.rego",
        "\tproject := data.regate.request.below_project\n\t\
         data.collaborators[project][token.user_id].role in {\"developer\", \"administrator\", \"owner\"}\n",
        "",
    );
    finds(folder.path(), "no_token_reaches_a_project_without_membership", "^POST /api/v1/projects/x/x$");
}

#[test]
fn finds_a_deny_that_a_second_allow_overrides() {
    let folder = copy();
    fs::write(
        folder.path().join("policies/archive.rego"),
        "package regate.overrides\n\ndeny contains \"acme.closed\" if data.regate.request.mcp_project == \"p2\"\n",
    )
    .unwrap();
    assert_eq!(look(folder.path(), "deny_of_the_organisation", 3_000, 1).broken().count(), 0);
    plant(
        folder.path(),
        "regate.rego",
        "agent := data.regate.mcp_token.decision if {\n\tdata.regate.overrides.deny == set()\n",
        "agent := data.regate.mcp_token.decision if {\n",
    );
    finds(folder.path(), "a_deny_of_the_organisation_is_final", "^GET (/api/v1)?/mcp/projects/p2$");
}

const NOBODY_WRITES: &str = "package acme\n\ninvariant_nobody_anonymous_writes if not anonymous_write\n\n\
    anonymous_write if {\n\tdata.regate.decision.allow == true\n\tinput.token == null\n\t\
    not input.request.method in {\"GET\", \"HEAD\", \"OPTIONS\"}\n}\n";

/// Plants an allow without a token, on paths for which `condition` holds.
fn plant_hooks(condition: &str) -> tempfile::TempDir {
    let folder = copy();
    plant(
        folder.path(),
        "anonymous.rego",
        "# The same for every path.\n",
        &format!("else := {{\"allow\": true, \"reasons\": [\"anonymous.hooks\"]}} if {condition}\n\n"),
    );
    fs::write(folder.path().join("policy-tests/acme.rego"), NOBODY_WRITES).unwrap();
    folder
}

#[test]
fn finds_an_open_prefix_of_one_segment() {
    let folder = plant_hooks("input.request.path[0] == \"hooks\"");
    finds(folder.path(), "nobody_anonymous_writes", "^POST /hooks$");
}

#[test]
fn finds_an_open_path_of_one_segment() {
    let folder = plant_hooks("input.request.path == [\"hooks\"]");
    finds(folder.path(), "nobody_anonymous_writes", "^POST /hooks$");
}

#[test]
fn finds_a_kind_of_token_that_a_deny_of_a_project_forgets() {
    let folder = copy();
    let archive = |more: &str| {
        format!(
            "package regate.overrides\n\ndeny contains \"acme.archive.is_read_only\" if {{\n\t\
             data.regate.request.project == \"archive\"\n\tnot data.regate.request.read\n{more}}}\n"
        )
    };
    fs::write(
        folder.path().join("policy-tests/acme.rego"),
        "package acme\n\ninvariant_the_archive_is_not_written if not archive_written\n\narchive_written if {\n\t\
         data.regate.decision.allow == true\n\tarray.slice(input.request.path, 0, 4) == \
         [\"api\", \"v1\", \"projects\", \"archive\"]\n\t\
         not input.request.method in {\"GET\", \"HEAD\", \"OPTIONS\"}\n}\n",
    )
    .unwrap();
    let file = folder.path().join("policies/archive.rego");
    fs::write(&file, archive("")).unwrap();
    assert_eq!(look(folder.path(), "archive_is_not_written", 3_000, 1).broken().count(), 0);
    fs::write(&file, archive("\tinput.token.kind != \"project\"\n")).unwrap();
    finds(folder.path(), "archive_is_not_written", "^POST /api/v1/projects/archive(/x)?$");
}

#[test]
fn the_shipped_bundle_keeps_its_invariants() {
    let report = look(Path::new(env!("CARGO_MANIFEST_DIR")), "", 3_000, 1);
    assert!(report.results.len() >= 6, "{}", report.results.len());
    let broken: Vec<&str> = report.broken().map(|result| result.rule.path.as_str()).collect();
    assert!(broken.is_empty(), "{broken:?}");
    assert!(report.results.iter().all(|result| result.tries == 3_000));
}

#[test]
fn a_seed_repeats_a_search() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("policy.rego"),
        "package regate\n\ndefault decision := false\ndecision if input.request.path[0] == \"open\"\n",
    )
    .unwrap();
    fs::write(
        folder.path().join("invariants.rego"),
        "package t\n\ninvariant_post_is_never_allowed if not post\npost if {\n\tdata.regate.decision == true\n\t\
         input.request.method == \"POST\"\n}\n",
    )
    .unwrap();
    let arguments = ["test", ".", "--invariants", "5000", "--seed", "7"];
    let first = run(folder.path(), &arguments, "");
    assert_eq!(first.status.code(), Some(2));
    assert_eq!(stdout(&first), stdout(&run(folder.path(), &arguments, "")));
    insta::assert_snapshot!(stdout(&first));
    // The test that it proposes fails for the same reason.
    let report = run(folder.path(), &[&arguments[..], &["--format", "json"]].concat(), "");
    let report: serde_json::Value = serde_json::from_str(&stdout(&report)).unwrap();
    let test = report["invariants"][0]["counterexample"]["test"].as_str().unwrap();
    fs::write(folder.path().join("found_test.rego"), format!("package found_test\n\n{test}\n")).unwrap();
    let again = run(folder.path(), &["test", "."], "");
    assert_eq!(again.status.code(), Some(2));
    assert!(stdout(&again).contains("0 passed, 1 failed"), "{}", stdout(&again));
    let junit = run(folder.path(), &[&arguments[..], &["--format", "junit"]].concat(), "");
    assert!(stdout(&junit).contains("there is a question for which this does not hold"));
    assert!(stdout(&junit).contains(r#"invariants.rego" line="3""#), "{}", stdout(&junit));
}

#[test]
fn the_search_may_be_over_data_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("policy.rego"),
        "package regate\n\ndefault decision := false\ndecision if data.projects[input.request.path[0]].public\n",
    )
    .unwrap();
    fs::write(
        folder.path().join("invariants.rego"),
        "package t\n\ninvariant_nothing_is_public if not public\npublic if data.regate.decision\n",
    )
    .unwrap();
    let data = r#"{"projects": [{"id": "closed"}, {"id": "gazette", "public": true}]}"#;
    fs::write(folder.path().join("rows.json"), data).unwrap();
    let arguments = ["test", ".", "--invariants", "5000", "--seed", "7", "--data", "rows.json"];
    let output = run(folder.path(), &arguments, "");
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).contains("question: GET /gazette\n"), "{}", stdout(&output));
}

#[test]
fn an_invariant_about_nothing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("policy.rego"),
        "package regate\n\ndecision := {\"allow\": true, \"reasons\": [\"open\"]} if input.request.path[0] == \"open\"\n\n\
         else := {\"allow\": false, \"reasons\": [\"closed\"]}\n",
    )
    .unwrap();
    let invariants = "package t\n\ninvariant_misspelt_field if not misspelt_field\n\nmisspelt_field if {\n\tallowed\n\t\
        input.token.kind == \"mcp\"\n\tinput.request.method == \"QUERY\"\n\tfalse\n}\n\n\
        allowed if data.regate.decision.alow == true\n\n\
        invariant_misspelt_kind if not misspelt_kind\n\nmisspelt_kind if {\n\t\
        data.regate.decision.allow == true\n\tinput.token.kind == \"sesion\"\n\tinput.request.method == \"POST\"\n}\n\n\
        invariant_right if not wrong\n\nwrong if {\n\tdata.regate.decision.allow == true\n\t\
        input.token.kind == \"session\"\n\tinput.request.path[0] == \"closed\"\n}\n";
    fs::write(folder.path().join("invariants.rego"), invariants).unwrap();
    let arguments = ["test", ".", "--invariants", "1000", "--seed", "1"];
    let output = run(folder.path(), &arguments, "");
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    insta::assert_snapshot!(stdout(&output));
    let output = run(folder.path(), &[&arguments[..], &["--format", "json"]].concat(), "");
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["invariants"][0]["idle"][0]["undefined"], "data.regate.decision.alow");
    assert!(report["invariants"][2].get("idle").is_none(), "{}", report["invariants"][2]["idle"]);
}
