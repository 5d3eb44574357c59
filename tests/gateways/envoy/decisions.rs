//! Allowed, denied, challenged.

use super::{super::scene::get, Gate, Service};

super::over_grpc_and_http!(a_request_is_allowed_denied_or_challenged);

fn a_request_is_allowed_denied_or_challenged(service: Service) {
    let gate = Gate::new(service);
    let (address, stage) = (gate.address(), &gate.stage);

    let allowed = get(&address, Some(&stage.global), "/api/v1/projects/p1?x=1&x=%2F", &[("X-Kept", "yes")]);
    assert_eq!((allowed.status, allowed.body.as_slice()), (200, &b"ok"[..]), "{}", gate.envoy.log());
    let arrived = stage.upstream.take_one();
    assert_eq!(arrived.target(), "/api/v1/projects/p1?x=1&x=%2F");
    assert_eq!(arrived.all("x-kept"), ["yes"]);
    // The caller's own credential stops here.
    assert!(arrived.all("authorization").is_empty());
    let told = |name: &str| name.starts_with("x-regate-") || name.starts_with("x-envoy-auth");
    assert!(!arrived.headers.iter().any(|(name, _)| told(name)), "{:?}", names(&arrived.headers));

    let denied = get(&address, Some(&stage.global), "/api/v1/projects/p2", &[]);
    assert_eq!(denied.status, 403);
    assert_eq!(denied.header("cache-control"), Some("no-store"));
    let reason = denied.header("x-regate-reason").unwrap().to_owned();
    let id = denied.header("x-regate-decision-id").unwrap().to_owned();
    assert!(reason.starts_with("global_token."), "{reason}");
    assert_eq!(denied.header("www-authenticate"), None);
    if service == Service::Grpc {
        assert_eq!(denied.header("content-type"), Some("application/json"));
        let told = denied.json();
        assert_eq!((&told["allow"], &told["status"]), (&false.into(), &403.into()));
        assert_eq!((&told["reason"], &told["decision_id"]), (&reason.into(), &id.into()));
    }

    let anonymous = get(&address, None, "/api/v1/projects/p1", &[]);
    assert_eq!((anonymous.status, anonymous.header("www-authenticate")), (401, Some("Bearer")));
    for bad in ["rgt_global_nothing", "\u{e4}", ""] {
        let challenged = get(&address, Some(bad), "/api/v1/projects/p1", &[]);
        let challenge = challenged.header("www-authenticate");
        assert_eq!((challenged.status, challenge), (401, Some("Bearer error=\"invalid_token\"")), "{bad}");
    }
    let hosts = get(&address, Some(&stage.global), "/api/v1/projects/p1", &[("Host", "elsewhere.example")]);
    assert_eq!(hosts.status, 400);
    stage.assert_nothing_arrived();

    let public = get(&address, None, "/health", &[]);
    assert_eq!(public.status, 200);
    assert_eq!(stage.upstream.take_one().target(), "/health");

    // What regate says of callers, and what describes a request to servers, is not theirs to say.
    let forged = [
        ("X-Regate-User", "mine"),
        ("x-rEGATE-tenant", "mine"),
        ("X-Regate-Any", "mine"),
        ("Forwarded", "for=mine"),
        ("X-Real-IP", "mine"),
        ("X-Forwarded-Host", "mine"),
        ("X-Forwarded-Uri", "/mine"),
        ("X-Forwarded-Method", "MINE"),
        ("X-Forwarded-Port", "mine"),
        ("X-Forwarded-Prefix", "/mine"),
        ("X-Original-URL", "/mine"),
        ("X-Rewrite-URL", "/mine"),
    ];
    let global = Some(stage.global.as_str());
    for (token, target) in
        [(global, "/api/v1/projects/p1"), (None, "/api/v1/projects/open"), (None, "/health")]
    {
        assert_eq!(get(&address, token, target, &forged).status, 200, "{target}");
        let arrived = format!("{:?}", stage.upstream.take_one().headers).to_lowercase();
        assert!(!arrived.contains("mine") && !arrived.contains("x-regate"), "{target}: {arrived}");
    }
    // After an upgrade nobody would judge what follows.
    for protocol in ["websocket", "h2c"] {
        let upgrade = [("Connection", "Upgrade"), ("Upgrade", protocol)];
        let answer = get(&address, global, "/api/v1/projects/p1", &upgrade);
        let arrived = stage.upstream.take();
        assert_eq!(arrived.len(), usize::from(answer.status == 200), "{protocol}: {}", answer.status);
        assert!(arrived.iter().all(|(_, seen)| seen.all("upgrade").is_empty()), "{protocol}");
    }
}

fn names(headers: &[(String, String)]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}
