//! What stands around a gateway: regate with people, tokens and an upstream, and the server behind the gateway.

use std::net::TcpListener;

use serde_json::json;

use crate::{
    harness::{
        behind::Behind,
        http::{Answer, raw},
    },
    management::scene::Scene,
};

/// What regate gives the gateway for `u1` at `github`: `Bearer` and this.
pub const UPSTREAM_SECRET: &str = "upstream-secret-of-u1-at-github";

/// The same at `gitlab`: `token` and this.
pub const GITLAB_SECRET: &str = "upstream-secret-of-u1-at-gitlab";

/// The value of the header that goes on to `github`.
pub fn upstream_authorization() -> String {
    format!("Bearer {UPSTREAM_SECRET}")
}

/// regate over a SQLite file, and a server behind the gateway that is to be started.
///
/// `u1` owns the project `p1`, `u3` develops it; `p2` is nobody's, `open` is public. The upstream `github` wants each
/// user's own credential in `Authorization`, `gitlab` in `X-Api-Key`; `u1` has both, `u3` has none.
pub struct Stage {
    regate: Option<Scene>,
    pub upstream: Behind,
    /// Of a gateway of the tenant.
    pub gateway_token: String,
    /// A global token of `u1`, which reads.
    pub global: String,
    /// A global token of `u3`, which may reach `github` and has no credential there.
    pub unconnected: String,
    /// An MCP token of `u1`.
    pub mcp: String,
    /// An MCP token of `u1`, limited to the tool `search`.
    pub mcp_search: String,
}

impl Stage {
    pub fn new() -> Self {
        Self::with("")
    }

    /// With these settings of regate's.
    pub fn with(settings: &str) -> Self {
        let regate = Scene::over("sqlite://regate.sqlite", settings);
        regate.upstream("github", &json!({"url": "https://mcp.example/github", "credential": "per_user"}));
        regate.upstream(
            "gitlab",
            &json!({
                "url": "https://mcp.example/gitlab", "credential": "per_user", "header": "X-Api-Key",
                "format": "token {token}",
            }),
        );
        for (id, secret) in [("github", UPSTREAM_SECRET), ("gitlab", GITLAB_SECRET)] {
            let path = format!("/v1/upstreams/{id}/credentials/user/u1");
            let put = regate.call(&regate.admin, "PUT", &path, Some(&json!({"token": secret})));
            assert!(matches!(put.status, 200 | 201), "{}", put.json());
        }
        let minted = [
            json!({"kind": "global", "name": "reads", "user_id": "u1"}),
            json!({"kind": "global", "name": "unconnected", "user_id": "u3"}),
            json!({"kind": "mcp", "name": "agent", "user_id": "u1"}),
            json!({"kind": "mcp", "name": "searches", "user_id": "u1", "tools": ["search"]}),
        ]
        .map(|body| {
            let (id, token) = regate.mint(&body);
            let grants = json!({"upstreams": ["github", "gitlab"]});
            regate.expect(200, &regate.admin, "PUT", &format!("/v1/tokens/{id}/grants"), Some(&grants));
            token
        });
        let [global, unconnected, mcp, mcp_search] = minted;
        let (_, gateway_token) = regate.mint(&json!({"kind": "gateway", "name": "edge"}));
        let upstream = Behind::start();
        Self { regate: Some(regate), upstream, gateway_token, global, unconnected, mcp, mcp_search }
    }

    /// regate, while it runs.
    pub fn regate(&self) -> &Scene {
        self.regate.as_ref().unwrap()
    }

    /// `127.0.0.1:PORT` of regate.
    pub fn regate_address(&self) -> String {
        self.regate().serving.address.clone()
    }

    /// Stops regate: from then on nobody answers at its address.
    pub fn stop_regate(&mut self) {
        self.regate = None;
    }

    /// Nothing has reached the server behind the gateway.
    pub fn assert_nothing_arrived(&self) {
        let seen: Vec<String> = self.upstream.take().into_iter().map(|(_, message)| message.line).collect();
        assert!(seen.is_empty(), "arrived: {seen:?}");
    }
}

/// A port that takes connections and never answers on them, as long as it is held.
pub fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// Sends one request as it is to a gateway, with the caller's credential if there is one.
pub fn through(
    gateway: &str,
    token: Option<&str>,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut message = format!("{method} {target} HTTP/1.1\r\nHost: api.example\r\n");
    if let Some(token) = token {
        message.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        message.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        message.push_str(&format!("{name}: {value}\r\n"));
    }
    message.push_str("\r\n");
    raw(gateway, &[message.as_bytes(), body].concat())
}

/// The same without a body.
pub fn get(gateway: &str, token: Option<&str>, target: &str, headers: &[(&str, &str)]) -> Answer {
    through(gateway, token, "GET", target, headers, b"")
}
