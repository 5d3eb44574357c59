//! What one tenant may learn of another: nothing.

use serde_json::{Value, json};

use super::{
    on_both_databases,
    scene::{Scene, session_of},
};

on_both_databases![
    ids_of_another_tenant_are_like_ids_of_nobody,
    rows_of_another_tenant_are_not_written,
    an_import_stays_within_the_tenant,
];

fn ids_of_another_tenant_are_like_ids_of_nobody(scene: Scene) {
    let (theirs, _) = scene.mint_as(&scene.acme_admin, &json!({"kind": "mcp", "name": "x", "user_id": "u1"}));
    let theirs_alone = json!({"url": "https://acme.example", "credential": "shared"});
    scene.expect(201, &scene.acme_admin, "PUT", "/v1/upstreams/p9", Some(&theirs_alone));
    scene.upstream("ours", &json!({"url": "https://ours.example", "credential": "per_token"}));
    // `p9` is acme's alone.
    let calls = |token: &str, project: &str, user: &str| -> Vec<(&str, String, Option<Value>)> {
        vec![
            ("GET", format!("/v1/tokens/{token}"), None),
            ("PATCH", format!("/v1/tokens/{token}"), Some(json!({"name": "y"}))),
            ("DELETE", format!("/v1/tokens/{token}"), None),
            ("PUT", format!("/v1/tokens/{token}/trigger"), None),
            ("DELETE", format!("/v1/tokens/{token}/trigger"), None),
            ("GET", format!("/v1/tokens?after={token}"), None),
            ("GET", format!("/v1/tokens?project_id={project}"), None),
            ("GET", format!("/v1/tokens/{token}/grants"), None),
            ("PUT", format!("/v1/tokens/{token}/grants"), Some(json!({"upstreams": []}))),
            ("GET", format!("/v1/upstreams/ours/credentials/token/{token}"), None),
            ("PUT", format!("/v1/upstreams/ours/credentials/token/{token}"), Some(json!({"token": "x"}))),
            ("DELETE", format!("/v1/upstreams/ours/credentials/token/{token}"), None),
            (
                "POST",
                "/v1/credential-flows".to_owned(),
                Some(json!({"upstream_id": "ours", "holder": {"kind": "token", "id": token}})),
            ),
            // An upstream of theirs has the name that the project has.
            ("GET", format!("/v1/upstreams/{project}"), None),
            ("DELETE", format!("/v1/upstreams/{project}"), None),
            ("GET", format!("/v1/upstreams/{project}/grants"), None),
            ("PUT", format!("/v1/upstreams/{project}/grants"), Some(json!({"tokens": []}))),
            ("GET", format!("/v1/upstreams/{project}/credentials/user/u1"), None),
            ("PUT", format!("/v1/upstreams/{project}/credentials/user/u1"), Some(json!({"token": "x"}))),
            ("PUT", format!("/v1/upstreams/{project}/credentials/shared"), Some(json!({"token": "x"}))),
            ("DELETE", format!("/v1/upstreams/{project}/credentials/shared"), None),
            ("POST", "/v1/credential-flows".to_owned(), Some(json!({"upstream_id": project}))),
            ("GET", format!("/v1/projects/{project}"), None),
            ("DELETE", format!("/v1/projects/{project}"), None),
            ("GET", format!("/v1/projects/{project}/collaborators"), None),
            ("GET", format!("/v1/projects/{project}/collaborators/{user}"), None),
            ("PUT", format!("/v1/projects/{project}/collaborators/{user}"), Some(json!({"role": "viewer"}))),
            ("DELETE", format!("/v1/projects/{project}/collaborators/{user}"), None),
        ]
    };
    let callers = [scene.admin.clone(), scene.session("root"), scene.session("u3")];
    for caller in &callers {
        let nobodys = calls("nothing", "nowhere", "u1");
        for ((method, path, body), (_, unknown, _)) in calls(&theirs, "p9", "u1").into_iter().zip(nobodys) {
            let told = |path: &str| {
                let answer = scene.call(caller, method, path, body.as_ref());
                let mut told = answer.json();
                // Of the moment, and not of the row.
                told.as_object_mut().unwrap().remove("revision");
                (answer.status, told)
            };
            let (status, answer) = told(&path);
            assert_eq!((status, &answer), (told(&unknown).0, &told(&unknown).1), "{method} {path}");
            let empty = answer["tokens"] == json!([]);
            assert!([400, 403, 404].contains(&status) || empty, "{method} {path}: {status}");
        }
    }
    // It is all still there.
    scene.expect(200, &scene.acme_admin, "GET", "/v1/upstreams/p9", None);
    let shown = scene.expect(200, &scene.acme_admin, "GET", &format!("/v1/tokens/{theirs}"), None);
    assert_eq!((&shown["state"], &shown["name"]), (&json!("live"), &json!("x")));
    scene.expect(200, &session_of("u1", "acme"), "GET", "/v1/projects/p9", None);
}

fn rows_of_another_tenant_are_not_written(scene: Scene) {
    // The same ids are other rows.
    scene.expect(200, &scene.acme_admin, "PUT", "/v1/users/u1", Some(&json!({"disabled": true})));
    assert_eq!(scene.expect(200, &scene.admin, "GET", "/v1/users/u1", None)["disabled"], false);
    scene.expect(200, &scene.acme_admin, "DELETE", "/v1/projects/p1", None);
    scene.expect(200, &scene.admin, "GET", "/v1/projects/p1", None);
    scene.expect(
        404,
        &scene.acme_admin,
        "PUT",
        "/v1/projects/p9/collaborators/u3",
        Some(&json!({"role": "owner"})),
    );
    let listed = scene.expect(200, &scene.acme_admin, "GET", "/v1/users", None);
    let ids: Vec<&str> =
        listed["users"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["root", "u1"]);
    let body = json!({"kind": "global", "name": "x", "user_id": "u3"});
    scene.expect(400, &scene.acme_admin, "POST", "/v1/tokens", Some(&body));
    // A tenant that does not exist has nobody.
    scene.expect(403, &session_of("u1", "nowhere"), "GET", "/v1/tokens", None);
}

fn an_import_stays_within_the_tenant(scene: Scene) {
    let key = regate::auth::hash("acme_key").to_string();
    let token = |id: &str, more: Value| {
        let mut row = json!({"id": id, "kind": "mcp", "name": "x", "sha256": key});
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    for document in [
        json!({"tenants": [{"id": "other"}]}),
        json!({"users": [{"id": "x", "tenant": "default"}]}),
        json!({"tokens": [token("x", json!({"tenant": "default"}))]}),
        json!({"tokens": [token("x", json!({"tenant": null, "kind": "gateway"}))]}),
        // An id and a hash of the other tenant's.
        json!({"tokens": [token("foreign", json!({}))]}),
        json!({"tokens": [token("x", json!({"sha256": regate::auth::hash("ib_mcp_test").to_string()}))]}),
    ] {
        let refused = scene.expect(400, &scene.acme_admin, "POST", "/v1/import", Some(&document));
        assert_eq!(refused["code"], "import.refused", "{document}");
        assert!(!refused.to_string().contains("default"), "{refused}");
    }
    let document = json!({"users": [{"id": "x"}], "tokens": [token("x", json!({"user_id": "x"}))]});
    scene.expect(200, &scene.acme_admin, "POST", "/v1/import", Some(&document));
    assert_eq!(scene.decision("acme_key", "POST", "/mcp")["subject"]["tenant"], "acme");
    scene.expect(404, &scene.admin, "GET", "/v1/users/x", None);
}
