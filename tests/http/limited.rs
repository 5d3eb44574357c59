//! What a policy's `rate_limit` does on each face: the real binary, a policy of its own.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    http::{Answer, decide, send},
    program::{Serving, run, stderr},
};

/// Three calls an hour for each first segment of a path; `/x/denied` is denied for a reason of its own.
const POLICY: &str = r#"package regate
limit := {"name": "test.calls", "key": input.request.path[0], "limit": 3, "window_seconds": 3600}
decision := {"allow": false, "reasons": ["test.denied"], "status": 403, "rate_limit": limit} if input.request.path[1] == "denied"
else := {"allow": false, "reasons": ["test.odd"], "rate_limit": object.union(limit, {"limit": "3"})} if input.request.path[1] == "odd"
else := {"allow": true, "reasons": ["test.allowed"], "rate_limit": limit}
"#;

const AUTHZEN: &str = r#"package regate.authzen
decision := {"allow": true, "rate_limit": {"name": "test.evaluations", "key": input.subject.id, "limit": 1, "window_seconds": 3600}}
"#;

struct Scene {
    _folder: TempDir,
    serving: Serving,
}

impl Scene {
    fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        write("policies/policy.rego", POLICY);
        write("policies/authzen.rego", AUTHZEN);
        write("regate.toml", &format!("[forward_auth]\ntrust_loopback = true\n{settings}"));
        let arguments =
            ["--config", "regate.toml", "--policies", "policies", "--database-url", "sqlite::memory:"];
        let serving = Serving::start(folder.path(), &arguments);
        Self { _folder: folder, serving }
    }

    fn ask(&self, path: &str) -> Value {
        decide(&self.serving.address, &question(path))
    }

    /// Uses up what may be called.
    fn exhaust(&self, key: &str) {
        for _ in 0..3 {
            assert_eq!(self.ask(&format!("/{key}/a"))["allow"], true);
        }
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        send(&self.serving.address, method, path, headers, body.as_bytes())
    }
}

fn question(path: &str) -> Value {
    json!({"request": {"method": "GET", "path": path}})
}

/// That the call was one too many, and that there will be room within the hour.
fn assert_limited(answer: &Value) {
    assert_eq!(answer["allow"], false, "{answer}");
    assert_eq!(
        (&answer["status"], &answer["reason"]),
        (&json!(429), &json!("rate_limit.exceeded")),
        "{answer}"
    );
    let limit = &answer["rate_limit"];
    assert_eq!(
        (&limit["name"], &limit["limit"], &limit["remaining"]),
        (&json!("test.calls"), &json!(3), &json!(0))
    );
    assert!((3_500..=3_600).contains(&limit["reset_seconds"].as_u64().unwrap()), "{answer}");
}

/// The headers that tell a client.
fn assert_told(header: impl Fn(&str) -> Option<String>) {
    let seconds: u64 = header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((3_500..=3_600).contains(&seconds));
    assert_eq!(header("ratelimit-policy").as_deref(), Some("\"test.calls\";q=3;w=3600"));
    assert_eq!(header("ratelimit"), Some(format!("\"test.calls\";r=0;t={seconds}")));
}

#[test]
fn a_call_too_many_is_denied_and_does_not_count() {
    let scene = Scene::new("");
    for remaining in [2, 1] {
        let answer = scene.ask("/a/x");
        assert_eq!((&answer["allow"], &answer["rate_limit"]["remaining"]), (&json!(true), &json!(remaining)));
    }
    // A deny counts, and says how the limit stands.
    let denied = scene.ask("/a/denied");
    assert_eq!(
        (&denied["status"], &denied["reasons"]),
        (&json!(403), &json!(["token.missing", "test.denied"]))
    );
    assert_eq!(denied["rate_limit"]["remaining"], 0);
    for path in ["/a/x", "/a/denied"] {
        let limited = scene.ask(path);
        assert_limited(&limited);
        let behind: &[&str] =
            if path == "/a/x" { &["test.allowed"] } else { &["token.missing", "test.denied"] };
        assert_eq!(limited["reasons"], json!([&["rate_limit.exceeded"], behind].concat()));
        assert_eq!(limited["headers"]["set"], json!({}));
    }
    // Somebody else is not concerned.
    assert_eq!(scene.ask("/b/x")["allow"], true);
    // A limit that is none is no way around one.
    assert_eq!(scene.ask("/c/odd")["reason"], "policy.error");
}

#[test]
fn whoever_only_wants_to_know_does_not_count() {
    let scene = Scene::new("");
    // Of a batch each question counts; what is one too many in its middle is denied, and the rest goes on.
    let questions: Vec<Value> = ["/a/1", "/a/2", "/a/3", "/a/4", "/b/1"].map(question).to_vec();
    let body = json!({"requests": questions}).to_string();
    let answer = scene.send("POST", "/v1/decide/batch", &[], &body).json();
    let allowed: Vec<_> =
        answer["decisions"].as_array().unwrap().iter().map(|one| one["allow"] == true).collect();
    assert_eq!(allowed, [true, true, true, false, true]);
    assert_limited(&answer["decisions"][3]);
}

