//! The caller's credential stops at Envoy, and the right one goes on: exactly one value of it.

use serde_json::json;

use super::{
    super::scene::{Stage, UPSTREAM_SECRET, get, through, upstream_authorization},
    Gate, Service,
};

super::over_grpc_and_http!(
    the_upstreams_credential_takes_the_callers_place,
    the_clients_own_copies_of_a_header_are_gone,
    a_client_does_not_speak_for_envoy,
    callers_at_the_same_time_are_never_mixed_up,
);

const PING: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// An MCP token of this user that may reach `github`.
fn mcp_token(stage: &Stage, user: &str) -> String {
    let regate = stage.regate();
    let (id, token) = regate.mint(&json!({"kind": "mcp", "name": "agent", "user_id": user}));
    let grants = json!({"upstreams": ["github"]});
    regate.expect(200, &regate.admin, "PUT", &format!("/v1/tokens/{id}/grants"), Some(&grants));
    token
}

fn the_upstreams_credential_takes_the_callers_place(service: Service) {
    let gate = Gate::new(service);
    let (address, stage) = (gate.address(), &gate.stage);

    let allowed = through(&address, Some(&stage.mcp), "POST", "/mcp", &[], PING);
    assert_eq!(allowed.status, 200, "{:?} {}", allowed.header("x-regate-reason"), gate.envoy.log());
    let arrived = stage.upstream.take_one();
    assert!(arrived.all("authorization") == [upstream_authorization()], "another credential went on");
    assert_eq!(arrived.body, PING);

    // Somebody else's never goes on.
    let unconnected = mcp_token(stage, "u3");
    let missing = through(&address, Some(&unconnected), "POST", "/mcp", &[], PING);
    assert_eq!(missing.status, 403);
    assert_eq!(missing.header("x-regate-reason"), Some("upstream.credential_missing"));
    let connect_url = missing.header("x-regate-connect-url").unwrap();
    assert!(connect_url.contains("github"), "{connect_url}");
    let anonymous = through(&address, None, "POST", "/mcp", &[], PING);
    assert_eq!(anonymous.status, 401);
    stage.assert_nothing_arrived();
    let told = [missing.body, anonymous.body].concat();
    assert!(!String::from_utf8_lossy(&told).contains(UPSTREAM_SECRET));
}

fn the_clients_own_copies_of_a_header_are_gone(service: Service) {
    let gate = Gate::new(service);
    let (address, stage) = (gate.address(), &gate.stage);
    let secret = upstream_authorization();

    // A second credential is not chosen from, in whatever case its header is.
    for name in ["Authorization", "AUTHORIZATION", "authorization"] {
        let smuggled = [(name, "Bearer smuggled")];
        let refused = through(&address, Some(&stage.mcp), "POST", "/mcp", &smuggled, PING);
        assert!(matches!(refused.status, 400 | 401), "{name}: {}", refused.status);
    }
    // Many servers read it as the header with hyphens.
    let refused = through(&address, Some(&stage.mcp), "POST", "/mcp", &[("X_Api_Key", "smuggled")], PING);
    assert_eq!(refused.status, 400);
    stage.assert_nothing_arrived();

    // Those that may pass, and no other.
    let passing = json!({
        "url": "https://mcp.example/github", "credential": "per_user", "pass_headers": ["content-type", "x-kept"],
    });
    stage.regate().upstream("github", &passing);
    let sent =
        [("X-Kept", "yes"), ("X-Other", "no"), ("X-Envoy-Auth-Partial-Body", "true"), ("Cookie", "a=b")];
    let asked = get(&address, Some(&stage.mcp), "/mcp", &sent);
    let reason = asked.header("x-regate-reason");
    match service {
        Service::Grpc => {
            assert_eq!(asked.status, 200, "{reason:?}");
            let arrived = stage.upstream.take_one();
            assert_eq!(arrived.all("x-kept"), ["yes"]);
            for gone in ["x-other", "cookie", "x-envoy-auth-partial-body", "x-request-id"] {
                assert!(arrived.all(gone).is_empty(), "{gone}");
            }
            assert!(arrived.all("authorization") == [secret.as_str()]);
        }
        // Over HTTP Envoy may tell a part of the headers: nobody can name the others.
        Service::Http => {
            assert_eq!((asked.status, reason), (403, Some("gateway.cannot_carry_out")));
            stage.assert_nothing_arrived();
        }
    }

    let rules = json!({
        "url": "https://mcp.example/github", "credential": "per_user", "header": "X-Api-Key", "format": "Bearer {token}",
    });
    stage.regate().upstream("github", &rules);
    if service == Service::Http {
        // Envoy would take it away and set nothing: the header is not among those that it takes over.
        let denied = through(&address, Some(&stage.mcp), "POST", "/mcp", &[], PING);
        let reason = denied.header("x-regate-reason");
        assert_eq!((denied.status, reason), (403, Some("gateway.cannot_carry_out")));
        stage.assert_nothing_arrived();
        return;
    }
    for smuggled in [
        &[("X-Api-Key", "smuggled")][..],
        &[("x-api-key", "smuggled"), ("X-API-KEY", "smuggled, too")],
        &[("X-Api-Key", ""), ("x-Api-key", "smuggled")],
        &[("Connection", "close, X-Api-Key"), ("X-Api-Key", "smuggled")],
        &[("x-envoy-auth-partial-body", "false"), ("x-envoy-auth-headers-to-remove", "x-api-key")],
    ] {
        let allowed = through(&address, Some(&stage.mcp), "POST", "/mcp", smuggled, PING);
        assert_eq!(allowed.status, 200, "{smuggled:?}: {:?}", allowed.header("x-regate-reason"));
        let arrived = stage.upstream.take_one();
        assert!(arrived.all("x-api-key") == [secret.as_str()], "{smuggled:?}: not the one value");
        assert!(arrived.all("authorization").is_empty(), "{smuggled:?}");
    }
}

