//! A write is decided from what the database has, whichever process wrote it.

use serde_json::json;

use super::{on_both_databases, scene::Scene};
use crate::harness::{http::send, postgres::Postgres, program::Serving};

on_both_databases![what_one_process_took_away_is_not_used_at_another, lists_and_numbers_have_an_end];

fn other(scene: &Scene) -> Serving {
    let arguments = ["--config", "regate.toml", "--database-url", scene.url.as_str()];
    Serving::start(scene.folder.path(), &arguments)
}

fn call(serving: &Serving, credential: &str, method: &str, path: &str, body: &str) -> u16 {
    let authorization = format!("Bearer {credential}");
    send(&serving.address, method, path, &[("authorization", authorization.as_str())], body.as_bytes()).status
}

fn what_one_process_took_away_is_not_used_at_another(scene: Scene) {
    let other = other(&scene);
    for _ in 0..5 {
        let (id, operator) = scene.mint(&json!({"kind": "admin", "name": "x"}));
        // What was just made is known at once.
        assert_eq!(call(&other, &scene.session("u1"), "PUT", "/v1/projects/p1", "{\"name\":\"x\"}"), 200);
        scene.expect(200, &scene.admin, "GET", &format!("/v1/tokens/{id}"), None);
        scene.until(|| (call(&other, &operator, "GET", "/v1/users/u1", "") == 200).then_some(()));
        scene.expect(200, &scene.admin, "DELETE", &format!("/v1/tokens/{id}"), None);
        assert_eq!(call(&other, &operator, "POST", "/v1/tokens", "{\"kind\":\"admin\",\"name\":\"y\"}"), 401);

        let path = "/v1/projects/p1/collaborators/u2";
        scene.expect(200, &scene.admin, "DELETE", path, None);
        assert_eq!(call(&other, &scene.session("u2"), "PUT", path, "{\"role\":\"administrator\"}"), 403);
        scene.expect(201, &scene.admin, "PUT", path, Some(&json!({"role": "administrator"})));

        scene.expect(200, &scene.admin, "DELETE", "/v1/projects/p1", None);
        assert_eq!(call(&other, &scene.session("u1"), "PUT", "/v1/projects/p1", "{\"public\":true}"), 403);
        for path in
            ["/v1/projects/p1", "/v1/projects/p1/collaborators/u1", "/v1/projects/p1/collaborators/u2"]
        {
            let role = if path.ends_with('2') { "administrator" } else { "owner" };
            let body = if path.ends_with("p1") { json!({}) } else { json!({"role": role}) };
            scene.expect(201, &scene.admin, "PUT", path, Some(&body));
        }
    }
}

#[test]
fn who_cannot_read_the_changes_writes_nothing() {
    let mut postgres = Postgres::start();
    let scene =
        Scene::over(&postgres.url("postgres"), "[data]\nmax_staleness = \"1h\"\nanswer_time = \"1s\"");
    postgres.kill();
    let refused =
        scene.expect(503, &scene.admin, "POST", "/v1/tokens", Some(&json!({"kind": "mcp", "name": "x"})));
    assert_eq!(refused["code"], "store.unavailable");
    // What is about the process is answered without the database.
    scene.expect(200, &scene.admin, "GET", "/v1/policies", None);
    postgres.start_again();
    scene.until(|| {
        let body = json!({"kind": "mcp", "name": "x"});
        (scene.call(&scene.admin, "POST", "/v1/tokens", Some(&body)).status == 201).then_some(())
    });
}

fn lists_and_numbers_have_an_end(scene: Scene) {
    let long = "x".repeat(200);
    let tools: Vec<String> = (0..90).map(|n| format!("{n}{long}")).collect();
    for (field, list) in [("tools", json!(tools)), ("projects", json!(tools))] {
        let body = json!({"kind": "mcp", "name": "x", field: list});
        let refused = scene.expect(400, &scene.admin, "POST", "/v1/tokens", Some(&body));
        assert!(refused["detail"].as_str().unwrap().contains("16384 bytes"), "{}", refused["detail"]);
    }
    // A page ends before it is too large to be held.
    for _ in 0..70 {
        let body = json!({"kind": "mcp", "name": "x", "tools": tools[..80]});
        scene.mint(&body);
    }
    let page = scene.expect(200, &scene.admin, "GET", "/v1/tokens?kind=mcp&limit=1000", None);
    let rows = page["tokens"].as_array().unwrap().len();
    assert!(rows < 70 && page["next"].is_string(), "{rows}");
    // A project's own tokens that are nobody's are counted as well.
    let body = json!({"kind": "project", "name": "x", "project_id": "p1", "scope_pull": true});
    let owner = scene.session("u1");
    (0..20).for_each(|_| drop(scene.mint_as(&owner, &body)));
    let refused = scene.expect(409, &owner, "POST", "/v1/tokens", Some(&body));
    assert_eq!(refused["code"], "token.too_many");
    assert!(refused["detail"].as_str().unwrap().starts_with("the project has 20"));
}
