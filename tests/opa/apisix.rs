//! What APISIX's `opa` plugin sends, byte by byte as its source builds it, and what it does with the answer.

use serde_json::{Value, json};

use super::{SECRET, Stage, post, result, verdict};
use crate::harness::http::send;

const CARRIES: &str = "[opa]\napisix_headers = [\"Authorization\", \"X-Regate-Gateway-Token\"]\n";

/// The plugin's question: `path` is decoded, `query` a table.
fn question(method: &str, path: &str, query: &Value, headers: &Value) -> Value {
    json!({"input": {
        "type": "http",
        "request": {
            "scheme": "http", "method": method, "host": "api.example", "port": 9080, "path": path,
            "headers": headers, "query": query,
        },
        "var": {
            "server_addr": "127.0.0.1", "server_port": "9080", "remote_addr": "192.0.2.7",
            "remote_port": "43212", "timestamp": 1_790_000_000,
        },
    }})
}

const PATH: &str = "/v1/data/regate/apisix";
const GITHUB: &str = "/v1/data/regate/apisix/github";
const BUILDS: &str = "/api/v1/projects/p1/builds";

fn told(stage: &Stage, at: &str, question: &Value) -> Value {
    result(&post(stage.address(), at, question))
}

fn code(result: &Value) -> (bool, u64, String) {
    verdict(result, "status_code", "reason")
}

fn denied(status: u64, code: &str) -> (bool, u64, String) {
    (false, status, code.to_owned())
}

#[test]
fn a_request_is_allowed_denied_or_challenged() {
    let stage = Stage::new("");
    let bearer = stage.bearer();
    let headers = json!({"host": "api.example", "authorization": bearer, "user-agent": "curl/8"});
    let allowed = told(&stage, PATH, &question("GET", BUILDS, &json!({"limit": "5"}), &headers));
    // The caller's credential stops here: it is set to nothing, also by a plugin that takes nothing away.
    assert_eq!(allowed, json!({"allow": true, "headers": {"authorization": ""}}));
    let write = told(&stage, PATH, &question("POST", BUILDS, &json!({}), &headers));
    assert_eq!(code(&write), denied(403, "global_token.write_needs_scope_push"));
    assert!(write["reason"]["decision_id"].is_string());
    let anonymous = told(&stage, PATH, &question("GET", BUILDS, &json!({}), &json!({"host": "api.example"})));
    assert_eq!(code(&anonymous), denied(401, "token.missing"));
    assert_eq!(anonymous["headers"]["www-authenticate"], "Bearer");
    let dead = json!({"host": "api.example", "authorization": "Bearer nobody"});
    let dead = told(&stage, PATH, &question("GET", BUILDS, &json!({}), &dead));
    assert_eq!(code(&dead), denied(401, "token.unknown"));
    // As nginx tells a header that came twice.
    let twice = json!({"host": "api.example", "authorization": [bearer, bearer]});
    let twice = told(&stage, PATH, &question("GET", BUILDS, &json!({}), &twice));
    assert_eq!(code(&twice), denied(400, "request.ambiguous_credential"));
    // Public, and nobody is there: there is nothing to set.
    let health = told(&stage, PATH, &question("GET", "/health", &json!({}), &json!({"host": "api.example"})));
    assert_eq!(health, json!({"allow": true, "headers": {}}));
}

