//! Upstream credentials on the wire: a gateway of the tests' own asks regate, and servers behind it write down what
//! reaches them.

mod gateway;
mod model;
mod random;

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, thread};

use serde_json::{Value, json};
use tempfile::TempDir;

use self::gateway::Gateway;
use crate::{
    harness::{
        behind::Behind,
        http::{Answer, raw, send},
    },
    management::scene::Scene,
};

/// A key file, and the settings that name it.
fn key_file() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    fs::write(&path, "5f".repeat(32)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let settings = format!("[credentials]\nkey_file = {:?}\n", path.to_str().unwrap());
    (folder, settings)
}

/// regate, two servers behind a gateway, and two users with a credential of their own at each.
struct Stage {
    scene: Scene,
    _keys: TempDir,
    github: Behind,
    gitlab: Behind,
    gateway: Gateway,
    gateway_token: String,
    /// The tokens of `u1` and `u3`.
    callers: [(String, String); 2],
}

const USERS: [&str; 2] = ["u1", "u3"];

/// What a user has at an upstream.
fn secret(user: &str, upstream: &str) -> String {
    format!("upstream-secret-of-{user}-at-{upstream}")
}

impl Stage {
    fn new() -> Self {
        let (keys, settings) = key_file();
        let scene = Scene::over("sqlite://regate.sqlite", &settings);
        let put = |path: &str, body: Value| {
            let answer = scene.call(&scene.admin, "PUT", path, Some(&body));
            assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.json());
        };
        put("/v1/upstreams/github", json!({"url": "https://mcp.example/github", "credential": "per_user"}));
        put(
            "/v1/upstreams/gitlab",
            json!({
                "url": "https://mcp.example/gitlab", "credential": "per_user", "header": "X-Api-Key",
                "format": "token {token}",
            }),
        );
        let callers = USERS.map(|user| {
            let (id, token) = scene.mint(&json!({"kind": "global", "name": user, "user_id": user}));
            put(&format!("/v1/tokens/{id}/grants"), json!({"upstreams": ["github", "gitlab"]}));
            for upstream in ["github", "gitlab"] {
                let path = format!("/v1/upstreams/{upstream}/credentials/user/{user}");
                put(&path, json!({"token": secret(user, upstream)}));
            }
            (id, token)
        });
        let (_, gateway_token) = scene.mint(&json!({"kind": "gateway", "name": "edge"}));
        let (github, gitlab) = (Behind::start(), Behind::start());
        let behind = [("github", &github), ("gitlab", &gitlab)];
        let gateway = Gateway::start(&scene.serving.address, Some(&gateway_token), &behind);
        Self { scene, _keys: keys, github, gitlab, gateway, gateway_token, callers }
    }

    /// A call through the gateway, with these headers beside the caller's credential.
    fn call(&self, caller: usize, upstream: &str, headers: &[(&str, &str)]) -> Answer {
        through(&self.gateway.address, &self.callers[caller].1, upstream, headers)
    }

    /// What regate answers about a read by this caller.
    fn ask(&self, caller: usize, upstream: &str) -> Answer {
        let question = json!({
            "token": self.callers[caller].1, "upstream": upstream,
            "request": {"method": "GET", "path": "/api/v1/projects/p1"},
        });
        let authorization = format!("Bearer {}", self.gateway_token);
        let own = [("authorization", authorization.as_str())];
        send(&self.scene.serving.address, "POST", "/v1/decide", &own, question.to_string().as_bytes())
    }
}

