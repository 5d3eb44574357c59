//! Each row of groups A, B, D and E of the real systems that regate must be able to stand in for, through HTTP; those of
//! B are in `upstream_rows`. Group C is what reaches upstreams: see `brokering`.
//!
//! Rows that rest on parts that are not there yet are named at the end of the list, so that the list is whole.

use std::{collections::BTreeSet, thread};

use regate::{
    auth,
    types::{Clock, SystemClock, Timestamp},
};
use serde_json::{Value, json};

use super::{
    on_both_databases,
    scene::{Scene, code, session_of},
    upstream_rows,
};
use crate::harness::{
    http::{decide, send},
    postgres::Postgres,
    program::{Serving, run, stderr},
};

on_both_databases![every_row];

/// A row, and what holds if it does.
pub type Row = (&'static str, fn(&Scene));

const ROWS: &[Row] = &[
    ("A1: every call on /mcp needs a bearer key; the scheme's case does not matter", a1),
    ("A2: thousands of interleaved decisions never mix two callers", a2),
    ("A3: revoking is visible to the very next decision", a3),
    ("A4: the operator's credential does not widen, an empty one opens nothing", a4),
    ("A5: the health path is answered before any credential is looked at", a5),
    ("A6: lists and errors hold no key, and errors do not tell unknown from revoked", a6),
    ("A7: a malformed header is a 401, never a 500", a7),
    ("A8: when the store cannot be asked, the answer is 503 and not 401", a8),
    ("A9: existing keys of any format are imported by their SHA-256", a9),
    ("D1: minting shows the token once; the token never embeds the tenant", d1),
    ("D2: listing shows metadata and a prefix; revocation is soft; somebody else's id is 404", d2),
    ("D3: the tenant comes from the credential alone and is part of the answer", d3),
    ("D4: managing tokens needs a session or an admin token of the same tenant", d4),
    ("D5: last_used_at is written behind the answer", d5),
    ("D6: tokens can carry an expiry and a list of tools", d6),
    ("D7: tenant ids are validated when made", d7),
    ("E1: MCP tokens below /api/v1/mcp/ and /mcp/ only, off token management", e1),
    ("E2: the first check that fails is the answer", e2),
    ("E3: a token's project list: absent, empty, expired", e3),
    ("E4: the token's user must be a collaborator at the moment of asking", e4),
    ("E5: triggering needs allow_trigger, granted by a call of its own", e5),
    ("E8: a name of 1 to 128, at most 20 live tokens, 1 to 365 days", e8),
    ("E9: global tokens read as collaborators, write with scope_push, never administer", e9),
    ("E11: the team's own rules see their own documents", e11),
];

/// What these rows ask for comes with the rate limits and the record of decisions.
const NOT_YET: [&str; 3] = ["E6", "E7", "E10"];

fn every_row(scene: Scene) {
    let rows = || ROWS.iter().chain(upstream_rows::ROWS);
    for (row, holds) in rows() {
        // Shown when a row fails.
        println!("{row}");
        holds(&scene);
    }
    let named = rows().map(|(row, _)| row.split(':').next().unwrap());
    let named: BTreeSet<&str> = named.chain(NOT_YET).collect();
    let all = (1..=9)
        .map(|n| format!("A{n}"))
        .chain((1..=15).map(|n| format!("B{n}")))
        .chain((1..=7).map(|n| format!("D{n}")));
    let all: BTreeSet<String> = all.chain((1..=11).map(|n| format!("E{n}"))).collect();
    assert_eq!(named, all.iter().map(String::as_str).collect());
}

/// What a gateway is told about a request with this header.
fn with_header(scene: &Scene, path: &str, authorization: Value) -> Value {
    let headers = json!({"authorization": authorization});
    decide(&scene.serving.address, &json!({"request": {"method": "POST", "path": path, "headers": headers}}))
}

fn agent(scene: &Scene, user: &str) -> (String, String) {
    scene.mint(&json!({"kind": "mcp", "name": "agent", "user_id": user}))
}

fn a1(scene: &Scene) {
    let (_, key) = agent(scene, "u3");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(with_header(scene, "/mcp", json!(format!("{scheme} {key}")))["allow"], true);
    }
    let without = decide(&scene.serving.address, &json!({"request": {"method": "POST", "path": "/mcp"}}));
    assert_eq!((&without["allow"], &without["status"]), (&json!(false), &json!(401)));
    for header in ["", "Bearer", "Bearer ", &format!("Basic {key}"), &key] {
        let told = with_header(scene, "/mcp", json!(header));
        assert_eq!((&told["allow"], &told["status"]), (&json!(false), &json!(401)), "{}", header.len());
    }
}

