//! What rules see of a message, and how Envoy carries out the headers that they ask for.

use serde_json::{Value, json};

use super::{
    super::scene::{Stage, get},
    messages::{Caller, asks, denied, extend, http_of},
};
use crate::harness::envoy::Envoy;

/// Rules that say what they see, and ask for headers.
const RULES: &str = r#"package regate

decision := {"allow": true, "headers": {"set": {"X-User": "u1", "x-empty": ""}, "remove": ["X-Role"]}} if {
	input.request.path == ["headers"]
} else := {"allow": true, "headers": {"remove": ["Host"]}} if {
	input.request.path == ["host"]
} else := {"allow": true, "headers": {"set": {"Host": "judged.example"}}} if {
	input.request.path == ["another-host"]
} else := {"allow": false, "reasons": ["a code\nof two lines"], "message": json.marshal(input)}
"#;

fn settings(folder: &std::path::Path) -> String {
    std::fs::write(folder.join("rules.rego"), RULES).unwrap();
    format!("[policy]\nfolder = {:?}\n", folder.to_str().unwrap())
}

#[test]
fn rules_see_the_request_and_not_envoys_own_words() {
    let folder = tempfile::tempdir().unwrap();
    let caller = Caller::with(&settings(folder.path()));
    let mut message = asks(&caller.stage.global, "GET", "/a%20b/c?x=1&x=2");
    extend(&mut message, "team", "blue");
    extend(&mut message, "tenant", "default");
    let http = http_of(&mut message);
    http.headers.insert("x-envoy-auth-partial-body".to_owned(), "false".to_owned());
    http.headers.insert("x-kept".to_owned(), "yes".to_owned());
    message.attributes.as_mut().unwrap().source.as_mut().unwrap().principal = "spiffe://a/b".to_owned();
    let (status, headers, body) = denied(caller.check(message));
    assert_eq!(status, 403);
    // What no header can carry is in the body alone.
    assert!(!headers.iter().any(|(name, _)| name == "x-regate-reason"), "{headers:?}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["reason"], "a code\nof two lines");
    let input: Value = serde_json::from_str(body["message"].as_str().unwrap()).unwrap();
    let expected = json!({
        "method": "GET", "path": ["a b", "c"], "raw_path": "/a%20b/c", "query": {"x": ["1", "2"]},
        "host": "api.example", "source_ip": "192.0.2.7", "headers": {"x-kept": "yes"},
    });
    assert_eq!(input["request"], expected);
    let expected =
        json!({"context_extensions": {"team": "blue"}, "principal": "spiffe://a/b", "scheme": "http"});
    assert_eq!(input["context"], expected);
    assert!(input["gateway"]["id"].as_str().is_some_and(|id| !id.is_empty()));

    // A method is sent on as it is: in lower case it is another one to a server.
    assert_eq!(denied(caller.check(asks(&caller.stage.global, "get", "/a"))).0, 400);

    // Envoy leaves `host` standing, whatever it is told.
    let (status, _, body) = denied(caller.check(asks(&caller.stage.global, "GET", "/host")));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, body["reason"].as_str()), (403, Some("gateway.cannot_carry_out")));
}

#[test]
fn headers_that_rules_ask_for_take_the_place_of_the_clients() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::with(&settings(folder.path()));
    let envoy = Envoy::start(
        "envoy.yaml",
        &stage.regate().serving.grpc,
        &stage.upstream.address,
        &stage.gateway_token,
    );
    let smuggled = [
        ("x-user", "root"),
        ("X-USER", "root, too"),
        ("X-Role", "admin"),
        ("x-role", "owner"),
        ("X-Empty", "full"),
        ("Connection", "keep-alive, X-User"),
    ];
    let allowed = get(&envoy.address(), Some(&stage.global), "/headers", &smuggled);
    assert_eq!(allowed.status, 200, "{:?}", allowed.header("x-regate-reason"));
    let arrived = stage.upstream.take_one();
    assert_eq!((arrived.all("x-user"), arrived.all("x-empty")), (vec!["u1"], vec![""]));
    assert!(arrived.all("x-role").is_empty() && arrived.all("connection").is_empty());

    assert_eq!(get(&envoy.address(), Some(&stage.global), "/host", &[]).status, 403);
    stage.assert_nothing_arrived();
    assert_eq!(get(&envoy.address(), Some(&stage.global), "/another-host", &[]).status, 200);
    assert_eq!(stage.upstream.take_one().all("host"), ["judged.example"]);
}