#[test]
fn an_upstream_credential_takes_the_callers_place() {
    let stage = Stage::new(CARRIES);
    let headers = json!({
        "host": "api.example", "authorization": stage.bearer(), "x-regate-gateway-token": stage.gateway,
    });
    let answer = post(stage.address(), GITHUB, &question("GET", BUILDS, &json!({}), &headers));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    // In the spelling of `send_headers_upstream`: the plugin knows no other.
    let expected = json!({
        "allow": true,
        "headers": {"Authorization": format!("Bearer {SECRET}"), "X-Regate-Gateway-Token": ""},
    });
    assert!(result(&answer) == expected);
    // Without the gateway's token nobody is given one; with a wrong one nobody is listened to.
    let bare = json!({"host": "api.example", "authorization": stage.bearer()});
    let refused = told(&stage, GITHUB, &question("GET", BUILDS, &json!({}), &bare));
    assert_eq!(code(&refused), denied(403, "upstream.channel_insecure"));
    for wrong in [json!("nobody"), json!(stage.caller), json!([stage.gateway, stage.gateway]), json!("")] {
        let headers =
            json!({"host": "api.example", "authorization": stage.bearer(), "x-regate-gateway-token": wrong});
        let refused = told(&stage, GITHUB, &question("GET", BUILDS, &json!({}), &headers));
        assert_eq!(code(&refused), denied(503, "gateway.unauthenticated"));
    }
    for upstream in ["nowhere", "%ff"] {
        let refused =
            told(&stage, &format!("{PATH}/{upstream}"), &question("GET", BUILDS, &json!({}), &headers));
        assert!(refused["allow"] == false, "{upstream}");
    }
}

#[test]
fn what_the_plugin_cannot_carry_out_denies() {
    // It names no header: the caller's credential would go on.
    let stage = Stage::new("[opa]\napisix_headers = []\n");
    let headers = json!({"host": "api.example", "authorization": stage.bearer()});
    let refused = told(&stage, PATH, &question("GET", BUILDS, &json!({}), &headers));
    assert_eq!(code(&refused), denied(403, "gateway.cannot_carry_out"));
    stage.scene.serving.wait_for_log("cannot set or remove the header authorization");
    let public = told(&stage, PATH, &question("GET", "/health", &json!({}), &json!({"host": "api.example"})));
    assert!(public["allow"] == true);
    // Nor a header that looks like one to the server behind it, nor the gateway's own token.
    let stage = Stage::new("");
    let name = "x-regate-gateway-token";
    let headers = json!({"host": "api.example", "authorization": stage.bearer(), (name): stage.gateway});
    let refused = told(&stage, PATH, &question("GET", BUILDS, &json!({}), &headers));
    assert_eq!(code(&refused), denied(403, "gateway.cannot_carry_out"));
}

#[test]
fn paths_with_tricks_are_judged_as_they_are_told() {
    let stage = Stage::new("");
    let headers = json!({"host": "api.example", "authorization": stage.bearer()});
    let ask = |path: &str, query: Value| told(&stage, PATH, &question("GET", path, &query, &headers));
    // nginx has decoded `%2e%2e`, `//` and `%2F` away; what it leaves is read literally.
    for path in [
        "/mcp/../api",
        "//api",
        "/api//v1",
        "/api/v1/projects/p1/builds;a=b",
        "/a\\b",
        "/a\u{0}b",
        "/a\r\nb",
        "/%2e%2e/api",
        "/a%41",
        "/secrets ",
        "/secrets.",
        "",
        "api/v1",
        "http://api.example/",
    ] {
        assert_eq!(code(&ask(path, json!({}))), denied(400, "request.ambiguous_path"), "{path:?}");
    }
    // What was escaped in the client's URL stays within its segment.
    for path in ["/api/v1/projects/p1?/builds", "/api/v1/projects/p1#/builds", "/api/v1/projects/p1/secrets"]
    {
        assert!(ask(path, json!({}))["allow"] == false, "{path}");
    }
    for query in [json!({"a": "b&c=d", "e": true, "f": ["1", true]}), json!([]), json!({"x": "/../ä %"})] {
        assert!(ask(BUILDS, query.clone())["allow"] == true, "{query}");
    }
    // The query is the one that rules see: a write by GET is one.
    assert!(ask("/api/v1/projects/p1/builds/1/jobs/restart", json!({}))["allow"] == false);
}