fn a2(scene: &Scene) {
    let callers: Vec<(String, String)> = ["u1", "u2", "u3", "u4"].map(|user| agent(scene, user)).into();
    thread::scope(|threads| {
        for turn in 0..4 {
            let callers = &callers;
            threads.spawn(move || {
                for round in 0..250 {
                    let (id, key) = &callers[(turn + round) % callers.len()];
                    let subject = &scene.decision(key, "GET", "/mcp")["subject"];
                    assert_eq!(subject["token_id"], json!(id));
                }
            });
        }
    });
}

fn a3(scene: &Scene) {
    for _ in 0..20 {
        let (id, key) = agent(scene, "u3");
        assert!(scene.decide(&key, "POST", "/mcp").0);
        scene.expect(200, &scene.admin, "DELETE", &format!("/v1/tokens/{id}"), None);
        assert_eq!(scene.decide(&key, "POST", "/mcp"), (false, "token.revoked".into()));
    }
}

fn a4(scene: &Scene) {
    let (_, key) = scene.mint(&json!({"kind": "admin", "name": "operator", "user_id": "u3"}));
    assert!(scene.decide(&key, "GET", "/api/v1/projects/p1").0);
    assert!(!scene.decide(&key, "GET", "/api/v1/projects/p2").0);
    assert!(!scene.decide(&key, "GET", "/api/v1/admin/users").0);
    assert!(!scene.decide(&scene.admin, "GET", "/api/v1/projects/p1").0);
    for header in ["Bearer", "Bearer ", "Bearer  "] {
        assert_eq!(with_header(scene, "/api/v1/projects/open", json!(header))["status"], 401);
        let headers = [("authorization", header)];
        assert_eq!(send(&scene.serving.address, "GET", "/v1/tokens", &headers, b"").status, 401);
    }
}

fn a5(scene: &Scene) {
    for header in ["", "garbage", "Bearer rgt_global_broken", "Bearer \u{1}"] {
        let headers = [("authorization", header)];
        let answer = send(&scene.serving.address, "GET", "/health", &headers, b"");
        assert!(answer.status == 200 || header.contains('\u{1}'), "{}", answer.status);
    }
    assert_eq!(scene.decide("garbage", "GET", "/health"), (true, "request.public_path".into()));
}

fn a6(scene: &Scene) {
    let (id, key) = agent(scene, "u3");
    scene.expect(200, &scene.admin, "DELETE", &format!("/v1/tokens/{id}"), None);
    let told = |key: &str| scene.decision(key, "POST", "/mcp");
    let (revoked, unknown) = (told(&key), told("ci_unknown_key"));
    assert_eq!((&revoked["reason"], &unknown["reason"]), (&json!("token.revoked"), &json!("token.unknown")));
    for field in ["message", "challenge", "status"] {
        assert_eq!(revoked[field], unknown[field], "{field}");
    }
    let as_operator = |key: &str| scene.expect(401, key, "GET", "/v1/tokens", None);
    assert_eq!(as_operator(&key), as_operator("ci_unknown_key"));
    let listed = scene.expect(200, &scene.admin, "GET", "/v1/tokens?limit=1000", None).to_string();
    let secret = &key["rgt_mcp_".len() + 4..];
    for text in [listed, revoked.to_string(), scene.serving.log()] {
        assert!(!text.contains(secret) && !text.contains(&auth::hash(&key).to_string()));
    }
}