/// The headers in which Envoy tells regate something.
fn a_client_does_not_speak_for_envoy(service: Service) {
    let gate = Gate::new(service);
    let (address, stage) = (gate.address(), &gate.stage);
    let smuggled = [
        ("X-Regate-Gateway-Token", "smuggled"),
        ("X-Regate-Upstream", "-"),
        ("X-Regate-Upstream", "nothing"),
        ("X-Regate-Json-Rpc-Errors", "smuggled"),
        ("X-Envoy-Internal", "true"),
        ("X-Envoy-Original-Path", "/api/v1/projects/p1"),
        ("X-Original-Uri", "/api/v1/projects/p1"),
        ("X-Forwarded-Uri", "/api/v1/projects/p1"),
        ("X-Forwarded-Method", "GET"),
    ];
    let allowed = through(&address, Some(&stage.mcp), "POST", "/mcp", &smuggled, PING);
    assert_eq!(allowed.status, 200, "{:?}", allowed.header("x-regate-reason"));
    assert!(stage.upstream.take_one().all("authorization") == [upstream_authorization()]);

    let elsewhere = [("X-Regate-Upstream", "github"), ("X-Regate-Gateway-Token", "smuggled")];
    let allowed = get(&address, Some(&stage.global), "/api/v1/projects/p1", &elsewhere);
    assert_eq!(allowed.status, 200, "{:?}", allowed.header("x-regate-reason"));
    assert!(stage.upstream.take_one().all("authorization").is_empty());

    let denied = through(&address, Some(&stage.global), "DELETE", "/api/v1/projects/p2", &smuggled, b"");
    assert_eq!(denied.status, 403);
    stage.assert_nothing_arrived();
}

fn callers_at_the_same_time_are_never_mixed_up(service: Service) {
    let gate = Gate::new(service);
    let (address, stage) = (gate.address(), &gate.stage);
    let regate = stage.regate();
    let theirs = json!({"token": "upstream-secret-of-u3"});
    let path = "/v1/upstreams/github/credentials/user/u3";
    assert!(matches!(regate.call(&regate.admin, "PUT", path, Some(&theirs)).status, 200 | 201));
    let other = mcp_token(stage, "u3");
    let callers = [("u1", &stage.mcp), ("u3", &other)];
    std::thread::scope(|scope| {
        for (user, token) in [callers, callers].concat() {
            let address = &address;
            scope.spawn(move || {
                for _ in 0..25 {
                    let body = json!({"jsonrpc": "2.0", "id": user, "method": "ping"}).to_string();
                    let answer = through(address, Some(token), "POST", "/mcp", &[], body.as_bytes());
                    assert_eq!(answer.status, 200);
                }
            });
        }
    });
    let arrived = stage.upstream.take();
    assert_eq!(arrived.len(), 100);
    for (_, message) in arrived {
        let body: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        let secret = match body["id"].as_str() {
            Some("u1") => upstream_authorization(),
            _ => "Bearer upstream-secret-of-u3".to_owned(),
        };
        assert!(message.all("authorization") == [secret.as_str()], "somebody else's credential went on");
    }
}
