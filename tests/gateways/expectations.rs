//! What has to hold whichever gateway asks by forward authentication.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::scene::{GITLAB_SECRET, Stage, get, through, upstream_authorization};
use crate::harness::http::raw;

/// One gateway's addresses, by the upstream that its requests go to.
pub struct Edge<'a> {
    pub none: &'a str,
    pub github: &'a str,
    /// Also takes over `X-Api-Key`.
    pub gitlab: &'a str,
}

const OWN: &str = "/api/v1/projects/p1";
const OTHERS: &str = "/api/v1/projects/p2";

pub fn callers_are_judged(stage: &Stage, edge: &Edge<'_>) {
    let token = Some(stage.global.as_str());
    let allowed = get(edge.none, token, &format!("{OWN}?a=b%2Fc"), &[("X-Trace", "1")]);
    assert_eq!((allowed.status, allowed.body.as_slice()), (200, &b"ok"[..]));
    let seen = stage.upstream.take_one();
    assert_eq!((seen.method(), seen.target()), ("GET", "/api/v1/projects/p1?a=b%2Fc"));
    assert_eq!((seen.all("x-trace"), seen.all("host")), (vec!["1"], vec!["api.example"]));
    // The caller's token stops at the gateway, and so does the gateway's.
    let wire = format!("{:?}", seen.headers);
    assert!(seen.all("authorization").is_empty() && !wire.contains(&stage.global), "a token went on");
    assert!(!wire.contains(&stage.gateway_token), "the gateway's token went on");

    for (method, target) in [("GET", OTHERS), ("DELETE", OWN), ("FOO", OWN), ("GET", "/"), ("POST", "/mcp")] {
        let denied = through(edge.none, token, method, target, &[], b"");
        assert_eq!(denied.status, 403, "{method} {target}");
        // `FOO` on one's own project counts as a write.
        stage.assert_nothing_arrived();
    }
    let anonymous = get(edge.none, None, OWN, &[]);
    assert_eq!((anonymous.status, anonymous.header("www-authenticate")), (401, Some("Bearer")));
    let unknown = get(edge.none, Some("nobody"), OWN, &[]);
    let challenge = Some("Bearer error=\"invalid_token\"");
    assert_eq!((unknown.status, unknown.header("www-authenticate")), (401, challenge));
    // The gateway's own token is nobody's credential.
    assert_eq!(get(edge.none, Some(&stage.gateway_token), OWN, &[]).status, 401);
    stage.assert_nothing_arrived();
    assert_eq!(get(edge.none, None, "/api/v1/projects/open", &[]).status, 200);
    assert!(stage.upstream.take_one().all("authorization").is_empty());
}

pub fn bodies_go_on(stage: &Stage, edge: &Edge<'_>) {
    let message = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"}}"#;
    let json = [("Content-Type", "application/json")];
    assert_eq!(through(edge.none, Some(&stage.mcp), "POST", "/mcp", &json, message).status, 200);
    assert_eq!(stage.upstream.take_one().body, message);
    // Which tool it calls is not told: a token that is limited to tools gets no further, even to its own.
    assert_eq!(through(edge.none, Some(&stage.mcp_search), "POST", "/mcp", &json, message).status, 403);
    // Nor where nobody would look for a message.
    for method in ["GET", "DELETE", "OPTIONS", "HEAD"] {
        assert_eq!(through(edge.none, Some(&stage.mcp_search), method, "/mcp", &json, message).status, 403);
        let chunked = [json[0], ("Transfer-Encoding", "chunked")];
        let pieces = [format!("{:x}\r\n", message.len()).as_bytes(), message, b"\r\n0\r\n\r\n"].concat();
        let head = format!(
            "{method} /mcp HTTP/1.1\r\nHost: api.example\r\nAuthorization: Bearer {}\r\n",
            stage.mcp_search
        );
        let more: String = chunked.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
        let whole = [head.as_bytes(), more.as_bytes(), b"\r\n", &pieces].concat();
        assert_eq!(raw(edge.none, &whole).status, 403, "{method}");
    }
    assert_eq!(get(edge.none, Some(&stage.mcp_search), "/mcp", &[]).status, 403);
    stage.assert_nothing_arrived();
}

/// Whatever follows a request that was let through is a request, and is judged.
pub fn nothing_is_tunnelled(stage: &Stage, edge: &Edge<'_>) {
    for (connection, protocol) in [
        ("Upgrade", "websocket"),
        ("Upgrade, HTTP2-Settings", "h2c"),
        ("upgrade", "anything"),
        ("close", "h2c"),
    ] {
        let upgrade = [("Connection", connection), ("Upgrade", protocol), ("HTTP2-Settings", "AAMAAABk")];
        let answer = get(edge.none, Some(&stage.global), OWN, &upgrade);
        let arrived = stage.upstream.take();
        assert!([200, 400].contains(&answer.status), "{protocol}: {}", answer.status);
        assert_eq!(arrived.len(), usize::from(answer.status == 200), "{protocol}");
        // The server behind is not asked to speak anything else.
        assert!(arrived.iter().all(|(_, seen)| seen.all("upgrade").is_empty()), "{protocol}");
    }
}