fn a7(scene: &Scene) {
    for header in
        [&b"Bearer \xff\xfe"[..], b"Bearer a b", b"\"", b"Bearer ,", b"Digest x=\"1\"", b"Bearer a,Bearer b"]
    {
        let message =
            [b"GET /v1/tokens HTTP/1.1\r\nhost: x\r\nauthorization: ", header, b"\r\n\r\n"].concat();
        assert_eq!(crate::harness::http::raw(&scene.serving.address, &message).status, 401);
    }
    for header in ["Bearer a b", "\"", "Bearer ,", "Digest x=\"1\"", "Bearer a,Bearer b"] {
        let told = with_header(scene, "/mcp", json!(header));
        assert_eq!((&told["status"], &told["reason"]), (&json!(401), &json!("token.malformed")));
    }
    assert_eq!(with_header(scene, "/mcp", json!(["Bearer a", "Bearer b"]))["status"], 400);
}

/// What becomes of decisions when Postgres is away for longer than the bound, in full: `faults`.
fn a8(scene: &Scene) {
    let folder = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start();
    let url = postgres.url("postgres");
    let arguments = ["--database-url", url.as_str(), "--max-staleness", "1s"];
    let serving = Serving::start(folder.path(), &arguments);
    postgres.kill();
    let key = &scene.admin;
    let authorization = format!("Bearer {key}");
    let headers = [("authorization", authorization.as_str())];
    scene.until(|| {
        let told =
            decide(&serving.address, &json!({"token": key, "request": {"method": "GET", "path": "/mcp"}}));
        (told["status"] == 503 && told["reason"] == "data.stale").then_some(())
    });
    let answer = send(&serving.address, "GET", "/v1/tokens", &headers, b"");
    assert_eq!((answer.status, code(&answer.json())), (503, "data.stale"));
}

fn a9(scene: &Scene) {
    let keys = [("ci_", 43), ("ib_mcp_", 48), ("mcpt_", 43)].map(|(prefix, length)| {
        let letters = "0123456789abcdef".chars().cycle().take(length);
        format!("{prefix}{}", letters.collect::<String>())
    });
    let rows: Vec<Value> = keys
        .iter()
        .map(|key| json!({"id": key[..5], "kind": "mcp", "name": "old", "user_id": "u3", "sha256": auth::hash(key).to_string()}))
        .collect();
    let taken = scene.expect(200, &scene.admin, "POST", "/v1/import", Some(&json!({"tokens": rows})));
    let tokens = taken["tables"].as_array().unwrap().iter().find(|table| table["table"] == "tokens").unwrap();
    assert_eq!(
        (&tokens["taken"], &tokens["renewed"], &tokens["unchanged"]),
        (&json!(3), &json!(0), &json!(0))
    );
    for key in &keys {
        assert!(scene.decide(key, "POST", "/mcp").0);
    }
    assert!(scene.decide("ib_mcp_test", "POST", "/mcp").0);
    let again = scene.expect(200, &scene.admin, "POST", "/v1/import", Some(&json!({"tokens": rows})));
    assert_eq!(again["revision"], taken["revision"]);
    let mut renewed = rows.clone();
    renewed[0]["name"] = json!("renamed");
    renewed
        .push(json!({"id": "twice", "kind": "mcp", "name": "x", "sha256": auth::hash(&keys[0]).to_string()}));
    let refused = scene.expect(400, &scene.admin, "POST", "/v1/import", Some(&json!({"tokens": renewed})));
    assert_eq!(code(&refused), "import.refused");
    let place = refused["problems"][0]["place"].as_str().unwrap();
    assert!(place.starts_with("tokens["), "{refused}");
    assert!(!refused.to_string().contains(&auth::hash(&keys[0]).to_string()));
    renewed.pop();
    let taken = scene.expect(200, &scene.admin, "POST", "/v1/import", Some(&json!({"tokens": renewed})));
    let tokens = taken["tables"].as_array().unwrap().iter().find(|table| table["table"] == "tokens").unwrap();
    assert_eq!(
        (&tokens["taken"], &tokens["renewed"], &tokens["unchanged"]),
        (&json!(0), &json!(1), &json!(2))
    );
}