#[test]
fn clients_of_gateways_are_told_when_to_come_again() {
    let scene = Scene::new("[opa]\napisix_headers = [\"authorization\"]\n");
    scene.exhaust("a");
    let forwarded = [
        ("x-forwarded-method", "GET"),
        ("x-forwarded-uri", "/a/x"),
        ("x-forwarded-host", "api.example"),
        ("x-forwarded-for", "192.0.2.7"),
    ];
    let answer = scene.send("GET", "/v1/forward-auth?upstream=-", &forwarded, "");
    assert_eq!(answer.status, 429);
    assert_told(|name| answer.header(name).map(str::to_owned));
    assert_eq!(answer.json()["reason"], "rate_limit.exceeded");

    let original = forwarded.map(|(name, value)| {
        (
            match name {
                "x-forwarded-method" => "x-original-method",
                "x-forwarded-uri" => "x-original-uri",
                "x-forwarded-host" => "x-original-host",
                _ => "x-original-for",
            },
            value,
        )
    });
    let answer = scene.send("GET", "/v1/forward-auth/nginx?upstream=-", &original, "");
    assert_eq!((answer.status, answer.header("x-regate-status")), (403, Some("429")));
    assert_told(|name| answer.header(name).map(str::to_owned));

    let answer = scene.send("GET", "/v1/ext-authz/a/x", &[("x-regate-upstream", "-")], "");
    assert_eq!(answer.status, 429);
    assert_told(|name| answer.header(name).map(str::to_owned));

    let apisix = json!({"input": {"type": "http", "request": {"method": "GET", "path": "/a/x", "headers": {}}, "var": {}}});
    let answer = scene.send("POST", "/v1/data/regate/apisix", &[], &apisix.to_string()).json();
    assert_eq!((&answer["result"]["allow"], &answer["result"]["status_code"]), (&json!(false), &json!(429)));
    assert_told(|name| Some(answer["result"]["headers"][name].as_str()?.to_owned()));

    let kong = json!({"input": {"request": {"http": {"method": "GET", "path": "/a/x", "headers": {}}}}});
    let answer = scene.send("POST", "/v1/data/regate/kong", &[], &kong.to_string()).json();
    assert_eq!((&answer["result"]["allow"], &answer["result"]["status"]), (&json!(false), &json!(429)));
    assert_told(|name| Some(answer["result"]["headers"][name].as_str()?.to_owned()));
}

#[test]
fn evaluations_are_counted_too() {
    let scene = Scene::new("");
    let evaluation = json!({
        "subject": {"type": "user", "id": "u1"}, "action": {"name": "read"}, "resource": {"type": "project", "id": "p1"},
    });
    let ask = || {
        let json = [("content-type", "application/json")];
        scene.send("POST", "/access/v1/evaluation", &json, &evaluation.to_string()).json()["decision"].clone()
    };
    assert_eq!((ask(), ask()), (json!(true), json!(false)));
}

/// systems.md E2, E6, with the shipped bundle.
#[test]
fn agents_of_one_user_share_a_window_and_two_users_never_do() {
    let folder = tempfile::tempdir().unwrap();
    let token = |id: &str, user: &str| {
        let sha256 = regate::auth::hash(id).to_string();
        json!({"id": id, "kind": "mcp", "name": id, "user_id": user, "sha256": sha256})
    };
    let mut revoked = token("a3", "alice");
    revoked["revoked_at"] = "2020-01-01T00:00:00Z".into();
    let document = json!({
        "users": [{"id": "alice"}, {"id": "bob"}],
        "tokens": [token("a1", "alice"), token("a2", "alice"), revoked, token("b1", "bob")],
    });
    let database = ["--database-url", "sqlite://data.sqlite"];
    let imported = run(folder.path(), &[&["import", "-"], &database[..]].concat(), &document.to_string());
    assert!(imported.status.success(), "{}", stderr(&imported));
    let serving = Serving::start(folder.path(), &database);
    let ask = |token: &str, path: &str| {
        decide(&serving.address, &json!({"token": token, "request": {"method": "POST", "path": path}}))
    };
    for call in 0..30 {
        assert_eq!(ask(if call % 2 == 0 { "a1" } else { "a2" }, "/mcp")["allow"], true);
    }
    for token in ["a1", "a2"] {
        let limited = ask(token, "/mcp");
        assert_eq!((&limited["status"], &limited["reason"]), (&json!(429), &json!("rate_limit.exceeded")));
        assert_eq!(limited["rate_limit"]["name"], "mcp.other");
    }
    assert_eq!(ask("b1", "/mcp")["allow"], true);
    // The credential comes before the limit, and the limit before what else is wrong.
    assert_eq!(ask("a3", "/mcp")["reason"], "token.revoked");
    for _ in 0..5 {
        assert_eq!(ask("a1", "/api/v1/mcp/projects/p9/trigger")["status"], 403);
    }
    assert_eq!(ask("a1", "/api/v1/mcp/projects/p9/trigger")["status"], 429);
}
