//! MCP messages in bodies: the tools of a token, batches, bodies that are cut, and what is no message.

use serde_json::{Value, json};

use super::{
    super::scene::{get, through},
    Gate, Service,
};

super::over_grpc_and_http!(mcp_messages_are_judged);

fn call(tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": tool, "method": "tools/call", "params": {"name": tool, "arguments": {}}})
}

fn mcp_messages_are_judged(service: Service) {
    let gate = Gate::new(service);
    let (address, stage) = (gate.address(), &gate.stage);
    let post = |body: &[u8]| {
        let answer = through(
            &address,
            Some(&stage.mcp_search),
            "POST",
            "/mcp",
            &[("Content-Type", "application/json")],
            body,
        );
        let reason = answer.header("x-regate-reason").unwrap_or_default().to_owned();
        (answer.status, reason, answer)
    };

    let listed = call("search").to_string();
    assert_eq!(post(listed.as_bytes()).0, 200, "{}", gate.envoy.log());
    assert_eq!(stage.upstream.take_one().body, listed.as_bytes());
    let batch =
        json!([call("search"), {"jsonrpc": "2.0", "method": "notifications/initialized"}]).to_string();
    assert_eq!(post(batch.as_bytes()).0, 200);
    assert_eq!(stage.upstream.take_one().body, batch.as_bytes());
    let chunked = format!(
        "POST /mcp HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{listed}\r\n0\r\n\r\n",
        stage.mcp_search,
        listed.len()
    );
    assert_eq!(crate::harness::http::raw(&address, chunked.as_bytes()).status, 200);
    assert_eq!(stage.upstream.take_one().body, listed.as_bytes());
    // Over HTTP no body is not told from a body that Envoy keeps to itself.
    let streams = if service == Service::Grpc { 200 } else { 403 };
    assert_eq!(get(&address, Some(&stage.mcp_search), "/mcp", &[]).status, streams);
    stage.upstream.take();
    for method in ["GET", "DELETE"] {
        for (tool, status) in [("search", 200), ("delete", 403)] {
            let body = call(tool).to_string();
            let answer = through(&address, Some(&stage.mcp_search), method, "/mcp", &[], body.as_bytes());
            assert_eq!((answer.status, stage.upstream.take().len()), (status, usize::from(status == 200)));
        }
    }

    let (status, reason, answer) = post(call("delete").to_string().as_bytes());
    assert_eq!((status, reason.as_str()), (403, "token.tool_not_listed"));
    if service == Service::Grpc {
        let told = answer.json();
        assert_eq!((&told["jsonrpc"], &told["id"]), (&json!("2.0"), &json!("delete")));
        assert_eq!(told["error"]["data"]["reason"], "token.tool_not_listed");
    }
    let batch = json!([call("search"), call("delete")]).to_string();
    assert_eq!(post(batch.as_bytes()).1, "token.tool_not_listed");

    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for malformed in
        [&b"{"[..], b"[]", b"null", b"\xff\xfe", b"{\"jsonrpc\":\"2.0\",\"id\":1}", deep.as_bytes()]
    {
        let (status, reason, _) = post(malformed);
        let shown = String::from_utf8_lossy(malformed);
        assert_eq!((status, reason.as_str()), (400, "mcp.malformed_message"), "{shown}");
    }

    // Over HTTP no body is not told from a body that Envoy keeps to itself.
    let empty = if service == Service::Grpc { "mcp.malformed_message" } else { "token.tool_not_listed" };
    assert_eq!(post(b"").1, empty);

    // More than Envoy tells: the second half might say anything.
    let mut large = call("search");
    large["params"]["arguments"]["text"] = "x".repeat(300 * 1024).into();
    let (status, reason, _) = post(large.to_string().as_bytes());
    assert_eq!((status, reason.as_str()), (403, "request.body_incomplete"));
    // A client does not say for Envoy that it told all.
    for says in ["false", "true"] {
        let smuggled = [("x-envoy-auth-partial-body", says)];
        let body = large.to_string();
        let denied = through(&address, Some(&stage.mcp_search), "POST", "/mcp", &smuggled, body.as_bytes());
        assert_eq!(denied.status, 403, "{says}");
    }
    stage.assert_nothing_arrived();

    // Elsewhere a long body is nobody's affair.
    let (_, writes) = stage.regate().mint(&json!({
        "kind": "global", "name": "writes", "user_id": "u1", "scope_push": true,
    }));
    let upload = vec![b'x'; 300 * 1024];
    let allowed = through(&address, Some(&writes), "POST", "/api/v1/projects/p1/builds", &[], &upload);
    assert_eq!(allowed.status, 200, "{:?}", allowed.header("x-regate-reason"));
    assert_eq!(stage.upstream.take_one().body.len(), upload.len());
}