fn d1(scene: &Scene) {
    let (id, key) = agent(scene, "u4");
    let (_, other) = agent(scene, "u4");
    assert!(key != other && key.starts_with("rgt_mcp_") && key.len() == "rgt_mcp_".len() + 49);
    // What is short stands in a random text by chance, but not in two of them at the same place.
    let embedded = |text: &str| key.match_indices(text).any(|(at, _)| other[at..].starts_with(text));
    assert!(!key.contains("default") && !embedded("u4"));
    let shown = scene.expect(200, &scene.admin, "GET", &format!("/v1/tokens/{id}"), None);
    assert!(shown.get("token").is_none() && shown.get("sha256").is_none(), "it is shown once");
    // The database's own file has the hash, and not the token.
    if let Some(file) = scene.url.strip_prefix("sqlite://") {
        let mut bytes = std::fs::read(scene.folder.path().join(file)).unwrap();
        bytes.extend(std::fs::read(scene.folder.path().join(format!("{file}-wal"))).unwrap_or_default());
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds(&auth::hash(&key).to_string()));
        assert!(!holds(&key) && !holds(&key[12..]));
    }
}

fn d2(scene: &Scene) {
    let me = scene.session("u4");
    let (id, key) = scene.mint_as(&me, &json!({"kind": "mcp", "name": "mine"}));
    let listed = scene.expect(200, &me, "GET", "/v1/tokens", None);
    let row = listed["tokens"].as_array().unwrap().iter().find(|row| row["id"] == json!(id)).unwrap();
    assert_eq!(
        (&row["prefix"], &row["state"], &row["user_id"]),
        (&json!(key[..12]), &json!("live"), &json!("u4"))
    );
    assert!(row.get("sha256").is_none() && !listed.to_string().contains(&key[12..]));
    let path = format!("/v1/tokens/{id}");
    let first = scene.expect(200, &me, "DELETE", &path, None);
    assert_eq!((&first["state"], &first["changed"]), (&json!("revoked"), &json!(true)));
    let second = scene.expect(200, &me, "DELETE", &path, None);
    assert_eq!((&second["revoked_at"], &second["changed"]), (&first["revoked_at"], &json!(false)));
    assert_eq!(second["revision"], first["revision"]);
    // Somebody else's, another tenant's, and nobody's: one answer.
    let (others, _) = agent(scene, "u1");
    let (acmes, _) = scene.mint_as(&scene.acme_admin, &json!({"kind": "mcp", "name": "acme's"}));
    let unknown = scene.expect(404, &me, "DELETE", "/v1/tokens/nothing", None);
    for id in [&others, &acmes] {
        assert_eq!(scene.expect(404, &me, "DELETE", &format!("/v1/tokens/{id}"), None), unknown);
        assert_eq!(scene.expect(404, &me, "GET", &format!("/v1/tokens/{id}"), None), unknown);
    }
    assert_eq!(scene.expect(404, &scene.admin, "DELETE", &format!("/v1/tokens/{acmes}"), None), unknown);
    assert_eq!(code(&unknown), "resource.not_found");
}

