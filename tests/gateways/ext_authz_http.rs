//! What Envoy's `http_service` sends, straight to regate.

use serde_json::{Value, json};

use super::{
    forward_auth::{ask, until_logged, with_rules},
    scene::{GITLAB_SECRET, Stage, upstream_authorization},
};
use crate::harness::http::Answer;

const OWN: &str = "/api/v1/projects/p1";

/// As Envoy asks about a request without a body.
fn check(stage: &Stage, line: &str, upstream: &str, token: &str, more: &[(&str, &str)]) -> Answer {
    let authorization = format!("Bearer {token}");
    let mut headers = vec![
        ("host", "api.example"),
        ("x-regate-gateway-token", stage.gateway_token.as_str()),
        ("x-regate-upstream", upstream),
        ("content-length", "0"),
    ];
    if !token.is_empty() {
        headers.push(("authorization", &authorization));
    }
    headers.extend(more);
    ask(stage, line, &headers, b"")
}

#[test]
fn only_exactly_200_allows_and_both_lists_are_told() {
    let stage = Stage::new();
    let own = format!("GET /v1/ext-authz{OWN}");
    let allowed = check(&stage, &own, "github", &stage.global, &[]);
    assert_eq!((allowed.status, allowed.body.len()), (200, 0));
    assert!(allowed.header("authorization") == Some(&upstream_authorization()));
    // What is set replaces, and is not removed again behind that.
    let removed = |answer: &Answer| {
        let names = answer.header("x-envoy-auth-headers-to-remove").unwrap().split(',');
        names.filter(|name| !name.starts_with("x-regate-")).collect::<Vec<_>>().join(",")
    };
    assert_eq!(removed(&allowed), "");
    let plain = check(&stage, &own, "-", &stage.global, &[]);
    assert_eq!(removed(&plain), "authorization");
    assert!(plain.header("authorization").is_none() && plain.header("x-regate-remove").is_none());

    let nobody = check(&stage, &own, "-", "", &[]);
    assert_eq!((nobody.status, nobody.header("www-authenticate")), (401, Some("Bearer")));
    for line in [
        "DELETE /v1/ext-authz/api/v1/projects/p1",
        "FOO /v1/ext-authz/api/v1/projects/p1",
        "GET /v1/ext-authz/api/v1/projects/p2",
    ] {
        let denied = check(&stage, line, "-", &stage.global, &[]);
        assert_eq!((denied.status, &denied.json()["allow"]), (403, &json!(false)), "{line}");
        assert_eq!(denied.header("cache-control"), Some("no-store"));
    }
    // A name that Envoy does not take over from the answer.
    let gitlab = check(&stage, &own, "gitlab", &stage.global, &[]);
    assert_eq!((gitlab.status, gitlab.header("x-regate-reason")), (403, Some("gateway.cannot_carry_out")));
    let stage = Stage::with("[ext_authz]\nheaders = [\"Authorization\", \"X-Api-Key\"]");
    let gitlab = check(&stage, &own, "gitlab", &stage.global, &[("x_api_key", "mine")]);
    assert!(gitlab.status == 200 && gitlab.header("x-api-key") == Some(&format!("token {GITLAB_SECRET}")));
    assert_eq!(removed(&gitlab), "authorization,x_api_key");
}

#[test]
fn what_regate_says_of_callers_is_not_theirs_to_say() {
    let stage = Stage::new();
    let open = "GET /v1/ext-authz/api/v1/projects/open";
    // Envoy may not tell what its client wrote: what this answer does not say goes in any case.
    let anonymous = check(&stage, open, "-", "", &[]);
    assert_eq!(anonymous.status, 200);
    let names: Vec<&str> = anonymous.header("x-envoy-auth-headers-to-remove").unwrap().split(',').collect();
    for name in ["user", "tenant", "token-id", "connection-key", "connect-url", "remove", "status"] {
        let name = format!("x-regate-{name}");
        assert_eq!(names.contains(&name.as_str()), anonymous.header(&name).is_none(), "{name}");
    }
    assert!(anonymous.header("x-regate-user").is_none());
    let own = format!("GET /v1/ext-authz{OWN}");
    let said =
        check(&stage, &own, "-", &stage.global, &[("x-regate-any", "mine"), ("x_regate_user", "mine")]);
    let names: Vec<&str> = said.header("x-envoy-auth-headers-to-remove").unwrap().split(',').collect();
    assert!(said.status == 200 && !names.contains(&"x-regate-user"), "{names:?}");
    assert!(names.contains(&"x-regate-any") && names.contains(&"x_regate_user"), "{names:?}");
    // What it says itself, Envoy may take over, or leave the client's standing.
    for (line, token) in [(own.as_str(), stage.global.as_str()), (open, ""), ("GET /v1/ext-authz/health", "")]
    {
        let told = check(&stage, line, "-", token, &[("x-regate-user", "mine")]);
        assert_eq!((told.status, told.header("x-regate-reason")), (403, Some("gateway.cannot_carry_out")));
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let stage = Stage::new();
    let own = format!("GET /v1/ext-authz{OWN}");
    let token = stage.global.as_str();
    for (line, more) in [
        (own.as_str(), &[("host", "other.example")][..]),
        (&own, &[("host", "api.example")]),
        (&own, &[("x-regate-upstream", "github")]),
        (&own, &[("x-regate-json-rpc-errors", "yes")]),
        (&own, &[("x-regate-json-rpc-errors", "true"), ("x-regate-json-rpc-errors", "true")]),
        (&own, &[("x-envoy-auth-partial-body", "maybe")]),
        (&own.replace("GET", "get"), &[]),
        ("GET http://api.example/v1/ext-authz/api/v1/projects/p1", &[]),
    ] {
        let answer = check(&stage, line, "-", token, more);
        assert_eq!((answer.status, &answer.json()["allow"]), (400, &json!(false)), "{line} {more:?}");
    }
    let authorization = format!("Bearer {token}");
    let base = [("host", "api.example"), ("authorization", authorization.as_str())];
    let gateway = ("x-regate-gateway-token", stage.gateway_token.as_str());
    // Envoy has to say which upstream: else its client could.
    let unsaid = ask(&stage, &own, &[&base[..], &[gateway]].concat(), b"");
    assert_eq!((unsaid.status, &unsaid.json()["code"]), (400, &json!("request.invalid")));
    assert_eq!(unsaid.header("x-regate-reason"), Some("request.invalid"));
    until_logged(&stage, "face=\"/v1/ext-authz\" code=\"request.invalid\"");
    for tokens in
        [&[("x-regate-gateway-token", "nobody")][..], &[gateway, gateway], &[("x-regate-gateway-token", "")]]
    {
        let all = [&base[..], &[("x-regate-upstream", "-")], tokens].concat();
        let answer = ask(&stage, &own, &all, b"");
        assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("gateway.unauthenticated")));
        assert_eq!(answer.header("x-regate-reason"), Some("gateway.unauthenticated"));
        assert_eq!(answer.header("www-authenticate"), None);
    }
    // Where gateways need not authenticate, a secret is told to none that did not.
    let nameless = ask(&stage, &own, &[&base[..], &[("x-regate-upstream", "github")]].concat(), b"");
    assert_eq!(
        (nameless.status, nameless.header("x-regate-reason")),
        (403, Some("upstream.channel_insecure"))
    );
    assert_eq!(check(&stage, &own, "-", token, &[("authorization", "Bearer x")]).status, 400);
    assert_eq!(check(&stage, &own, "-", token, &[("x-large", &"a".repeat(40_000))]).status, 431);
}

