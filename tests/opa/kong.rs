//! What Kong's `opa` plugin sends, in the form that its documentation gives, and what it does with the answer.

use serde_json::{Value, json};

use super::{SECRET, Stage, post, result, verdict};
use crate::harness::http::send;

/// The plugin's question: `path` is normalised and still percent-encoded, `querystring` a table.
fn question(method: &str, path: &str, query: &Value, headers: &Value) -> Value {
    json!({"input": {
        "request": {"http": {
            "host": "api.example", "port": "8000", "tls": {}, "method": method, "scheme": "http",
            "path": path, "querystring": query, "headers": headers,
        }},
        "client_ip": "192.0.2.7",
        "service": {"host": "httpbin.example", "port": 80, "name": "s1"},
        "route": {"paths": ["/"], "strip_path": true},
    }})
}

const PATH: &str = "/v1/data/regate/kong";
const GITHUB: &str = "/v1/data/regate/kong/github";
const BUILDS: &str = "/api/v1/projects/p1/builds";

fn told(stage: &Stage, at: &str, question: &Value) -> Value {
    result(&post(stage.address(), at, question))
}

fn code(result: &Value) -> (bool, u64, String) {
    verdict(result, "status", "message")
}

fn denied(status: u64, code: &str) -> (bool, u64, String) {
    (false, status, code.to_owned())
}

#[test]
fn a_request_is_allowed_denied_or_challenged() {
    let stage = Stage::new("");
    let headers = json!({"host": "api.example", "authorization": stage.bearer(), "accept": "*/*"});
    let allowed = told(&stage, PATH, &question("GET", BUILDS, &json!({"limit": "5"}), &headers));
    assert_eq!(allowed, json!({"allow": true, "headers": {"authorization": ""}}));
    let write = told(&stage, PATH, &question("DELETE", BUILDS, &json!({}), &headers));
    assert_eq!(code(&write), denied(403, "global_token.write_needs_scope_push"));
    let anonymous = told(&stage, PATH, &question("GET", BUILDS, &json!([]), &json!({"host": "api.example"})));
    assert_eq!(code(&anonymous), denied(401, "token.missing"));
    assert_eq!(anonymous["headers"]["www-authenticate"], "Bearer");
    let twice = json!({"host": "api.example", "authorization": [stage.bearer(), "Bearer nobody"]});
    let twice = told(&stage, PATH, &question("GET", BUILDS, &json!({}), &twice));
    assert_eq!(code(&twice), denied(400, "request.ambiguous_credential"));
}

#[test]
fn an_upstream_credential_takes_the_callers_place_and_what_is_smuggled_goes() {
    let stage = Stage::new("[gateways]\ncredential_headers = [\"X-Api-Key\"]\n");
    let headers = json!({
        "host": "api.example", "Authorization": stage.bearer(), "X-Regate-Gateway-Token": stage.gateway,
        "x-api-key": ["mine", "and mine"], "x_api_key": "mine too", "connection": "close, authorization",
        "accept": "*/*",
    });
    let told_all = told(&stage, GITHUB, &question("GET", BUILDS, &json!({}), &headers));
    let expected = json!({
        "allow": true,
        "headers": {
            "authorization": format!("Bearer {SECRET}"), "x-api-key": "", "x-regate-gateway-token": "",
            "x_api_key": "",
        },
    });
    assert!(told_all == expected);
    // The same gateway by a header of the call itself, as a proxy between would add it.
    let credential = format!("Bearer {}", stage.gateway);
    let held = json!({"host": "api.example", "authorization": stage.bearer()});
    let body = question("GET", BUILDS, &json!({}), &held).to_string();
    let own = [("authorization", credential.as_str())];
    let answer = result(&send(stage.address(), "POST", GITHUB, &own, body.as_bytes()));
    assert!(answer["headers"] == json!({"authorization": format!("Bearer {SECRET}")}));
    let bare = told(&stage, GITHUB, &question("GET", BUILDS, &json!({}), &held));
    assert_eq!(code(&bare), denied(403, "upstream.channel_insecure"));
    let unknown = told(&stage, &format!("{PATH}/nowhere"), &question("GET", BUILDS, &json!({}), &held));
    assert_eq!(code(&unknown), denied(403, "upstream.unknown"));
}