fn d3(scene: &Scene) {
    let (_, ours) = scene.mint(&json!({"kind": "global", "name": "x", "user_id": "u1"}));
    let (_, theirs) =
        scene.mint_as(&scene.acme_admin, &json!({"kind": "global", "name": "x", "user_id": "u1"}));
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..100 {
                    for (key, tenant, sees, not) in
                        [(&ours, "default", "p1", "p9"), (&theirs, "acme", "p9", "p1")]
                    {
                        let told = scene.decision(key, "GET", &format!("/api/v1/projects/{sees}?tenant=x"));
                        assert_eq!(
                            (&told["allow"], &told["subject"]["tenant"]),
                            (&json!(true), &json!(tenant))
                        );
                        assert!(!scene.decide(key, "GET", &format!("/api/v1/projects/{not}")).0);
                    }
                }
            });
        }
    });
    // Nothing that is sent along names it.
    let headers = json!({"x-tenant": "acme", "x-regate-tenant": "acme"});
    let question = json!({"token": ours, "context": {"tenant": "acme"},
        "request": {"method": "GET", "path": "/api/v1/projects/p9", "headers": headers}});
    assert_eq!(decide(&scene.serving.address, &question)["allow"], false);
    for body in [
        json!({"kind": "mcp", "name": "x", "tenant": "acme"}),
        json!({"kind": "gateway", "name": "x", "tenant": null}),
    ] {
        scene.expect(400, &scene.admin, "POST", "/v1/tokens", Some(&body));
    }
    scene.expect(400, &scene.admin, "GET", "/v1/tokens?tenant=acme", None);
}

fn d4(scene: &Scene) {
    let project =
        json!({"kind": "project", "name": "x", "project_id": "p1", "scope_pull": true, "scope_push": true});
    let kinds = [
        json!({"kind": "mcp", "name": "x", "user_id": "root"}),
        json!({"kind": "global", "name": "x", "user_id": "root", "scope_push": true}),
        json!({"kind": "gateway", "name": "x"}),
        project,
    ];
    for body in kinds {
        let (id, key) = scene.mint(&body);
        let path = format!("/v1/tokens/{id}");
        let trigger = format!("{path}/trigger");
        let calls = [
            ("POST", "/v1/tokens"),
            ("GET", "/v1/tokens"),
            ("GET", &path),
            ("PATCH", &path),
            ("DELETE", &path),
            ("PUT", &trigger),
            ("DELETE", &trigger),
            ("POST", "/v1/import"),
            ("GET", "/v1/users"),
        ];
        for (method, path) in calls {
            let denied = scene.expect(403, &key, method, path, Some(&json!({"kind": "mcp", "name": "x"})));
            assert_eq!(denied["reason"], "management.token_kind", "{method} {path}");
        }
    }
    scene.expect(200, &scene.session("u3"), "GET", "/v1/tokens", None);
    scene.expect(200, &scene.admin, "GET", "/v1/tokens", None);
    // Of the same tenant.
    let (id, _) = agent(scene, "u3");
    scene.expect(404, &scene.acme_admin, "DELETE", &format!("/v1/tokens/{id}"), None);
    scene.expect(404, &session_of("root", "acme"), "DELETE", &format!("/v1/tokens/{id}"), None);
}

fn d5(scene: &Scene) {
    let (id, key) = agent(scene, "u4");
    let path = format!("/v1/tokens/{id}");
    let shown = scene.expect(200, &scene.admin, "GET", &path, None);
    assert_eq!(shown["last_used_at"], Value::Null);
    scene.decide(&key, "POST", "/mcp");
    let used = scene.until(|| {
        let shown = scene.expect(200, &scene.admin, "GET", &path, None);
        (!shown["last_used_at"].is_null()).then_some(shown)
    });
    // It is no change of what decides.
    assert_eq!(used["revision"], shown["revision"]);
}

