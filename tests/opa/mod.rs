//! OPA's API: the value of a rule, and what the OPA plugins of gateways ask.

mod apisix;
mod data;
mod kong;
mod published;

use serde_json::{Value, json};

use crate::{
    harness::http::{Answer, send},
    management::scene::Scene,
};

/// A body that is JSON.
fn post(address: &str, path: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json")];
    send(address, "POST", path, &headers, body.to_string().as_bytes())
}

/// regate with an upstream that needs a credential of each user, which `u1` has.
struct Stage {
    scene: Scene,
    gateway: String,
    caller: String,
}

/// What `u1` has at the upstream.
const SECRET: &str = "upstream-secret-of-u1";

impl Stage {
    fn new(settings: &str) -> Self {
        let scene = Scene::over("sqlite://regate.sqlite", settings);
        scene.upstream("github", &json!({"url": "https://mcp.example/github", "credential": "per_user"}));
        scene.upstream("open", &json!({"url": "https://mcp.example/open", "credential": "none"}));
        let body = json!({"kind": "global", "name": "u1", "user_id": "u1"});
        let (id, caller) = scene.mint(&body);
        let grants = json!({"upstreams": ["github", "open"]});
        scene.expect(200, &scene.admin, "PUT", &format!("/v1/tokens/{id}/grants"), Some(&grants));
        let path = "/v1/upstreams/github/credentials/user/u1";
        let put = scene.call(&scene.admin, "PUT", path, Some(&json!({"token": SECRET})));
        assert!(matches!(put.status, 200 | 201));
        let (_, gateway) = scene.mint(&json!({"kind": "gateway", "name": "edge"}));
        Self { scene, gateway, caller }
    }

    fn address(&self) -> &str {
        &self.scene.serving.address
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.caller)
    }
}

/// The result of an answer, which both plugins need whatever happens.
fn result(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200);
    let told = answer.json();
    assert!(told["result"]["allow"].is_boolean(), "a plugin would find no result");
    told["result"].clone()
}

/// Whether it allows, the status and the code of a deny.
fn verdict(result: &Value, status: &str, why: &str) -> (bool, u64, String) {
    let code = result[why]["code"].as_str().unwrap_or_default().to_owned();
    (result["allow"] == true, result[status].as_u64().unwrap_or(200), code)
}
