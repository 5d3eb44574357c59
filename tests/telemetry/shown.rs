//! What `/metrics` shows of decisions.

use serde_json::json;

use super::{metrics, question, serve, value};
use crate::harness::http::decide;

#[test]
fn decisions_are_counted_by_how_they_came_out() {
    let (_folder, serving) = serve("[metrics]\nlisten = \"127.0.0.1:0\"\n");
    let address = serving.metrics_address();
    let before = metrics(&address);
    assert!(before.contains("# TYPE regate_decisions counter"), "{before}");
    assert!(!before.contains("regate_decisions_total{"), "{before}");
    let allowed = decide(&serving.address, &question(json!({})));
    decide(&serving.address, &question(json!({})));
    let denied = decide(
        &serving.address,
        &json!({"token": "nobody's", "request": {"method": "GET", "path": "/api/v1/x"}}),
    );
    let shown = metrics(&address);
    let count = |result: &str, reason: &str| {
        let end = format!("result=\"{result}\",reason=\"{reason}\"}} ");
        let lines = shown.lines().filter(|line| line.starts_with("regate_decisions_total{"));
        let line = lines.filter_map(|line| line.split_once(&end)).next();
        line.unwrap_or_else(|| panic!("{end} is not in:\n{shown}")).1.parse::<f64>().unwrap()
    };
    assert_eq!(count("allow", allowed["reason"].as_str().unwrap()), 2.0);
    assert_eq!(count("deny", denied["reason"].as_str().unwrap()), 1.0);
    // Of an unknown token no policy is asked.
    for (histogram, expected) in [("regate_decision_seconds", 3.0), ("regate_evaluation_seconds", 2.0)] {
        let counts = shown.lines().filter(|line| line.starts_with(&format!("{histogram}_count{{")));
        let sum: f64 = counts.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum();
        assert_eq!(sum, expected, "{shown}");
    }
    assert_eq!(value(&shown, "regate_decision_faults_total{kind=\"time\"}"), 0.0);
    assert!(shown.ends_with("# EOF\n"), "{shown}");
}

#[test]
fn a_policy_that_gives_no_usable_result_is_counted_by_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    let policy = "package regate\n\
                  decision := {\"allow\": \"yes\"} if input.request.path == [\"result\"]\n\
                  else := {\"allow\": count([1 | some i in numbers.range(1, 100000); i > 0]) > 0} if input.request.path == [\"long\"]\n\
                  else := {\"allow\": false}\n";
    write("policies/policy.rego", policy);
    write("regate.toml", "[policy]\nmax_instructions = 1000\n[metrics]\nlisten = \"127.0.0.1:0\"\n");
    let serving = crate::harness::program::Serving::start(
        folder.path(),
        &["--demo", "--config", "regate.toml", "--policies", "policies"],
    );
    let address = serving.metrics_address();
    let reason = |path: &str| {
        let answer = decide(&serving.address, &json!({"request": {"method": "GET", "path": path}}));
        answer["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason("/result"), "policy.error");
    assert_eq!(reason("/long"), "policy.timeout");
    let shown = metrics(&address);
    let faults = |kind: &str| value(&shown, &format!("regate_decision_faults_total{{kind=\"{kind}\"}}"));
    assert_eq!(["result", "instructions", "evaluation", "time"].map(faults), [1.0, 1.0, 0.0, 0.0]);
}
