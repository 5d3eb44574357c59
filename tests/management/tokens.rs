//! Tokens: minted for each kind, listed in pages and by filters, changed, dead.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    on_both_databases,
    scene::{Scene, code},
};

on_both_databases![
    each_kind_is_minted_with_what_it_needs_and_nothing_else,
    a_session_mints_for_its_own_user,
    tokens_are_listed_in_pages_and_by_filters,
    a_live_token_is_changed_and_a_dead_one_is_not,
    who_manages_a_project_manages_its_tokens,
    a_write_has_its_revision,
];

fn each_kind_is_minted_with_what_it_needs_and_nothing_else(scene: Scene) {
    for good in [
        json!({"kind": "global", "name": "x", "user_id": "u1"}),
        json!({"kind": "global", "name": "x", "user_id": "u1", "scope_push": true, "projects": ["p1"]}),
        json!({"kind": "project", "name": "x", "project_id": "p1", "scope_pull": true}),
        json!({"kind": "project", "name": "x", "project_id": "p1", "scope_push": true, "user_id": "u1"}),
        json!({"kind": "mcp", "name": "x"}),
        json!({"kind": "mcp", "name": "x", "user_id": null, "projects": {"p1": null}, "tools": []}),
        json!({"kind": "admin", "name": "x"}),
        json!({"kind": "admin", "name": "x", "user_id": "root"}),
        json!({"kind": "gateway", "name": "x", "expires_in_days": 1}),
    ] {
        let (id, key) = scene.mint(&good);
        let shown = scene.expect(200, &scene.admin, "GET", &format!("/v1/tokens/{id}"), None);
        assert_eq!(
            (&shown["kind"], &shown["tenant"], &shown["state"]),
            (&good["kind"], &json!("default"), &json!("live"))
        );
        assert!(key.starts_with(&format!("rgt_{}_", good["kind"].as_str().unwrap())));
        for (field, value) in good.as_object().unwrap() {
            match field.as_str() {
                "expires_in_days" => assert!(shown["expires_at"].is_string()),
                "projects" if value.is_array() => assert!(shown["projects"]["p1"].is_null()),
                field => assert_eq!(&shown[field], value, "{field}"),
            }
        }
    }
    for bad in [
        json!({"kind": "global", "name": "x"}),
        json!({"kind": "global", "name": "x", "user_id": "nobody"}),
        json!({"kind": "global", "name": "x", "user_id": "u1", "project_id": "p1"}),
        json!({"kind": "global", "name": "x", "user_id": "u1", "tools": ["search"]}),
        json!({"kind": "project", "name": "x", "scope_pull": true}),
        json!({"kind": "project", "name": "x", "project_id": "p1"}),
        json!({"kind": "project", "name": "x", "project_id": "nowhere", "scope_pull": true}),
        json!({"kind": "mcp", "name": "x", "project_id": "p1"}),
        json!({"kind": "admin", "name": "x", "scope_push": true}),
        json!({"kind": "admin", "name": "x", "projects": ["p1"]}),
        json!({"kind": "gateway", "name": "x", "user_id": "u1"}),
        json!({"kind": "gateway", "name": "x", "projects": []}),
        json!({"kind": "session", "name": "x"}),
        json!({"kind": "MCP", "name": "x"}),
        json!({"kind": "", "name": "x"}),
        json!({"name": "x"}),
        json!({"kind": "mcp"}),
        json!({"kind": "mcp", "name": "x", "id": "chosen"}),
        json!({"kind": "mcp", "name": "x", "sha256": "00"}),
        json!({"kind": "mcp", "name": "x", "expires_at": "2030-01-01T00:00:00Z"}),
        json!(["mcp", "x"]),
        json!("mcp"),
        json!(null),
    ] {
        let refused = scene.expect(400, &scene.admin, "POST", "/v1/tokens", Some(&bad));
        assert_eq!(code(&refused), "request.invalid", "{bad}");
    }
}

fn a_session_mints_for_its_own_user(scene: Scene) {
    let me = scene.session("u3");
    for kind in ["global", "mcp"] {
        let (id, _) = scene.mint_as(&me, &json!({"kind": kind, "name": "x"}));
        assert_eq!(scene.expect(200, &me, "GET", &format!("/v1/tokens/{id}"), None)["user_id"], "u3");
    }
    let denied = |body: Value| {
        let denied = scene.expect(403, &me, "POST", "/v1/tokens", Some(&body));
        assert_eq!(denied["reason"], "management.not_your_token", "{body}");
    };
    denied(json!({"kind": "mcp", "name": "x", "user_id": "u1"}));
    for kind in ["admin", "gateway"] {
        denied(json!({"kind": kind, "name": "x"}));
        denied(json!({"kind": kind, "name": "x", "user_id": "u3"}));
    }
    denied(json!({"kind": "project", "name": "x", "project_id": "p1", "scope_pull": true}));
    for (user, reason) in [("gone", "user.disabled"), ("nobody", "management.unknown_user")] {
        let body = json!({"kind": "mcp", "name": "x"});
        let denied = scene.expect(403, &scene.session(user), "POST", "/v1/tokens", Some(&body));
        assert_eq!(denied["reason"], reason);
    }
    // Who administers the organisation makes whatever is needed.
    let (_, key) = scene.mint_as(&scene.session("root"), &json!({"kind": "admin", "name": "x"}));
    scene.expect(200, &key, "GET", "/v1/users", None);
}