fn through(gateway: &str, token: &str, upstream: &str, headers: &[(&str, &str)]) -> Answer {
    let mut message = format!("GET /api/v1/projects/p1 HTTP/1.1\r\nHost: {upstream}\r\n");
    if !token.is_empty() {
        message.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    for (name, value) in headers {
        message.push_str(&format!("{name}: {value}\r\n"));
    }
    message.push_str("\r\n");
    raw(gateway, message.as_bytes())
}

#[test]
fn each_upstream_sees_its_own_credential_and_never_the_callers() {
    let stage = Stage::new();
    for (caller, user) in USERS.into_iter().enumerate() {
        // The client's own copies of the header that will be set: in any case, more than once.
        let smuggled =
            [("X-API-KEY", "mine"), ("x-api-key", "mine too"), ("x-Api-kEy", ""), ("X-Trace", "1")];
        for (upstream, behind) in [("github", &stage.github), ("gitlab", &stage.gitlab)] {
            let answer = stage.call(caller, upstream, &smuggled);
            assert_eq!(answer.status, 200);
            let [(_, seen)] = &behind.take()[..] else { panic!("not one request") };
            let own = secret(user, upstream);
            match upstream {
                "github" => assert_eq!(seen.all("authorization"), [format!("Bearer {own}")]),
                _ => {
                    assert_eq!(seen.all("x-api-key"), [format!("token {own}")]);
                    assert!(seen.all("authorization").is_empty());
                }
            }
            assert_eq!(seen.all("x-trace"), ["1"]);
            let wire = format!("{:?}", seen.headers);
            assert!(!stage.callers.iter().any(|(_, token)| wire.contains(token.as_str())));
        }
    }
    // Two credentials of the caller's are a refusal, and reach nobody.
    let twice = stage.call(0, "github", &[("authorization", "Bearer other")]);
    assert_eq!((twice.status, stage.github.take().len()), (400, 0));
}

#[test]
fn interleaved_callers_on_the_same_gateway_never_mix() {
    let stage = Stage::new();
    thread::scope(|scope| {
        for worker in 0..8 {
            let stage = &stage;
            scope.spawn(move || {
                for round in 0..50 {
                    let caller = (worker + round) % 2;
                    let upstream = if (worker + round / 2) % 3 == 0 { "gitlab" } else { "github" };
                    assert_eq!(stage.call(caller, upstream, &[]).status, 200);
                }
            });
        }
    });
    let mut requests = 0;
    for (upstream, behind, header) in
        [("github", &stage.github, "authorization"), ("gitlab", &stage.gitlab, "x-api-key")]
    {
        let seen = behind.take();
        requests += seen.len();
        let connections: BTreeSet<(usize, String)> =
            seen.iter().map(|(connection, message)| (*connection, message.all(header).join("|"))).collect();
        // By its key each connection is one user's.
        let secrets: BTreeSet<&str> = connections.iter().map(|(_, secret)| secret.as_str()).collect();
        assert_eq!((connections.len(), secrets.len()), (2, 2), "{upstream}");
        for user in USERS {
            assert!(secrets.iter().any(|value| value.ends_with(&secret(user, upstream))));
        }
    }
    assert_eq!(requests, 400);
}

#[test]
fn what_is_taken_back_reaches_nobody_any_more() {
    let stage = Stage::new();
    let admin = &stage.scene.admin;
    let grants = format!("/v1/tokens/{}/grants", stage.callers[0].0);
    assert_eq!(stage.call(0, "github", &[]).status, 200);
    stage.scene.expect(200, admin, "PUT", &grants, Some(&json!({"upstreams": ["gitlab"]})));
    assert_eq!(stage.call(0, "github", &[]).status, 403);
    stage.scene.expect(200, admin, "PUT", &grants, Some(&json!({"upstreams": ["github", "gitlab"]})));
    assert_eq!(stage.call(0, "github", &[]).status, 200);
    stage.scene.expect(200, admin, "DELETE", "/v1/upstreams/github/credentials/user/u1", None);
    let refused = stage.ask(0, "github").json();
    assert_eq!(
        (&refused["allow"], &refused["reason"]),
        (&json!(false), &json!("upstream.credential_missing"))
    );
    assert!(refused["connect_url"].as_str().unwrap().contains("github"), "{refused}");
    assert_eq!(stage.call(1, "github", &[]).status, 200);
    // Nobody at all, and somebody unknown.
    assert_eq!(through(&stage.gateway.address, "", "github", &[]).status, 401);
    assert_eq!(through(&stage.gateway.address, "unknown", "github", &[]).status, 401);
    assert_eq!(stage.github.take().len(), 3);
    // A gateway whose regate is gone lets nothing through.
    let gateway = stage.gateway.address.clone();
    let token = stage.callers[1].1.clone();
    let Stage { scene, github, .. } = stage;
    drop(scene);
    assert_eq!(through(&gateway, &token, "github", &[]).status, 503);
    assert!(github.take().is_empty());
}

#[test]
fn a_secret_is_told_to_a_gateway_that_authenticated_and_kept_by_nobody() {
    let stage = Stage::new();
    let told = stage.ask(0, "github");
    assert_eq!(told.header("cache-control"), Some("no-store"));
    let own = format!("Bearer {}", secret("u1", "github"));
    assert!(told.json()["headers"]["set"]["authorization"] == own);
    assert_eq!(told.json()["connection_key"], "default/user/u1/github");
    let question = |more: Value| {
        let mut question = json!({
            "token": stage.callers[0].1, "upstream": "github",
            "request": {"method": "GET", "path": "/api/v1/projects/p1"},
        });
        question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        question
    };
    let post = |path: &str, headers: &[(&str, &str)], body: Value| {
        send(&stage.scene.serving.address, "POST", path, headers, body.to_string().as_bytes())
    };
    // Without a token of its own.
    let refused = post("/v1/decide", &[], question(json!({}))).json();
    assert_eq!(refused["reason"], "upstream.channel_insecure");
    assert_eq!(refused["headers"]["set"], json!({}));
    // An operator who explains it.
    let authorization = format!("Bearer {}", stage.scene.admin);
    let explained = post("/v1/explain", &[("authorization", &authorization)], question(json!({}))).json();
    assert_eq!((&explained["allow"], &explained["headers"]["set"]), (&json!(true), &json!({})));
    assert_eq!(explained["explanation"]["input"]["upstream"]["credential"], "active");
    // In a batch, beside others.
    let authorization = format!("Bearer {}", stage.gateway_token);
    let requests = json!({"requests": [question(json!({})), question(json!({"upstream": "none"}))]});
    let answer = post("/v1/decide/batch", &[("authorization", &authorization)], requests);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let decisions = answer.json()["decisions"].clone();
    assert!(decisions[0]["headers"]["set"]["authorization"] == own);
    assert_eq!(decisions[1]["reason"], "upstream.unknown");
    // And in no line of the log: the record of each use names who, whose, where and what came of it.
    for part in ["upstream credential", "holder_id=\"u1\"", "upstream=\"github\"", "allow=true"] {
        let log = stage.scene.serving.wait_for_log(part);
        assert!(!log.contains("upstream-secret-of"), "a secret in the log");
    }
}