fn d6(scene: &Scene) {
    let body =
        json!({"kind": "mcp", "name": "x", "user_id": "u3", "tools": ["search"], "expires_in_days": 7});
    let (id, key) = scene.mint(&body);
    let shown = scene.expect(200, &scene.admin, "GET", &format!("/v1/tokens/{id}"), None);
    assert_eq!(shown["tools"], json!(["search"]));
    assert!(shown["expires_at"].is_string());
    let tool = |key: &str, name: &str| {
        let mcp = json!({"method": "tools/call", "params": {"name": name, "arguments": {}}});
        let question = json!({"token": key, "mcp": mcp, "request": {"method": "POST", "path": "/mcp"}});
        let told = decide(&scene.serving.address, &question);
        (told["allow"] == true, told["reason"].as_str().unwrap().to_owned())
    };
    assert!(tool(&key, "search").0);
    assert_eq!(tool(&key, "delete"), (false, "token.tool_not_listed".into()));
    // What is called cannot be seen.
    assert_eq!(scene.decide(&key, "POST", "/mcp"), (false, "token.tool_not_listed".into()));
    let (_, unlimited) = agent(scene, "u3");
    assert!(tool(&unlimited, "delete").0);
}

fn d7(scene: &Scene) {
    let long = "x".repeat(64);
    for id in ["", "_acme", "-acme", "Acme", "a b", "a/b", "ä", &long] {
        let folder = &scene.folder;
        std::fs::write(folder.path().join("tenant.json"), json!({"tenants": [{"id": id}]}).to_string())
            .unwrap();
        let refused = run(folder.path(), &["import", "tenant.json", "--database-url", &scene.url], "");
        assert!(!refused.status.success(), "{id}");
        assert!(stderr(&refused).contains("tenants[0]"), "{}", stderr(&refused));
        scene.expect(400, &scene.admin, "POST", "/v1/import", Some(&json!({"tenants": [{"id": id}]})));
    }
}

fn e1(scene: &Scene) {
    let (_, key) = agent(scene, "u3");
    for path in ["/mcp", "/mcp/github", "/api/v1/mcp/projects/p1/builds"] {
        assert!(scene.decide(&key, "GET", path).0, "{path}");
    }
    for path in ["/api/v1/projects/p1", "/api/v1/projects/open", "/", "/mcpx", "/v1/tokens"] {
        assert_eq!(scene.decide(&key, "GET", path), (false, "mcp_token.outside_mcp".into()), "{path}");
    }
    assert_eq!(scene.decide(&key, "GET", "/api/v1/mcp/tokens"), (false, "mcp_token.token_management".into()));
}

fn e2(scene: &Scene) {
    let (id, key) = scene.mint(&json!({"kind": "mcp", "name": "x", "user_id": "u3", "projects": []}));
    let trigger = "/api/v1/mcp/projects/p1/trigger";
    // The project comes before the trigger right, and the credential before both.
    assert_eq!(scene.decide(&key, "POST", trigger), (false, "mcp_token.project_not_listed".into()));
    scene.expect(200, &scene.admin, "PATCH", &format!("/v1/tokens/{id}"), Some(&json!({"projects": null})));
    assert_eq!(scene.decide(&key, "POST", trigger), (false, "mcp_token.trigger_not_allowed".into()));
    scene.expect(200, &scene.admin, "DELETE", &format!("/v1/tokens/{id}"), None);
    assert_eq!(scene.decide(&key, "POST", trigger), (false, "token.revoked".into()));
    let damaged = format!("{key}x");
    assert_eq!(scene.decide(&damaged, "POST", trigger), (false, "token.malformed".into()));
}