/// All ids of a list, page by page.
fn ids(scene: &Scene, credential: &str, query: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut after = String::new();
    loop {
        let page = scene.expect(200, credential, "GET", &format!("/v1/tokens?{query}{after}"), None);
        ids.extend(
            page["tokens"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return ids,
        }
    }
}

fn tokens_are_listed_in_pages_and_by_filters(scene: Scene) {
    let mut made = Vec::new();
    for user in ["u1", "u2", "u3"] {
        for kind in ["mcp", "global"] {
            for _ in 0..5 {
                made.push(scene.mint(&json!({"kind": kind, "name": "x", "user_id": user})).0);
            }
        }
    }
    let (project, _) =
        scene.mint(&json!({"kind": "project", "name": "x", "project_id": "p1", "scope_pull": true}));
    let all = ids(&scene, &scene.admin, "limit=1000");
    assert_eq!(all.len(), made.len() + 3);
    for limit in [1, 4, 7, 33] {
        assert_eq!(ids(&scene, &scene.admin, &format!("limit={limit}")), all, "{limit}");
    }
    assert_eq!(ids(&scene, &scene.admin, "kind=mcp&user_id=u2"), made[10..15]);
    assert_eq!(ids(&scene, &scene.admin, "project_id=p1"), [project]);
    scene.expect(200, &scene.admin, "DELETE", &format!("/v1/tokens/{}", made[0]), None);
    assert_eq!(ids(&scene, &scene.admin, "state=revoked"), made[..1]);
    assert!(ids(&scene, &scene.admin, "state=expired").is_empty());
    assert_eq!(ids(&scene, &scene.admin, "state=live&user_id=u1&kind=mcp"), made[1..5]);
    // A session sees what it could read one by one.
    let own: BTreeSet<String> = ids(&scene, &scene.session("u3"), "limit=2").into_iter().collect();
    let mut expected: BTreeSet<String> = made[20..30].iter().cloned().collect();
    expected.insert("foreign".to_owned());
    assert_eq!(own, expected);
    // Nothing is learnt of others', not even how many there are.
    for query in
        ["user_id=u1", "user_id=u1&limit=1&state=revoked", "project_id=p1", "all=true", "all=true&kind=admin"]
    {
        let denied = scene.expect(403, &scene.session("u3"), "GET", &format!("/v1/tokens?{query}"), None);
        assert_eq!(denied["reason"], "management.not_your_token", "{query}");
    }
    let cursor = |after: &str| {
        scene.expect(400, &scene.session("u3"), "GET", &format!("/v1/tokens?after={after}"), None)
    };
    assert_eq!(cursor(&made[0]), cursor("nothing"));
    assert_eq!(ids(&scene, &scene.session("u2"), "project_id=p1").len(), 1);
    assert!(ids(&scene, &scene.session("new"), "").is_empty());
    // Who administers has nothing of their own here, and may read everything.
    assert!(ids(&scene, &scene.session("root"), "kind=admin").is_empty());
    assert_eq!(ids(&scene, &scene.session("root"), "all=true&limit=3"), all);
    for bad in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "limit=",
        "limit=1&limit=2",
        "state=dead",
        "kind=session",
        "unused_days=0",
        "unused_days=36501",
        "after=nothing",
        "after=",
        "x=1",
        "after=%00",
    ] {
        let refused = scene.expect(400, &scene.admin, "GET", &format!("/v1/tokens?{bad}"), None);
        assert_eq!(code(&refused), "request.invalid", "{bad}");
    }
    // One that was never used counts from when it was made.
    let old = json!({"tokens": [{"id": "old", "kind": "mcp", "name": "old", "sha256": "ab".repeat(32),
        "created_at": "2001-01-01T00:00:00Z"}]});
    scene.expect(200, &scene.admin, "POST", "/v1/import", Some(&old));
    assert_eq!(ids(&scene, &scene.admin, "unused_days=1&limit=1000"), ["old"]);
}

