//! Who may ask, whose data decides, and the identifier that comes back.

use serde_json::json;

use super::scene::{Scene, evaluation, message};
use crate::{harness::http::send, live::until};

const EVALUATION: &str = "/access/v1/evaluation";
const PATHS: [&str; 5] = [
    EVALUATION,
    "/access/v1/evaluations",
    "/access/v1/search/subject",
    "/access/v1/search/resource",
    "/access/v1/search/action",
];

#[test]
fn only_a_live_gateway_token_may_ask_where_one_is_needed() {
    let scene = Scene::new("", &["--gateways-must-authenticate"]);
    let body = evaluation("u1", "read", "p1").to_string();
    for path in PATHS {
        for authorization in ["", "Bearer nobody", "Bearer operator", "Basic g-default", "g-default"] {
            let headers = [("authorization", authorization), ("x-request-id", "r 1")];
            let headers = if authorization.is_empty() { &headers[1..] } else { &headers };
            let answer = scene.post(path, headers, body.as_bytes());
            assert_eq!(answer.status, 401, "{path} {authorization}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert_eq!(answer.header("x-request-id"), Some("r 1"));
            assert!(message(&answer).contains("did not authenticate"));
        }
        let headers = [("authorization", "Bearer g-default")];
        assert_eq!(scene.post(path, &headers, body.as_bytes()).status, 200, "{path}");
    }
    // Where the endpoints are is no secret.
    let address = &scene.serving.address;
    assert_eq!(send(address, "GET", "/.well-known/authzen-configuration", &[], b"").status, 200);
}

#[test]
fn a_credential_that_is_not_good_is_refused_where_none_is_needed() {
    let scene = Scene::new("", &[]);
    let body = evaluation("u1", "read", "p1").to_string();
    assert_eq!(scene.post(EVALUATION, &[("authorization", "Bearer nobody")], body.as_bytes()).status, 401);
    assert_eq!(scene.post(EVALUATION, &[], body.as_bytes()).status, 200);
}

#[test]
fn a_gateways_tenant_is_all_that_decides_and_is_found() {
    let scene = Scene::new("", &[]);
    let ask = |gateway: &str, project: &str| {
        let authorization = format!("Bearer {gateway}");
        let asked = evaluation("u1", "read", project);
        scene.ask_as(EVALUATION, &[("authorization", authorization.as_str())], &asked)["decision"].clone()
    };
    for (gateway, p1, p9) in [("g-default", true, false), ("g-acme", false, true), ("g-all", true, false)] {
        assert_eq!((ask(gateway, "p1"), ask(gateway, "p9")), (json!(p1), json!(p9)), "{gateway}");
    }
    let search = json!({
        "subject": {"type": "user", "id": "u1"}, "action": {"name": "read"}, "resource": {"type": "project"},
        "page": {"limit": 1},
    });
    let headers = |gateway: &'static str| [("authorization", gateway)];
    let found = scene.ask_as("/access/v1/search/resource", &headers("Bearer g-acme"), &search);
    assert_eq!(found["results"], json!([{"type": "project", "id": "p9"}]));
    // A page goes on in its own tenant alone.
    let first = scene.ask_as("/access/v1/search/resource", &headers("Bearer g-default"), &search);
    let mut next = search;
    next["page"]["token"] = first["page"]["next_token"].clone();
    let path = "/access/v1/search/resource";
    assert_eq!(scene.post(path, &headers("Bearer g-acme"), next.to_string().as_bytes()).status, 400);
    assert_eq!(scene.post(path, &headers("Bearer g-default"), next.to_string().as_bytes()).status, 200);
}

#[test]
fn the_identifier_of_a_request_comes_back_as_it_was() {
    let scene = Scene::new("", &[]);
    let good = evaluation("u1", "read", "p1").to_string();
    let long = "x".repeat(4_000);
    for id in ["1", "bfe9eb29-ab87-4ca3-be83-a1d5d8305716", "a, b; c=\"d\"", long.as_str()] {
        for (path, body, status) in [
            (EVALUATION, good.as_str(), 200),
            (EVALUATION, "{", 400),
            ("/access/v1/evaluations", good.as_str(), 200),
            ("/access/v1/search/action", good.as_str(), 200),
            ("/access/v1/search/subject", "{}", 400),
        ] {
            let answer = scene.post(path, &[("x-request-id", id)], body.as_bytes());
            assert_eq!((answer.status, answer.header("x-request-id")), (status, Some(id)));
        }
    }
    assert_eq!(scene.post(EVALUATION, &[], good.as_bytes()).header("x-request-id"), None);
}

/// A process that does not know the present data answers no decision: neither a permit, nor a denial that is none.
#[test]
fn stale_data_is_an_error_and_no_decision() {
    let scene = Scene::new("[data]\nmax_staleness = \"1ms\"\npoll_interval = \"1h\"\n", &[]);
    let body = evaluation("u1", "read", "p1").to_string();
    let list = format!("{{\"evaluations\": [{{}}, {body}]}}");
    let evaluations = ("/access/v1/evaluations", list.as_str());
    for (path, body) in PATHS.map(|path| (path, body.as_str())).into_iter().chain([evaluations]) {
        // The data is current for a millisecond after each look at the database.
        let ask = || scene.post(path, &[("x-request-id", "r1")], body.as_bytes());
        let answer = until(ask, |answer| answer.status == 503);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("x-request-id"), Some("r1"));
        assert!(message(&answer).contains("not current"));
    }
}
