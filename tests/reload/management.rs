//! Who may make the calls of the management API, and what the first of them answer.

use std::fs;

use serde_json::{Value, json};

use super::{Scene, TOLD_ALONE, data, rules, until, write_bundle};
use crate::harness::http::{Answer, send};

fn problem(answer: &Answer, status: u16, code: &str) -> Value {
    let body = answer.json();
    assert_eq!((answer.status, body["code"].as_str()), (status, Some(code)), "{body}");
    assert_eq!((&body["allow"], &body["status"]), (&json!(false), &json!(status)));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    body
}

/// `POST /v1/explain` with a question.
fn explain(scene: &Scene, secret: &str, question: &Value) -> Answer {
    let authorization = format!("Bearer {secret}");
    let headers = [("authorization", authorization.as_str())];
    send(&scene.serving.address, "POST", "/v1/explain", &headers, question.to_string().as_bytes())
}

#[test]
fn an_operator_is_told_why() {
    let scene = Scene::over(tempfile::tempdir().unwrap(), TOLD_ALONE, &[]);
    let question = json!({"token": "everywhere", "request": {"method": "GET", "path": "/api/v1/projects/p1",
        "headers": {"cookie": "session=5up3r5ecret"}}});
    let answer = explain(&scene, "operator", &question);
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["reason"], "global_token.not_a_collaborator");
    let closest = &body["explanation"]["why"]["closest"][0];
    assert_eq!(closest["rule"], "data.regate.global_token.reading");
    assert_eq!(
        closest["failed"]["condition"],
        "data.collaborators[data.regate.request.quiet_project][token.user_id].role"
    );
    assert!(!body.to_string().contains("5up3r5ecret"));
    // The same as a gateway that asks why is told.
    let mut asked = question.clone();
    asked["explain"] = json!(true);
    let told = crate::harness::http::decide(&scene.serving.address, &asked);
    assert_eq!(told["explanation"]["why"], body["explanation"]["why"]);
    // Of tokens of other tenants an operator learns nothing.
    let other = explain(&scene, "acme-operator", &question).json();
    assert_eq!((&other["reason"], &other["explanation"]), (&json!("token.unknown"), &Value::Null));
    // And nobody else is told anything.
    problem(&explain(&scene, "agent", &question), 403, "management.denied");
    problem(&explain(&scene, "edge", &question), 403, "management.denied");
    problem(&explain(&scene, "nobody", &question), 401, "management.unauthenticated");
    problem(&explain(&scene, "operator", &json!({"request": {}})), 400, "question.malformed");
}

const CALLS: [(&str, &str); 2] = [("GET", "/v1/policies"), ("POST", "/v1/policies/reload")];

/// These rules at the management entrypoint.
fn with_management(text: &str) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    write_bundle(&folder.path().join("policies"), "A");
    let text = format!("package regate.management\n\n{text}\n");
    fs::write(folder.path().join("policies/management.rego"), text).unwrap();
    Scene::over(folder, TOLD_ALONE, &["--policies", "policies"])
}

#[test]
fn only_live_tokens_of_operators_manage_whatever_the_bundle_says() {
    let shipped = Scene::over(tempfile::tempdir().unwrap(), TOLD_ALONE, &[]);
    let without = Scene::start(TOLD_ALONE);
    let everybody = with_management("decision := true");
    for (name, scene) in [("shipped", &shipped), ("without a rule", &without), ("everybody", &everybody)] {
        for (method, path) in CALLS {
            for secret in ["operator", "acme-operator", "root-operator"] {
                assert_eq!(scene.call(method, path, secret).status, 200, "{name}: {secret}");
            }
            for kind in ["agent", "everywhere", "builder", "edge"] {
                let denied = problem(&scene.call(method, path, kind), 403, "management.denied");
                assert_eq!(denied["reason"], "management.token_kind", "{name}: {kind}");
            }
            for secret in ["revoked-operator", "expired-operator", "nobody", "rgt_admin_x", ""] {
                let answer = scene.call(method, path, secret);
                let denied = problem(&answer, 401, "management.unauthenticated");
                let challenge = "Bearer error=\"invalid_token\"";
                assert_eq!(answer.header("www-authenticate"), Some(challenge));
                assert!(denied.get("reason").is_none(), "{name}: {secret}: {denied}");
            }
            let address = &scene.serving.address;
            let twice = [("authorization", "Bearer operator"), ("authorization", "Bearer operator")];
            for headers in [&[][..], &[("authorization", "Basic operator")], &twice] {
                problem(&send(address, method, path, headers, b""), 401, "management.unauthenticated");
            }
        }
    }
    // A disabled operator is none; who says so differs.
    let gone = |scene: &Scene| {
        problem(&scene.call("GET", "/v1/policies", "gone-operator"), 403, "management.denied")
    };
    assert_eq!(gone(&shipped)["reason"], "user.disabled");
    assert_eq!(gone(&without)["reason"], "policy.no_rule_matched");
}