pub fn credentials_are_swapped(stage: &Stage, edge: &Edge<'_>) {
    let token = Some(stage.global.as_str());
    assert_eq!(get(edge.github, token, OWN, &[]).status, 200);
    assert!(stage.upstream.take_one().all("authorization") == [upstream_authorization()]);
    let unconnected = get(edge.github, Some(&stage.unconnected), OWN, &[]);
    assert_eq!(unconnected.status, 403);
    assert!(unconnected.header("x-regate-connect-url").is_some_and(|url| url.contains("github")));
    assert_eq!(get(edge.github, None, OWN, &[]).status, 401);
    stage.assert_nothing_arrived();
    assert_eq!(get(edge.gitlab, token, OWN, &[]).status, 200);
    let seen = stage.upstream.take_one();
    assert!(seen.all("x-api-key") == [format!("token {GITLAB_SECRET}")]);
    assert!(seen.all("authorization").is_empty());
}

pub fn what_is_smuggled_is_gone(stage: &Stage, edge: &Edge<'_>) {
    let token = Some(stage.global.as_str());
    // The client's own copies of a header that is set: in any case, more than once.
    let copies = [("X-API-KEY", "mine"), ("x-api-key", "mine too"), ("x-Api-kEy", ""), ("X-Trace", "1")];
    assert_eq!(get(edge.gitlab, token, OWN, &copies).status, 200);
    let seen = stage.upstream.take_one();
    assert!(seen.all("x-api-key") == [format!("token {GITLAB_SECRET}")]);
    assert_eq!(seen.all("x-trace"), ["1"]);
    // A name that servers take for the same, or that no message has: it stops here, or never goes on.
    for (name, value) in [("X_API_KEY", "mine"), ("x_Api-Key", "mine"), ("X-Api-Key ", "mine")] {
        let answer = get(edge.gitlab, token, OWN, &[(name, value)]);
        let arrived = stage.upstream.take();
        assert_eq!(arrived.len(), usize::from(answer.status == 200), "{name}: {}", answer.status);
        for (_, seen) in arrived {
            let alike = |sent: &str| sent.trim().replace('_', "-").eq_ignore_ascii_case("x-api-key");
            let values: Vec<&String> =
                seen.headers.iter().filter(|(sent, _)| alike(sent)).map(|(_, value)| value).collect();
            assert!(values == [&format!("token {GITLAB_SECRET}")], "{name}");
        }
    }
    // A connection-specific name takes the header away from under the gateway.
    for connection in ["close, Authorization", "authorization", "close\r\nConnection: AUTHORIZATION"] {
        let answer = get(edge.github, token, OWN, &[("Connection", connection)]);
        let arrived = stage.upstream.take();
        assert_eq!(arrived.len(), usize::from(answer.status == 200), "{connection}: {}", answer.status);
        for (_, seen) in arrived {
            assert!(seen.all("authorization") == [upstream_authorization()], "{connection}");
        }
    }
    // Two credentials of the caller's.
    for (name, value) in
        [("Authorization", "Bearer other"), ("AUTHORIZATION", ""), ("Authorization ", "Bearer x")]
    {
        let twice = get(edge.github, token, OWN, &[(name, value)]);
        assert!((400..500).contains(&twice.status), "{name}: {}", twice.status);
        stage.assert_nothing_arrived();
    }
    // A folded line is none of the protocol any more (RFC 9112 section 5.2).
    let folded = get(edge.github, token, OWN, &[("X-Folded", "a\r\n Authorization: Bearer x")]);
    for (_, seen) in stage.upstream.take() {
        assert!(seen.all("authorization") == [upstream_authorization()], "{}", folded.status);
    }
}