#[test]
fn whatever_goes_wrong_there_is_a_result() {
    let stage = Stage::new("[http]\nmax_body_bytes = 8192\nmax_path_bytes = 1024\n");
    let raw = |body: &[u8], headers: &[(&str, &str)]| {
        code(&result(&send(stage.address(), "POST", PATH, headers, body)))
    };
    let good = question("GET", "/health", &json!({}), &json!({"host": "api.example"}));
    let with = |pointer: &str, value: Value| {
        let mut question = good.clone();
        *question.pointer_mut(pointer).unwrap() = value;
        question.to_string()
    };
    let without = |pointer: &str, name: &str| {
        let mut question = good.clone();
        question.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name);
        question.to_string()
    };
    for body in [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "{\"input\":null}".to_owned(),
        good.to_string()[..90].to_owned(),
        with("/input/type", json!("stream")),
        with("/input/request/path", json!(null)),
        with("/input/request/path", json!(["api"])),
        with("/input/request/method", json!(1)),
        with("/input/request/headers", json!("host")),
        with("/input/request/headers", json!({"a": 1})),
        with("/input/request/headers", json!({"a b": "c"})),
        with("/input/request/headers", json!({"a": "b\r\nc: d"})),
        with("/input/request/query", json!("a=b")),
        with("/input/request/query", json!({"a": {}})),
        without("/input/request", "path"),
        without("/input/request", "method"),
        without("/input/request", "headers"),
        without("/input", "request"),
        without("/input", "type"),
        good.to_string().replacen("\"path\":", "\"path\":\"/mcp\",\"path\":", 1),
    ] {
        assert_eq!(raw(body.as_bytes(), &[]), denied(400, "question.malformed"), "{body}");
    }
    // As many headers as the plugin is shown at most: the credential may be among those that it is not.
    let many: serde_json::Map<String, Value> = (0..100).map(|n| (format!("x-{n}"), json!("1"))).collect();
    let many = with("/input/request/headers", Value::Object(many));
    assert_eq!(raw(many.as_bytes(), &[]), denied(400, "question.malformed"));
    let long = with("/input/request/path", json!(format!("/{}", "a".repeat(2000))));
    assert_eq!(raw(long.as_bytes(), &[]), denied(400, "question.part_too_long"));
    let large = with("/input/request/path", json!(format!("/{}", "a".repeat(10_000))));
    assert_eq!(raw(large.as_bytes(), &[]), denied(413, "body.too_large"));
    let credential = [("authorization", "Bearer nobody")];
    assert_eq!(raw(good.to_string().as_bytes(), &credential), denied(503, "gateway.unauthenticated"));
    // And the question itself is a good one.
    assert_eq!(raw(good.to_string().as_bytes(), &[]), (true, 200, String::new()));
}

/// The example of APISIX and that of regate beside it name the same headers, and regate takes it.
#[test]
fn the_example_names_the_same_headers_twice() {
    let example = |name: &str| {
        let path = format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    let list = |text: &str, key: &str| {
        let (_, rest) = text.split_once(key).unwrap();
        rest[..rest.find(']').unwrap()].trim_start_matches([':', ' ', '=']).to_owned()
    };
    let (yaml, toml) = (example("apisix/apisix.yaml"), example("apisix/regate.toml"));
    assert_eq!(list(&yaml, "\n        send_headers_upstream"), list(&toml, "\napisix_headers"));
    let stage = Stage::new(&toml);
    let headers = json!({
        "host": "api.example", "authorization": stage.bearer(), "x-regate-gateway-token": stage.gateway,
    });
    let policy = list(&yaml, "\n        policy").lines().next().unwrap().to_owned();
    let told = told(&stage, &format!("/v1/data/{policy}"), &question("GET", BUILDS, &json!({}), &headers));
    assert!(told["headers"]["authorization"] == format!("Bearer {SECRET}"));
    assert!(example("kong/kong.yml").contains("opa_path: /v1/data/regate/kong/github\n"));
}