#[test]
fn the_bundle_decides_over_the_calls_own_method_and_path() {
    let scene = with_management(
        "decision := {\"allow\": true} if {\n\tinput.request.method == \"GET\"\n\tinput.request.path == [\"v1\", \"policies\"]\n\tnot input.request.headers.authorization\n\tinput.token.kind == \"admin\"\n}\n\nelse := {\"allow\": false, \"reasons\": [\"acme.look_only\"], \"message\": \"look, do not touch\"}",
    );
    assert_eq!(scene.call("GET", "/v1/policies?x=1", "operator").status, 200);
    let denied = problem(&scene.call("POST", "/v1/policies/reload", "operator"), 403, "management.denied");
    assert_eq!(
        (&denied["reason"], &denied["detail"]),
        (&json!("acme.look_only"), &json!("look, do not touch"))
    );

    for (text, reason) in [
        ("decision := \"yes\"", "policy.error"),
        ("decision := {\"allow\": true} if input.nothing", "policy.error"),
        ("decision := false", "policy.no_rule_matched"),
    ] {
        let scene = with_management(text);
        let denied = problem(&scene.call("GET", "/v1/policies", "operator"), 403, "management.denied");
        assert_eq!(denied["reason"], reason, "{text}");
    }
    problem(&scene.call("DELETE", "/v1/policies", "operator"), 405, "route.method_not_allowed");
    problem(&scene.call("GET", "/v1/policies/reload", "operator"), 405, "route.method_not_allowed");
}

