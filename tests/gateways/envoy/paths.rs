//! Paths with tricks: what is forwarded is what was judged.

use serde_json::json;

use super::{super::scene::get, Gate, Service};

super::over_grpc_and_http!(what_arrives_is_what_was_judged);

/// With the global token, which may read `p1` and not `p2`, and what must come of it where it is known.
const TRICKS: &[(&str, Option<u16>)] = &[
    ("/api/v1/projects/p1", Some(200)),
    ("/api/v1/projects/p2", Some(403)),
    ("/mcp/../api/v1/projects/p1", None),
    ("/mcp/../api/v1/projects/p2", Some(403)),
    ("/api/v1/projects/p1/../p2", Some(403)),
    ("/api/v1/projects/p1/%2e%2e/p2", Some(403)),
    ("/api/v1/projects/p1/%2E%2e/p2", Some(403)),
    ("/api/v1/projects/p1/.%2e/p2", Some(403)),
    ("/api/v1/projects/p1/%252e%252e/p2", Some(400)),
    ("/api/v1/projects/p1%2F..%2Fp2", Some(400)),
    ("/api/v1/projects/p1%2f%2e%2e%2fp2", Some(400)),
    ("/api/v1/projects/p1%5C..%5Cp2", Some(400)),
    ("/api/v1/projects/p1\\..\\p2", None),
    ("//api/v1/projects/p2", Some(403)),
    ("/api//v1///projects/p2", Some(403)),
    ("/api/v1/projects/p1//../p2", None),
    ("/api/v1/projects/p1;a=b", Some(400)),
    ("/api/v1/projects/p1;/../p2", None),
    ("/api/v1/projects/p1/..;/p2", None),
    ("/api/v1/projects/p1%3b/p2", Some(400)),
    ("/api/v1/projects/%70%32", Some(403)),
    ("/%61pi/v1/projects/p2", Some(403)),
    ("/api/v1/projects/p1#/../p2", None),
    ("/api/v1/projects/p1%23/../p2", None),
    ("/api/v1/projects/p1%00", None),
    ("/api/v1/projects/p1%20", Some(400)),
    ("/api/v1/projects/p1.", Some(400)),
    ("/api/v1/projects/p1%zz", None),
    ("/api/v1/projects/p1?/../p2", Some(200)),
    ("/api/v1/projects/p2?/../p1", Some(403)),
    ("/api/v1/projects/p1?a=%2e%2e/..", Some(200)),
    ("/../../api/v1/projects/p2", None),
    ("http://elsewhere.example/api/v1/projects/p2", Some(403)),
    ("http://elsewhere.example", None),
    ("*", None),
];

fn what_arrives_is_what_was_judged(service: Service) {
    let gate = Gate::new(service);
    let (address, stage) = (gate.address(), &gate.stage);
    for (target, expected) in TRICKS {
        let answer = get(&address, Some(&stage.global), target, &[]);
        assert!(
            expected.is_none_or(|expected| expected == answer.status),
            "{target}: {} {:?}",
            answer.status,
            answer.header("x-regate-reason")
        );
        for (_, arrived) in stage.upstream.take() {
            assert_eq!(answer.status, 200, "{target}");
            // What went on would be allowed if it had been asked about in these words.
            let question =
                json!({"token": stage.global, "request": {"method": "GET", "path": arrived.target()}});
            let gateway = format!("Bearer {}", stage.gateway_token);
            let headers = [("authorization", gateway.as_str())];
            let regate = stage.regate_address();
            let body = question.to_string();
            let told =
                crate::harness::http::send(&regate, "POST", "/v1/decide", &headers, body.as_bytes()).json();
            assert_eq!(told["allow"], true, "{target} went on as {}", arrived.target());
        }
    }
    // With an MCP token there is no way out of the endpoint.
    for (target, expected) in [
        ("/mcp", Some(200)),
        ("/mcp/../api/v1/projects/p1", Some(403)),
        ("/mcp/%2e%2e/api/v1/projects/p1", Some(403)),
        ("/mcp%2F..%2Fapi/v1/projects/p1", Some(400)),
        ("/mcp/..;/api/v1/projects/p1", None),
        ("/mcp;/../api/v1/projects/p1", None),
        ("/api/../mcp", Some(200)),
        ("//mcp", Some(200)),
    ] {
        let answer = get(&address, Some(&stage.mcp), target, &[]);
        assert!(expected.is_none_or(|expected| expected == answer.status), "{target}: {}", answer.status);
        for (_, arrived) in stage.upstream.take() {
            assert_eq!((answer.status, arrived.target()), (200, "/mcp"), "{target}");
            // By the route of the path that was judged.
            assert_eq!(arrived.all("authorization").len(), 1, "{target}");
        }
    }
}
