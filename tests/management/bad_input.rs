//! What is sent by mistake, or with intent: a 4xx with its code, and never more.

use serde_json::{Value, json};

use super::{
    on_both_databases,
    scene::{Scene, code},
};
use crate::harness::http::{raw, send};

on_both_databases![names_and_ids_that_cannot_be, messages_that_are_none, every_call_needs_its_operator];

fn names_and_ids_that_cannot_be(scene: Scene) {
    let long = "x".repeat(10_000);
    for name in [long.as_str(), "", "a\u{0}b", "a\tb", "a\u{7f}", "a\u{85}b", "a\u{202e}b", "a\u{2028}b"] {
        let body = json!({"kind": "mcp", "name": name});
        let refused = scene.expect(400, &scene.admin, "POST", "/v1/tokens", Some(&body));
        assert_eq!(code(&refused), "request.invalid");
        assert!(refused.to_string().len() < 1_000 && !refused.to_string().contains("xxx"));
    }
    let body = |field: &str, value: Value| {
        let mut body = json!({"kind": "mcp", "name": "x"});
        body[field] = value;
        body
    };
    for bad in [
        body("user_id", json!(long)),
        body("user_id", json!("")),
        body("user_id", json!("a\u{0}")),
        body("user_id", json!(7)),
        body("projects", json!([long])),
        body("projects", json!([""])),
        body("projects", json!({"p1": 7})),
        body("projects", json!((0..1_001).map(|n| n.to_string()).collect::<Vec<_>>())),
        body("tools", json!([long])),
        body("tools", json!(["a\u{0}"])),
        body("tools", json!("search")),
        body("expires_in_days", json!(u64::MAX)),
        body("expires_in_days", json!(i64::MIN)),
        body("scope_push", json!("true")),
    ] {
        scene.expect(400, &scene.admin, "POST", "/v1/tokens", Some(&bad));
    }
    let encoded = "%01";
    for path in [
        format!("/v1/users/{long}"),
        format!("/v1/users/{encoded}"),
        "/v1/users/%00".to_owned(),
        "/v1/users/%FF".to_owned(),
        "/v1/users/%2e%2e".to_owned(),
        "/v1/users/a%2Fb".to_owned(),
        "/v1/users/a;b".to_owned(),
        "/v1/users/%2541".to_owned(),
        format!("/v1/users?after={long}"),
        "/v1/users?after=%00".to_owned(),
        "/v1/projects?user_id=%00".to_owned(),
        "/v1/tokens?user_id=%00".to_owned(),
        "/v1/tokens?project_id=%00".to_owned(),
        "/v1/projects/p1/collaborators?after=%00".to_owned(),
    ] {
        let refused = scene.expect(400, &scene.admin, "GET", &path, None);
        assert_eq!(code(&refused), "request.invalid", "{}", &path[..path.len().min(60)]);
    }
    // What is unusual and possible is possible.
    for id in ["a b", "ä", "%E4%BD%A0", "a+b", "~", "@x", "%25"] {
        let path = format!("/v1/users/{}", id.replace(' ', "%20").replace('ä', "%C3%A4"));
        scene.expect(201, &scene.admin, "PUT", &path, Some(&json!({})));
        scene.expect(200, &scene.admin, "GET", &path, None);
    }
}

fn messages_that_are_none(scene: Scene) {
    let authorization = format!("Bearer {}", scene.admin);
    let headers = [("authorization", authorization.as_str())];
    let address = &scene.serving.address;
    for body in [
        &b""[..],
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"{\"kind\":\"mcp\",\"kind\":\"mcp\",\"name\":\"x\"}",
        b"{\"kind\":\"mcp\",\"name\":\"x\"} {}",
        b"kind=mcp&name=x",
        b"{\"kind\":\"mcp\",\"name\":\"x\",\"projects\":{\"p1\":null,\"p1\":null}}",
        b"{\"kind\":\"mcp\",\"name\":\"\\ud800\"}",
    ] {
        for (method, path) in
            [("POST", "/v1/tokens"), ("PATCH", "/v1/tokens/foreign"), ("PUT", "/v1/users/x")]
        {
            let answer = send(address, method, path, &headers, body);
            assert_eq!((answer.status, code(&answer.json())), (400, "request.invalid"), "{method} {body:?}");
        }
    }
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let deep = format!("{{\"kind\":\"mcp\",\"name\":{deep}}}");
    let answer = send(address, "POST", "/v1/tokens", &headers, deep.as_bytes());
    assert_eq!((answer.status, code(&answer.json())), (400, "question.too_deep"));
    let large = vec![b' '; 2 * 1024 * 1024];
    assert_eq!(send(address, "POST", "/v1/import", &headers, &large).status, 413);
    for (path, allowed) in [("/v1/tokens", ["GET", "POST"]), ("/v1/users", ["GET", "HEAD"])] {
        let answer = send(address, "PURGE", path, &headers, b"");
        assert_eq!(answer.status, 405);
        let told = answer.header("allow").unwrap();
        assert!(allowed.iter().all(|method| told.contains(method)), "{told}");
    }
    assert_eq!(send(address, "GET", "/v1/nothing", &headers, b"").status, 404);
}

/// Every path and method of the description, but those that are not the management API's.
fn every_call_needs_its_operator(scene: Scene) {
    let description = send(&scene.serving.address, "GET", "/openapi.json", &[], b"").json();
    let (_, gateway) = scene.mint(&json!({"kind": "gateway", "name": "edge"}));
    let (_, agent) = scene.mint(&json!({"kind": "mcp", "name": "agent", "user_id": "root"}));
    let mut seen = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        let others = ["/health", "/ready", "/openapi.json", "/v1/decide", "/v1/decide/batch"];
        let of_gateways = ["/access/", "/.well-known/", "/v1/introspect", "/v1/revoke"];
        if others.contains(&path.as_str()) || of_gateways.iter().any(|begin| path.starts_with(begin)) {
            continue;
        }
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let path = path.replace("{id}", "p1").replace("{user_id}", "u1");
            let path = path.replace("{holder}", "user").replace("{holder_id}", "u1");
            let none = raw(
                &scene.serving.address,
                format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").as_bytes(),
            );
            assert_eq!(
                (none.status, code(&none.json())),
                (401, "management.unauthenticated"),
                "{method} {path}"
            );
            for dead in ["nobody", "rgt_admin_x", "a.b.c", ""] {
                scene.expect(401, dead, &method, &path, None);
            }
            for never in [&gateway, &agent] {
                let denied = scene.expect(403, never, &method, &path, None);
                assert_eq!(denied["reason"], "management.token_kind", "{method} {path}");
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 46, "a call was added or removed: is it held to this?");
}