#[test]
fn a_reload_is_done_when_it_is_answered() {
    // Nobody tells and nobody looks: what happens, happens because it was asked for.
    let scene = Scene::start("[policy]\nwatch = false\ncheck_interval = \"1h\"\n");
    let first = scene.policies();
    let active = &first["active"];
    assert_eq!((&first["failure"], &first["watching"]), (&Value::Null, &json!(false)));
    assert_eq!((&first["attempts"], &first["activations"]), (&json!(1), &json!(1)));
    assert_eq!((&active["source"], &active["engine"]), (&json!("policies"), &json!("virtual_machine")));
    assert_eq!(active["tests"], Value::Null);
    let names: Vec<&str> =
        active["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["release/data.json", "rules.rego"]);
    assert_eq!(active["files"][0]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(active["entrypoints"]["decision"], json!({"path": "data.regate.decision", "present": true}));
    assert_eq!(active["entrypoints"]["management"]["present"], false);
    scene.serving.wait_for_log("no folder of tests is configured");

    write_bundle(&scene.path("policies"), "B");
    let answer = scene.call("POST", "/v1/policies/reload", "operator");
    assert_eq!(answer.status, 200);
    assert_eq!(scene.decided_by(), "B");
    assert_ne!(answer.json()["active"]["revision"], active["revision"]);
    // Once more, though nothing changed: done, and the same policy since the same moment.
    let again = scene.call("POST", "/v1/policies/reload", "operator").json();
    for counted in ["attempts", "activations"] {
        assert_eq!(again[counted].as_u64(), answer.json()[counted].as_u64().map(|before| before + 1));
    }
    assert_eq!(again["active"]["since"], answer.json()["active"]["since"]);
    assert!(again["active"]["since"].as_str().unwrap().ends_with('Z'));

    fs::write(scene.path("policies/rules.rego"), format!("{}\nx :=\n", rules("C"))).unwrap();
    let refused =
        problem(&scene.call("POST", "/v1/policies/reload", "operator"), 409, "policy.not_activated");
    assert_eq!((&refused["stage"], &refused["file"]), (&json!("compile"), &json!("policies/rules.rego")));
    assert_eq!((&refused["line"], &refused["column"]), (&json!(8), &json!(1)));
    assert_eq!(scene.call("POST", "/v1/policies/reload", "operator").status, 409);
    assert_eq!((scene.refusals(), scene.decided_by().as_str()), (1, "B"));
    let failure = scene.policies()["failure"].clone();
    assert_eq!((&failure["stage"], &failure["line"]), (&json!("compile"), &json!(8)));

    fs::write(scene.path("policies/release/data.json"), data("C")).unwrap();
    fs::write(scene.path("policies/rules.rego"), rules("C")).unwrap();
    assert_eq!(scene.call("POST", "/v1/policies/reload", "operator").status, 200);
    assert_eq!(scene.decided_by(), "C");
}

#[test]
fn a_token_that_is_revoked_stops_managing() {
    let scene = Scene::start(TOLD_ALONE);
    assert_eq!(scene.call("GET", "/v1/policies", "operator").status, 200);
    let arguments = ["token", "revoke", "operator", "--database-url", "sqlite://data.sqlite"];
    assert!(crate::harness::program::run(scene.folder.path(), &arguments, "").status.success());
    until(|| scene.call("GET", "/v1/policies", "operator").status, |status| *status == 401);
    assert_eq!(scene.call("GET", "/v1/policies", "root-operator").status, 200);
}

#[test]
fn who_waits_for_a_reload_is_answered_when_the_process_ends() {
    let scene = Scene::start("[policy]\nwatch = false\ncheck_interval = \"1h\"\nmax_test_time = \"1h\"\n");
    let endless = "package endless_test\n\ntest_it if {\n\tsome i in numbers.range(1, 100000)\n\tsome j in numbers.range(1, 100000)\n\ti == 0 - j\n}\n";
    fs::write(scene.path("policies/endless_test.rego"), endless).unwrap();
    let Scene { folder: _folder, serving } = scene;
    let address = serving.address.clone();
    let asking = std::thread::spawn(move || {
        let operator = [("authorization", "Bearer operator")];
        send(&address, "POST", "/v1/policies/reload", &operator, b"")
    });
    // That it is at it is only seen from how busy it is; to read the files takes less than this.
    let mut busy = 0;
    until(
        || {
            busy = if is_computing(serving.process()) { busy + 1 } else { 0 };
            busy
        },
        |busy| *busy == 40,
    );
    assert_eq!(serving.stop(), Some(0));
    problem(&asking.join().unwrap(), 503, "process.ending");
}

/// Whether the thread of the policies is computing.
fn is_computing(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    threads.flatten().any(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.contains("(regate-policies) R")
    })
}

#[test]
fn stale_data_answers_no_call() {
    let scene =
        Scene::start(&format!("{TOLD_ALONE}[data]\nmax_staleness = \"1ms\"\npoll_interval = \"1h\"\n"));
    for secret in ["operator", "nobody", "agent"] {
        let answer = until(|| scene.call("GET", "/v1/policies", secret), |answer| answer.status == 503);
        problem(&answer, 503, "data.stale");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[test]
fn the_shipped_bundle_is_shown_and_can_be_reloaded() {
    let scene = Scene::over(tempfile::tempdir().unwrap(), TOLD_ALONE, &[]);
    let shown = scene.policies();
    assert_eq!(shown["active"]["source"], "the shipped bundle (built in)");
    assert_eq!(
        (&shown["watching"], &shown["active"]["entrypoints"]["management"]["present"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(scene.call("POST", "/v1/policies/reload", "operator").status, 200);
}