fn a_live_token_is_changed_and_a_dead_one_is_not(scene: Scene) {
    let me = scene.session("u3");
    let (id, key) = scene.mint_as(&me, &json!({"kind": "mcp", "name": "x", "projects": ["p2"]}));
    let path = format!("/v1/tokens/{id}");
    let change = |body: Value| scene.expect(200, &me, "PATCH", &path, Some(&body));
    assert!(!scene.decide(&key, "GET", "/api/v1/mcp/projects/p1").0);
    let changed = change(json!({"name": "y", "projects": ["p1"], "expires_in_days": 30}));
    assert_eq!(
        (&changed["name"], &changed["projects"], &changed["changed"]),
        (&json!("y"), &json!({"p1": null}), &json!(true))
    );
    assert!(scene.decide(&key, "GET", "/api/v1/mcp/projects/p1").0);
    let expiry = changed["expires_at"].clone();
    assert!(expiry.is_string());
    // What is left out stays.
    let nothing = change(json!({}));
    assert_eq!(
        (&nothing["changed"], &nothing["expires_at"], &nothing["name"]),
        (&json!(false), &expiry, &json!("y"))
    );
    assert_eq!(nothing["revision"], changed["revision"]);
    let freed = change(json!({"projects": null, "expires_in_days": null}));
    assert_eq!((&freed["projects"], &freed["expires_at"]), (&Value::Null, &Value::Null));
    assert_eq!(change(json!({"tools": ["search"]}))["tools"], json!(["search"]));
    assert_eq!(change(json!({"tools": null}))["tools"], Value::Null);
    for bad in [
        json!({"name": ""}),
        json!({"name": "a\u{0}b"}),
        json!({"expires_in_days": 0}),
        json!({"expires_in_days": 400}),
        json!({"projects": {"p1": "2020-01-01T00:00:00Z"}}),
        json!({"projects": {"p1": "soon"}}),
        json!({"projects": {"p1": "2030-01-01T00:00:00"}}),
        json!({"tools": [""]}),
        json!({"scope_push": true}),
        json!({"kind": "admin"}),
        json!({"user_id": "u1"}),
        json!({"allow_trigger": true}),
        json!([]),
    ] {
        scene.expect(400, &me, "PATCH", &path, Some(&bad));
    }
    // Nobody else's.
    scene.expect(404, &scene.session("u1"), "PATCH", &path, Some(&json!({"name": "z"})));
    scene.expect(200, &me, "DELETE", &path, None);
    for (method, path) in [("PATCH", path.clone()), ("PUT", format!("{path}/trigger"))] {
        let refused = scene.expect(409, &me, method, &path, Some(&json!({})));
        assert_eq!(code(&refused), "token.not_live", "{method}");
    }
    // To take a right away is always possible.
    scene.expect(200, &me, "DELETE", &format!("{path}/trigger"), None);
    let (global, _) = scene.mint_as(&me, &json!({"kind": "global", "name": "x"}));
    scene.expect(400, &me, "PUT", &format!("/v1/tokens/{global}/trigger"), None);
}

fn who_manages_a_project_manages_its_tokens(scene: Scene) {
    let body =
        json!({"kind": "project", "name": "ci", "project_id": "p1", "scope_pull": true, "scope_push": true});
    for user in ["u1", "u2"] {
        let (id, key) = scene.mint_as(&scene.session(user), &body);
        assert!(scene.decide(&key, "POST", "/api/v1/projects/p1/upload").0);
        let path = format!("/v1/tokens/{id}");
        // The other who manages it may as well; a developer may not, and does not see it.
        for other in ["u1", "u2"] {
            scene.expect(200, &scene.session(other), "GET", &path, None);
        }
        scene.expect(404, &scene.session("u3"), "GET", &path, None);
        scene.expect(404, &scene.session("u3"), "DELETE", &path, None);
        scene.expect(200, &scene.session("u2"), "DELETE", &path, None);
        assert_eq!(scene.decide(&key, "POST", "/api/v1/projects/p1/upload"), (false, "token.revoked".into()));
    }
    // One in somebody else's name.
    let mut named = body.clone();
    named["user_id"] = json!("u3");
    scene.expect(403, &scene.session("u1"), "POST", "/v1/tokens", Some(&named));
    let (id, _) = scene.mint(&named);
    // Its user sees and revokes it, and does not change it: that denial is no secret.
    let path = format!("/v1/tokens/{id}");
    scene.expect(200, &scene.session("u3"), "GET", &path, None);
    let denied = scene.expect(403, &scene.session("u3"), "PATCH", &path, Some(&json!({"name": "y"})));
    assert_eq!(denied["reason"], "management.not_your_token");
    scene.expect(200, &scene.session("u3"), "DELETE", &path, None);
}

fn a_write_has_its_revision(scene: Scene) {
    let minted =
        scene.expect(201, &scene.admin, "POST", "/v1/tokens", Some(&json!({"kind": "mcp", "name": "x"})));
    let revision = minted["revision"].as_u64().unwrap();
    let question = json!({"request": {"method": "GET", "path": "/"}, "min_revision": revision});
    let told = crate::harness::http::decide(&scene.serving.address, &question);
    assert!(told["data_revision"].as_u64().unwrap() >= revision);
    let listed = scene.expect(200, &scene.admin, "GET", "/v1/tokens", None);
    assert_eq!(listed["revision"], json!(revision));
    // Where it is, is said where HTTP says it.
    let answer = scene.call(&scene.admin, "POST", "/v1/tokens", Some(&json!({"kind": "mcp", "name": "x"})));
    let path = format!("/v1/tokens/{}", answer.json()["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), Some(path.as_str()));
}