#[test]
fn paths_with_tricks_are_refused_and_what_may_be_missing_too() {
    let stage = Stage::new("");
    let headers = json!({"host": "api.example", "authorization": stage.bearer()});
    let ask = |path: &str, query: &Value| code(&told(&stage, PATH, &question("GET", path, query, &headers)));
    for path in [
        "/mcp/../api",
        "//api",
        "/mcp%2F..%2Fapi",
        "/mcp/%2e%2e/api",
        "/a;b=c",
        "/a%5Cb",
        "/a%252e",
        "/a%",
        "api",
    ] {
        assert_eq!(ask(path, &json!({})), denied(400, "request.ambiguous_path"), "{path}");
    }
    assert_eq!(ask("/api?x=1", &json!({})), denied(400, "question.malformed"));
    // Kong decodes what has one meaning, a space or an umlaut.
    assert_eq!(ask("/api/v1/projects/p1/builds/a b/ä", &json!({})).1, 200);
    let many: serde_json::Map<String, Value> = (0..100).map(|n| (format!("q{n}"), json!("1"))).collect();
    assert_eq!(ask(BUILDS, &Value::Object(many)), denied(400, "question.malformed"));
    assert!(ask(BUILDS, &json!({"a": ["1", "2"], "b": true})).0);
    let many: serde_json::Map<String, Value> = (0..120).map(|n| (format!("x-{n}"), json!("1"))).collect();
    let many = question("GET", "/health", &json!({}), &Value::Object(many));
    assert_eq!(code(&told(&stage, PATH, &many)), denied(400, "question.malformed"));
}

#[test]
fn whatever_goes_wrong_there_is_a_result() {
    let stage = Stage::new("[gateways]\nauthentication = \"required\"\n[http]\nmax_body_bytes = 8192\n");
    let good = question(
        "GET",
        "/health",
        &json!({}),
        &json!({"host": "api.example", "x-regate-gateway-token": stage.gateway}),
    );
    let raw = |body: &str| code(&result(&send(stage.address(), "POST", PATH, &[], body.as_bytes())));
    assert_eq!(raw(&good.to_string()), (true, 200, String::new()));
    let unauthenticated = question("GET", "/health", &json!({}), &json!({"host": "api.example"}));
    let refused = result(&post(stage.address(), PATH, &unauthenticated));
    assert_eq!(code(&refused), denied(503, "gateway.unauthenticated"));
    assert_eq!(refused["headers"]["retry-after"], "1");
    for body in ["", "{}", "true", "{\"input\":{}}", "{\"input\":{\"request\":{}}}", &good.to_string()[..60]]
    {
        assert_eq!(raw(body), denied(400, "question.malformed"), "{body}");
    }
    let large = question("GET", &"/a".repeat(8192), &json!({}), &json!({}));
    assert_eq!(raw(&large.to_string()), denied(413, "body.too_large"));
}

#[test]
fn a_url_that_is_not_quite_the_plugins_has_a_result_that_denies() {
    let stage = Stage::new("");
    let held = json!({"host": "api.example", "authorization": stage.bearer()});
    let question = question("GET", BUILDS, &json!({}), &held);
    for path in [
        "/v1/data/regate/kong/",
        "/v1/data/regate/kong/x/y",
        "/v1/data/regate/kong/github/",
        "/v1/data//regate/kong",
        "/v1/data/regate/k%6fng",
        "/v0/data/regate/kong",
        "/v0/data/regate/kong/github",
        "/v1/data/regate/apisix/",
        "/v0/data/regate/apisix",
    ] {
        let told = told(&stage, path, &question);
        assert_eq!(told["allow"], false, "{path}");
    }
    let told = told(&stage, "/v0/data/regate/kong", &question);
    assert_eq!(code(&told), denied(503, "route.not_found"));
}