#[test]
fn the_path_is_the_rest_as_it_came() {
    let stage = Stage::new();
    for (rest, status) in [
        ("", 400),
        ("/", 403),
        ("//", 400),
        ("/mcp/../api/v1/projects/p1", 400),
        ("/../v1/ext-authz/api/v1/projects/p1", 400),
        ("//api/v1/projects/p1", 400),
        ("/api/v1/projects/p1/%2e%2e/p2", 400),
        ("/api%2Fv1/projects/p1", 400),
        ("/api/v1/projects/p1;a=b", 400),
        ("/api/v1/projects/p1\\", 400),
        ("/api/v1/projects/%701", 200),
        ("/api/v1/projects/p1/", 200),
        ("/api/v1/projects/p1?x=/../y", 200),
        ("?x", 400),
        ("/health", 200),
    ] {
        let answer = check(&stage, &format!("GET /v1/ext-authz{rest}"), "-", &stage.global, &[]);
        assert_eq!(answer.status, status, "{rest}");
    }
    // No neighbour of the prefix is below it.
    assert_eq!(check(&stage, "GET /v1/ext-authzx/health", "-", &stage.global, &[]).status, 404);
    let (stage, _rules) = with_rules("");
    let more = [("x-seen", "1"), ("x-forwarded-for", "192.0.2.1"), ("x-envoy-internal", "true")];
    let shown = check(&stage, "GET /v1/ext-authz/show/a%2db?x=1", "-", &stage.global, &more);
    let seen: Value = serde_json::from_str(shown.json()["message"].as_str().unwrap()).unwrap();
    assert_eq!((&seen["headers"], &seen["host"]), (&json!({"x-seen": "1"}), &json!("api.example")));
    assert_eq!((&seen["raw_path"], &seen["source_ip"]), (&json!("/show/a%2db"), &Value::Null));
}

#[test]
fn a_body_that_was_cut_is_not_judged() {
    let stage = Stage::new();
    let message =
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "search"}}).to_string();
    let send = |token: &str, more: &[(&str, &str)], body: &str| {
        let (authorization, length) = (format!("Bearer {token}"), body.len().to_string());
        let headers = [
            ("host", "api.example"),
            ("x-regate-gateway-token", stage.gateway_token.as_str()),
            ("x-regate-upstream", "-"),
            ("authorization", &authorization),
            ("content-length", &length),
        ];
        ask(&stage, "POST /v1/ext-authz/mcp", &[&headers[..], more].concat(), body.as_bytes())
    };
    let searches = stage.mcp_search.as_str();
    assert_eq!(send(searches, &[("x-envoy-auth-partial-body", "false")], &message).status, 200);
    for token in [searches, &stage.mcp] {
        let cut = send(token, &[("x-envoy-auth-partial-body", "true")], &message);
        assert_eq!((cut.status, cut.header("x-regate-reason")), (403, Some("request.body_incomplete")));
    }
    assert_eq!(send(searches, &[], "").status, 403);
    // No body is told: there may be one all the same.
    for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
        assert_eq!(check(&stage, &format!("{method} /v1/ext-authz/mcp"), "-", searches, &[]).status, 403);
        assert_eq!(check(&stage, &format!("{method} /v1/ext-authz/mcp"), "-", &stage.mcp, &[]).status, 200);
    }
    assert_eq!(send(&stage.mcp, &[], &message[..20]).status, 400);
    let denied =
        send(searches, &[("x-regate-json-rpc-errors", "true")], &message.replace("search", "delete"));
    assert_eq!((denied.status, &denied.json()["id"]), (403, &json!(7)));
}