pub fn clients_describe_nothing(stage: &Stage, edge: &Edge<'_>) {
    let token = Some(stage.global.as_str());
    let forged = |target: &'static str| {
        [
            ("X-Forwarded-Uri", target),
            ("X-Forwarded-Method", "GET"),
            ("X-Original-URI", target),
            ("X-Original-Method", "GET"),
            ("X-Original-URL", target),
            ("X-Rewrite-URL", target),
            ("X-Forwarded-Host", "other.example"),
            ("X-Original-Host", "other.example"),
            ("X-Original-For", "192.0.2.1"),
            ("X-Regate-Gateway-Token", "mine"),
            ("X-Regate-Upstream", "github"),
            ("X-Regate-Status", "200"),
            ("X-Regate-User", "mine"),
            ("X-Regate-Tenant", "mine"),
            ("X-Regate-Token-Id", "mine"),
            ("X-Regate-Connection-Key", "mine"),
            ("X-Regate-Reason", "mine"),
            ("X-Regate-Decision-Id", "mine"),
            ("X-Real-IP", "mine"),
            ("X-Forwarded-Port", "mine"),
            ("X-Forwarded-Prefix", "/mine"),
            ("Forwarded", "for=mine"),
        ]
    };
    assert_eq!(get(edge.none, token, OTHERS, &forged(OWN)).status, 403);
    assert_eq!(through(edge.none, token, "DELETE", OWN, &forged(OWN), b"").status, 403);
    stage.assert_nothing_arrived();
    assert_eq!(get(edge.none, token, OWN, &forged(OTHERS)).status, 200);
    let seen = stage.upstream.take_one();
    let wire = format!("{:?}", seen.headers);
    assert!(seen.target() == OWN && !wire.contains(OTHERS) && !wire.contains("mine"), "{wire}");
    assert!(!wire.contains("other.example"), "{wire}");
    // What regate says of callers they do not say themselves, by any spelling of the name, and where nobody is asked who
    // they are.
    for name in ["X-Regate-User", "x-rEGATE-tenant", "X_Regate_User", "X-Regate_Token-Id", "X-Regate-New"] {
        for (token, target) in [(token, OWN), (None, "/api/v1/projects/open"), (None, "/health")] {
            let answer = get(edge.none, token, target, &[(name, "mine")]);
            let arrived = stage.upstream.take();
            assert_eq!(arrived.len(), usize::from(answer.status == 200), "{name}: {}", answer.status);
            assert!(
                arrived.iter().all(|(_, seen)| !format!("{:?}", seen.headers).contains("mine")),
                "{name}"
            );
        }
    }
    // Nor is the query of the request that of the question.
    let injected = format!("{OWN}?upstream=github&headers=x-trace&json_rpc_errors=true");
    assert_eq!(get(edge.none, token, &injected, &[]).status, 200);
    let seen = stage.upstream.take_one();
    assert!(seen.target() == injected && seen.all("authorization").is_empty());
    // Where regate is asked is no place for clients.
    for target in ["/_regate", "/v1/forward-auth?upstream=-", "/v1/forward-auth/nginx?upstream=-"] {
        assert!(get(edge.none, token, target, &forged(OWN)).status >= 400, "{target}");
        stage.assert_nothing_arrived();
    }
}

pub fn paths_have_one_reading(stage: &Stage, edge: &Edge<'_>) {
    let token = Some(stage.global.as_str());
    for target in [
        "/mcp/../api/v1/projects/p1",
        "/api/v1/projects/p1/../p2",
        "/api/v1/projects/p2/../p1",
        "/api/v1/projects/p1/%2e%2e/p2",
        "/api/v1/projects/p2/%2E%2e/p1",
        "/api/v1/projects/./p1",
        "//api/v1/projects/p1",
        "/api/v1//projects/p1",
        "/api/v1/projects/p1//",
        "/api/v1/projects%2Fp1",
        "/api/v1/projects/p1%2f..%2fp2",
        "/api/v1/projects/p1;a=b",
        "/api/v1/projects/p2/..;/p1",
        "/api/v1/projects/p1%3Ba=b",
        "/api/v1/projects/p1\\..\\p2",
        "/api/v1/projects/p1%5C",
        "/api/v1/projects/p1%00",
        "/api/v1/projects/p1%0d%0aX-A:b",
        "/api/v1/projects/%2570%31",
        "/api/v1/projects/p1%252e",
        "/api/v1/projects/p1.",
        "/api/v1/projects/p1%20",
        "/api/v1/projects/p1#/../p2",
        "/api/v1/projects/p1%zz",
        "/api/v1/projects/p1%",
        "/api/v1/projects/\u{e4}%FF",
    ] {
        let answer = get(edge.none, token, target, &[]);
        assert!((400..500).contains(&answer.status), "{target}: {}", answer.status);
        stage.assert_nothing_arrived();
    }
    for target in ["/api/v1/projects/%701", "/api/v1/projects/p1/", "/api/v1/projects/p1?x=/../y;z#"] {
        let answer = get(edge.none, token, target, &[]);
        let arrived = stage.upstream.take();
        assert_eq!(arrived.len(), usize::from(answer.status == 200), "{target}: {}", answer.status);
        for (_, seen) in arrived {
            // As it was judged, so it went on.
            assert_eq!(seen.target().trim_end_matches('#'), target.trim_end_matches('#'));
        }
    }
    // A target that names a host of its own.
    assert_eq!(get(edge.none, token, "http://other.example/api/v1/projects/p2", &[]).status, 403);
    stage.assert_nothing_arrived();
    let absolute = get(edge.none, token, "http://other.example/api/v1/projects/p1", &[]);
    let arrived = stage.upstream.take();
    assert_eq!(arrived.len(), usize::from(absolute.status == 200));
    assert!(arrived.iter().all(|(_, seen)| seen.target() == OWN));
}

/// A gateway whose regate does not answer, or does not know it.
pub fn nobody_is_let_through(stage: &Stage, gateway: &str) {
    let began = Instant::now();
    let requests = [(Some(stage.global.as_str()), OWN), (None, "/api/v1/projects/open"), (None, "/health")];
    thread::scope(|threads| {
        for (token, target) in requests {
            threads.spawn(move || {
                let answer = get(gateway, token, target, &[]);
                assert!(answer.status >= 400, "{target}: {}", answer.status);
            });
        }
    });
    stage.assert_nothing_arrived();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