fn e3(scene: &Scene) {
    let with = |projects: Value| {
        let (id, key) =
            scene.mint(&json!({"kind": "mcp", "name": "x", "user_id": "u3", "projects": projects}));
        let told = scene.decide(&key, "GET", "/api/v1/mcp/projects/p1/builds");
        // A user has no room for all of them.
        scene.expect(200, &scene.admin, "DELETE", &format!("/v1/tokens/{id}"), None);
        told
    };
    assert!(with(Value::Null).0);
    assert!(with(json!(["p1"])).0);
    assert!(with(json!({"p1": null})).0);
    // The program under test has the machine's clock as well.
    let soon = Timestamp::from_unix_millis(SystemClock.now().unix_millis() + 24 * 60 * 60 * 1000);
    assert!(with(json!({"p1": soon.to_string()})).0);
    assert_eq!(with(json!([])), (false, "mcp_token.project_not_listed".into()));
    assert_eq!(with(json!({"p2": null})), (false, "mcp_token.project_not_listed".into()));
    // One that has passed is not taken over HTTP; an import may bring one.
    let past = json!({"p1": "2020-01-01T00:00:00Z"});
    let body = json!({"kind": "mcp", "name": "x", "user_id": "u3", "projects": past});
    scene.expect(400, &scene.admin, "POST", "/v1/tokens", Some(&body));
    let row = json!({"id": "e3", "kind": "mcp", "name": "x", "user_id": "u3", "projects": past, "sha256": auth::hash("e3_key").to_string()});
    scene.expect(200, &scene.admin, "POST", "/v1/import", Some(&json!({"tokens": [row]})));
    assert_eq!(
        scene.decide("e3_key", "GET", "/api/v1/mcp/projects/p1/builds"),
        (false, "mcp_token.project_expired".into())
    );
}

fn e4(scene: &Scene) {
    let (id, key) = scene.mint(&json!({"kind": "mcp", "name": "x", "user_id": "new", "projects": ["p2"]}));
    let path = "/api/v1/mcp/projects/p2/builds";
    assert_eq!(scene.decide(&key, "GET", path), (false, "mcp_token.not_a_collaborator".into()));
    let collaborator = "/v1/projects/p2/collaborators/new";
    scene.expect(201, &scene.admin, "PUT", collaborator, Some(&json!({"role": "viewer"})));
    assert!(scene.decide(&key, "GET", path).0);
    scene.expect(200, &scene.admin, "DELETE", collaborator, None);
    assert_eq!(scene.decide(&key, "GET", path), (false, "mcp_token.not_a_collaborator".into()));
    scene.expect(200, &scene.admin, "DELETE", &format!("/v1/tokens/{id}"), None);
}

fn e5(scene: &Scene) {
    let body = json!({"kind": "mcp", "name": "x", "user_id": "u3", "allow_trigger": true});
    scene.expect(400, &scene.admin, "POST", "/v1/tokens", Some(&body));
    let me = scene.session("u3");
    let (id, key) = scene.mint_as(&me, &json!({"kind": "mcp", "name": "x"}));
    let trigger = format!("/v1/tokens/{id}/trigger");
    let told = || scene.decide(&key, "POST", "/api/v1/mcp/projects/p1/trigger");
    assert_eq!(told(), (false, "mcp_token.trigger_not_allowed".into()));
    let granted = scene.expect(200, &me, "PUT", &trigger, None);
    assert_eq!((&granted["allow_trigger"], &granted["changed"]), (&json!(true), &json!(true)));
    assert!(told().0);
    assert!(scene.decide(&key, "POST", "/api/v1/mcp/projects/p1/builds/7/restart").0);
    assert_eq!(scene.expect(200, &me, "PUT", &trigger, None)["changed"], false);
    assert_eq!(scene.expect(200, &me, "DELETE", &trigger, None)["allow_trigger"], false);
    assert_eq!(told(), (false, "mcp_token.trigger_not_allowed".into()));
    for verb in ["restart", "rerun", "abort"] {
        let path = format!("/api/v1/mcp/projects/p1/builds/7/{verb}");
        assert_eq!(scene.decide(&key, "POST", &path), (false, "mcp_token.trigger_not_allowed".into()));
    }
}

