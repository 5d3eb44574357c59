//! Each face's decisions are in the log, with who, what and why, and without a secret: the real binary.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    http::{Answer, send},
    program::{Serving, run, stderr},
};

/// What must stand in no record.
const SECRET: &str = "never-in-the-log";

struct Scene {
    _folder: TempDir,
    serving: Serving,
}

const ARGUMENTS: [&str; 4] = ["--config", "regate.toml", "--database-url", "sqlite://data.sqlite"];

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("regate.toml"),
            "[opa]\napisix_headers = [\"authorization\", \"x-regate-gateway-token\"]\n",
        )
        .unwrap();
        let token = |id: &str, kind: &str, user: Option<&str>| {
            let sha256 = regate::auth::hash(&secret(id)).to_string();
            json!({"id": id, "kind": kind, "name": id, "user_id": user, "sha256": sha256, "scope_pull": true})
        };
        let document = json!({
            "users": [{"id": "u1"}, {"id": "root", "role": "admin"}],
            "projects": [{"id": "p1", "name": "one"}],
            "collaborators": [{"project_id": "p1", "user_id": "u1", "role": "developer"}],
            "tokens": [
                token("reader", "global", Some("u1")), token("agent", "mcp", Some("u1")),
                token("admin", "admin", Some("root")), token("edge", "gateway", None),
            ],
            "upstreams": [{"id": "open", "url": "https://open.example/", "allow_all": true, "credential": "none"}],
        });
        let imported =
            run(folder.path(), &[&["import", "-"], &ARGUMENTS[..]].concat(), &document.to_string());
        assert!(imported.status.success(), "{}", stderr(&imported));
        let serving = Serving::start(folder.path(), &ARGUMENTS);
        Self { _folder: folder, serving }
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let gateway = secret("edge");
        let mut all = vec![("x-regate-gateway-token", gateway.as_str())];
        all.extend(headers);
        send(&self.serving.address, method, path, &all, body.as_bytes())
    }

    /// Asks `/v1/decide` as the gateway; gives the decision's id.
    fn decide(&self, question: &Value) -> String {
        let gateway = format!("Bearer {}", secret("edge"));
        let headers = [("authorization", gateway.as_str())];
        let answer =
            send(&self.serving.address, "POST", "/v1/decide", &headers, question.to_string().as_bytes());
        assert_eq!(answer.status, 200);
        answer.json()["decision_id"].as_str().unwrap().to_owned()
    }

    fn manage(&self, path: &str) -> Answer {
        self.post_as_admin("GET", path, "")
    }

    fn post_as_admin(&self, method: &str, path: &str, body: &str) -> Answer {
        let admin = format!("Bearer {}", secret("admin"));
        send(&self.serving.address, method, path, &[("authorization", &admin)], body.as_bytes())
    }

    /// The record of a decision, when it has been shipped.
    fn record(&self, id: &str) -> Value {
        let begun = std::time::Instant::now();
        loop {
            let answer = self.manage(&format!("/v1/decisions/{id}"));
            if answer.status == 200 {
                return answer.json()["record"].clone();
            }
            assert_eq!(answer.status, 404);
            assert!(begun.elapsed().as_secs() < 60, "{id} is not in the log: {}", self.serving.log());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// The newest record of this face, when it has been shipped.
    fn newest(&self, face: &str) -> Value {
        let begun = std::time::Instant::now();
        loop {
            let page = self.manage("/v1/decisions?limit=1000").json();
            let decisions = page["decisions"].as_array().unwrap();
            if let Some(found) = decisions.iter().find(|one| one["record"]["face"] == face) {
                return found["record"].clone();
            }
            assert!(begun.elapsed().as_secs() < 60, "nothing of {face} is in the log: {page}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// The secret of a token.
fn secret(id: &str) -> String {
    format!("{SECRET}-{id}")
}

fn ask(token: &str, path: &str) -> Value {
    json!({"token": secret(token), "request": {"method": "GET", "path": path}})
}

#[test]
fn a_record_says_who_asked_what_when_by_which_rule_and_no_secret() {
    let scene = Scene::new();
    let mut question = ask("reader", &format!("/api/v1/projects/p1/builds?limit=5&access_token={SECRET}"));
    question["request"]["headers"] = json!({
        "x-api-key": SECRET, "x-http-method-override": "DELETE", "user-agent": SECRET,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    });
    question["request"]["host"] = "api.example".into();
    question["request"]["source_ip"] = "192.0.2.7".into();
    question["upstream"] = "open".into();
    question["context"] = json!({"note": SECRET});
    let id = scene.decide(&question);
    let record = scene.record(&id);
    assert_eq!(record["face"], "/v1/decide");
    assert_eq!(record["gateway"], json!({"id": "edge", "tenant": "default"}));
    assert_eq!(record["project"], "p1");
    assert_eq!(record["tenant"], "default");
    assert_eq!(record["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(
        record["question"],
        json!({
            "request": {
                "method": "GET", "path": "/api/v1/projects/p1/builds?limit=5&access_token=[masked]",
                "host": "api.example", "source_ip": "192.0.2.7", "headers": {"x-http-method-override": "DELETE"},
            },
            "upstream": "open",
        })
    );
    let decision = &record["decision"];
    assert_eq!(decision["decision_id"], id.as_str());
    assert_eq!((&decision["allow"], &decision["status"]), (&json!(false), &json!(403)));
    assert_eq!(decision["reason"], "global_token.write_needs_scope_push");
    assert_eq!(
        decision["subject"],
        json!({"kind": "global", "token_id": "reader", "user_id": "u1", "tenant": "default"})
    );
    assert!(
        decision["policy_revision"].as_str().unwrap().len() == 64
            && decision["data_revision"].as_u64() > Some(0)
    );
    assert_eq!(record["masked"], json!(["request.query.access_token"]));
    assert_eq!(record["left_out"], json!(["request.headers", "context"]));
    assert!(!record.to_string().contains(SECRET), "{record}");
    assert!(record["latency_micros"].as_u64().is_some());
}

#[test]
fn what_is_refused_before_the_rules_is_recorded_as_well() {
    let scene = Scene::new();
    for (question, reason) in [
        (ask("nobody", "/api/v1/projects/p1"), "token.unknown"),
        (ask("reader", "/a//b"), "request.ambiguous_path"),
        (json!({"request": {"method": "GET", "path": "/api/v1/projects/p1"}}), "token.missing"),
        (json!({"request": {"method": "GET", "path": "/health"}}), "request.public_path"),
    ] {
        let record = scene.record(&scene.decide(&question));
        assert_eq!(record["decision"]["reason"], reason);
        assert_eq!(record["question"]["request"]["path"], question["request"]["path"]);
        assert!(!record.to_string().contains(SECRET), "{record}");
    }
}

#[test]
fn a_credential_in_the_place_of_a_subject_is_masked_wherever_it_stands() {
    let scene = Scene::new();
    let leaked = "Bearer hunter2";
    let evaluation = json!({
        "subject": {"type": "user", "id": leaked}, "action": {"name": "read"}, "resource": {"type": "project", "id": "p1"},
    });
    let gateway = format!("Bearer {}", secret("edge"));
    let headers = [("authorization", gateway.as_str()), ("content-type", "application/json")];
    let body = evaluation.to_string();
    let answer = send(&scene.serving.address, "POST", "/access/v1/evaluation", &headers, body.as_bytes());
    assert_eq!(answer.json()["decision"], false);
    let record = scene.newest("/access/v1/evaluation");
    assert_eq!(record["evaluation"]["subject"]["id"], "[masked]");
    assert_eq!(record["decision"]["subject"]["user_id"], "[masked]");
    assert_eq!(record["masked"], json!(["subject"]));
    assert!(!record.to_string().contains("hunter2"), "{record}");
}

#[test]
fn nobody_chooses_how_much_room_a_record_takes() {
    let scene = Scene::new();
    let mut question = json!({"request": {"method": "POST", "path": "/mcp"}});
    question["mcp"] =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x".repeat(500_000)}});
    let record = scene.record(&scene.decide(&question));
    assert_eq!(record["decision"]["reason"], "token.missing");
    assert_eq!(record["question"]["mcp"]["params"]["name"].as_str().unwrap().len(), 2_048);
    assert_eq!(record["left_out"], json!(["mcp.params.name"]));
}

#[test]
fn mcp_messages_are_recorded_with_their_tools_and_limits() {
    let scene = Scene::new();
    let mut question = ask("agent", "/mcp");
    question["request"]["method"] = "POST".into();
    let call = |tool: &str| json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {"q": SECRET}}});
    question["mcp"] = json!([call("search"), call("fetch")]);
    let record = scene.record(&scene.decide(&question));
    assert_eq!(
        record["question"]["mcp"],
        json!([
            {"method": "tools/call", "params": {"name": "search"}}, {"method": "tools/call", "params": {"name": "fetch"}},
        ])
    );
    assert_eq!(record["left_out"], json!(["mcp.params"]));
    let limit = &record["decision"]["rate_limits"][0];
    assert_eq!((&limit["limit"], &limit["remaining"]), (&json!(30), &json!(28)), "{record}");
    assert!(!record.to_string().contains(SECRET), "{record}");
}

#[test]
fn every_face_is_recorded() {
    let scene = Scene::new();
    let bearer = format!("Bearer {}", secret("reader"));
    let path = "/api/v1/projects/p1/builds";
    let forwarded = [
        ("x-forwarded-method", "GET"),
        ("x-forwarded-uri", path),
        ("x-forwarded-host", "api.example"),
        ("x-forwarded-for", "192.0.2.7"),
        ("authorization", &bearer),
    ];
    let original = [
        ("x-original-method", "GET"),
        ("x-original-uri", path),
        ("x-original-host", "api.example"),
        ("x-original-for", "192.0.2.7"),
        ("authorization", &bearer),
    ];
    assert_eq!(scene.send("GET", "/v1/forward-auth?upstream=-", &forwarded, "").status, 200);
    assert_eq!(scene.send("GET", "/v1/forward-auth/nginx?upstream=-", &original, "").status, 200);
    let checked = [("x-regate-upstream", "-"), ("authorization", bearer.as_str())];
    assert_eq!(scene.send("GET", &format!("/v1/ext-authz{path}"), &checked, "").status, 200);
    let headers = json!({"authorization": bearer, "x-regate-gateway-token": secret("edge")});
    let apisix = json!({"input": {"type": "http", "request": {"method": "GET", "path": path, "headers": headers}, "var": {"remote_addr": "192.0.2.7"}}});
    let kong = json!({"input": {"request": {"http": {"method": "GET", "path": path, "headers": headers}}, "client_ip": "192.0.2.7"}});
    for (plugin, body) in [("apisix", apisix), ("kong", kong)] {
        let answer = send(
            &scene.serving.address,
            "POST",
            &format!("/v1/data/regate/{plugin}"),
            &[],
            body.to_string().as_bytes(),
        );
        assert_eq!(answer.status, 200);
    }
    let batch = json!({"requests": [ask("reader", path)]}).to_string();
    let gateway = format!("Bearer {}", secret("edge"));
    send(
        &scene.serving.address,
        "POST",
        "/v1/decide/batch",
        &[("authorization", &gateway)],
        batch.as_bytes(),
    );
    let evaluation = json!({
        "subject": {"type": "user", "id": "u1"}, "action": {"name": "read"}, "resource": {"type": "project", "id": "p1"},
    });
    let json_as_gateway = [("authorization", gateway.as_str()), ("content-type", "application/json")];
    let answer = send(
        &scene.serving.address,
        "POST",
        "/access/v1/evaluation",
        &json_as_gateway,
        evaluation.to_string().as_bytes(),
    );
    assert_eq!(answer.json()["decision"], true);
    for face in [
        "/v1/forward-auth",
        "/v1/forward-auth/nginx",
        "/v1/ext-authz",
        "/v1/data/regate/apisix",
        "/v1/data/regate/kong",
        "/v1/decide/batch",
    ] {
        let record = scene.newest(face);
        assert_eq!(record["decision"]["reason"], "global_token.read", "{face}: {record}");
        assert_eq!(record["question"]["request"]["path"], path, "{face}");
        assert_eq!(record["gateway"]["id"], "edge", "{face}: {record}");
        assert_eq!(record["decision"]["subject"]["user_id"], "u1", "{face}");
        assert!(!record.to_string().contains(SECRET), "{face}: {record}");
    }
    let record = scene.newest("/access/v1/evaluation");
    assert_eq!(record["evaluation"]["subject"], json!({"type": "user", "id": "u1"}));
    assert_eq!((&record["evaluation"]["action"]["name"], &record["project"]), (&json!("read"), &json!("p1")));
    assert_eq!(record["decision"]["reason"], "authzen.project_read");
    let record = scene.newest("management");
    assert_eq!(
        (&record["operation"], &record["decision"]["subject"]["token_id"]),
        (&json!("decisions.list"), &json!("admin"))
    );
    assert!(!record.to_string().contains(SECRET), "{record}");
}

#[test]
fn the_log_is_listed_by_what_is_asked_for_and_a_decision_explained() {
    let scene = Scene::new();
    let read = scene.decide(&ask("reader", "/api/v1/projects/p1/builds"));
    let denied = scene.decide(&ask("reader", "/api/v1/projects/p2"));
    let unknown = scene.decide(&ask("nobody", "/api/v1/projects/p1"));
    for id in [&read, &denied, &unknown] {
        scene.record(id);
    }
    let ids = |query: &str| -> Vec<String> {
        let page = scene.manage(&format!("/v1/decisions?{query}")).json();
        let decisions = page["decisions"].as_array().unwrap_or_else(|| panic!("{query}: {page}"));
        let id = |one: &Value| one["record"]["decision"]["decision_id"].as_str().unwrap().to_owned();
        decisions.iter().map(id).collect()
    };
    assert_eq!(ids("token_id=reader"), [denied.clone(), read.clone()]);
    assert_eq!(ids("token_id=reader&allow=true"), [read.as_str()]);
    assert_eq!(ids("user_id=u1&project_id=p2"), [denied.as_str()]);
    assert_eq!(ids("reason=token.unknown"), [unknown.as_str()]);
    assert_eq!(ids("token_id=reader&until=2020-01-01T00:00:00Z"), [""; 0]);
    assert_eq!(ids("token_id=reader&from=2020-01-01T00:00:00Z"), [denied.clone(), read.clone()]);
    let first = scene.manage("/v1/decisions?token_id=reader&limit=1").json();
    let next = first["next"].as_str().unwrap();
    assert_eq!(ids(&format!("token_id=reader&limit=1&after={next}")), [read.as_str()]);
    for wrong in ["after=x", "limit=0", "from=yesterday", "tokenid=reader"] {
        assert_eq!(scene.manage(&format!("/v1/decisions?{wrong}")).status, 400, "{wrong}");
    }
    assert_eq!(scene.manage("/v1/decisions/x").status, 404);
    let nobodys = format!("Bearer {}", secret("reader"));
    let answer = send(&scene.serving.address, "GET", "/v1/decisions", &[("authorization", &nobodys)], b"");
    assert_eq!(answer.status, 403);

    let explain =
        |id: &str| scene.post_as_admin("POST", "/v1/explain", &json!({"decision_id": id}).to_string());
    let answer = explain(&denied).json();
    assert_eq!(
        (&answer["reason"], &answer["decision_id"]),
        (&json!("global_token.not_a_collaborator"), &json!(denied))
    );
    assert_eq!(answer["recorded"]["decision"]["decision_id"], denied.as_str());
    assert!(answer["explanation"]["why"].is_object(), "{answer}");
    let answer = explain(&unknown);
    assert_eq!(answer.status, 400, "whose credential it was is not known");
    assert_eq!(explain("01a1fd2c-7d3c-7e0f-a6a7-0f0f4ff1d0c1").status, 404);
}