fn e8(scene: &Scene) {
    let mint = |name: &str, days: Value| {
        let body = json!({"kind": "mcp", "name": name, "expires_in_days": days});
        scene.call(&scene.admin, "POST", "/v1/tokens", Some(&body)).status
    };
    for (name, days, status) in [
        ("x", json!(1), 201),
        ("x", json!(365), 201),
        (&*"ä".repeat(128), json!(null), 201),
        ("x", json!(0), 400),
        ("x", json!(366), 400),
        ("x", json!(-1), 400),
        ("x", json!(1.5), 400),
        ("x", json!("7"), 400),
        ("x", json!(1e30), 400),
        ("", json!(1), 400),
        (&*"x".repeat(129), json!(1), 400),
    ] {
        assert_eq!(mint(name, days.clone()), status, "{} {days}", name.len());
    }
    // The 21st is refused, and there is room again when one is gone.
    scene.expect(201, &scene.admin, "PUT", "/v1/users/many", Some(&json!({})));
    let me = scene.session("many");
    let body = json!({"kind": "mcp", "name": "x"});
    let (first, _) = scene.mint_as(&me, &body);
    (1..20).for_each(|_| drop(scene.mint_as(&me, &body)));
    let refused = scene.expect(409, &me, "POST", "/v1/tokens", Some(&body));
    assert_eq!(code(&refused), "token.too_many");
    scene.expect(200, &me, "DELETE", &format!("/v1/tokens/{first}"), None);
    scene.mint_as(&me, &body);
    scene.expect(409, &me, "POST", "/v1/tokens", Some(&body));
    scene.expect(200, &scene.admin, "DELETE", "/v1/users/many", None);
}

fn e9(scene: &Scene) {
    let global = |user: &str, push: bool| {
        scene.mint(&json!({"kind": "global", "name": "x", "user_id": user, "scope_push": push})).1
    };
    let (reader, writer) = (global("u3", false), global("u3", true));
    assert!(scene.decide(&reader, "GET", "/api/v1/projects/p1/builds").0);
    assert!(!scene.decide(&reader, "GET", "/api/v1/projects/open").0);
    assert_eq!(
        scene.decide(&reader, "POST", "/api/v1/projects/p1/builds"),
        (false, "global_token.write_needs_scope_push".into())
    );
    assert!(scene.decide(&writer, "POST", "/api/v1/projects/p1/builds").0);
    let owner = global("u1", true);
    for section in ["secrets", "sshkeys", "tokens", "vault", "collaborators"] {
        let path = format!("/api/v1/projects/p1/{section}");
        assert_eq!(
            scene.decide(&owner, "GET", &path),
            (false, "global_token.reserved_section".into()),
            "{section}"
        );
    }
    assert!(scene.decide(&global("u2", false), "GET", "/api/v1/projects/p1/cronjobs").0);
    assert!(!scene.decide(&reader, "GET", "/api/v1/projects/p1/cronjobs").0);
    assert!(!scene.decide(&global("root", true), "GET", "/api/v1/admin/users").0);
    // Its user being removed from the project ends its access at once.
    let collaborator = "/v1/projects/p1/collaborators/u3";
    scene.expect(200, &scene.admin, "DELETE", collaborator, None);
    assert_eq!(
        scene.decide(&reader, "GET", "/api/v1/projects/p1/builds"),
        (false, "global_token.not_a_collaborator".into())
    );
    scene.expect(201, &scene.admin, "PUT", collaborator, Some(&json!({"role": "developer"})));
}

/// The same `.rego` files, v0 too, over documents from the team's own tables: `documents` and `decisions` have them
/// in full. OPA's own form of the question comes with the front doors.
fn e11(_: &Scene) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    let rules = "package infrabox\n\ndefault authz = false\n\nauthz { input.request.path[0] == \"ping\" }\n";
    std::fs::write(folder.path().join("policies/authz.rego"), rules).unwrap();
    let settings =
        "[policy]\nfolder = \"policies\"\nentrypoint = \"data.infrabox.authz\"\nrego_version = \"v0\"\n";
    std::fs::write(folder.path().join("regate.toml"), settings).unwrap();
    let serving =
        Serving::start(folder.path(), &["--config", "regate.toml", "--database-url", "sqlite::memory:"]);
    let told = |path: &str| decide(&serving.address, &json!({"request": {"method": "GET", "path": path}}));
    assert_eq!((&told("/ping")["allow"], &told("/pong")["allow"]), (&json!(true), &json!(false)));
}
