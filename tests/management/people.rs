//! Users, projects, collaborators: written, listed, and by whom.

use serde_json::{Value, json};

use super::{
    on_both_databases,
    scene::{Scene, session_with},
};

on_both_databases![
    a_put_is_harmless_when_repeated_and_keeps_what_it_leaves_out,
    removing_a_user_or_a_project_takes_what_hangs_on_it,
    lists_have_pages_and_filters,
    people_manage_what_the_bundle_says_and_nothing_else,
    a_session_that_is_none_is_told_why,
    a_person_put_out_has_no_rights_at_once,
];

fn a_put_is_harmless_when_repeated_and_keeps_what_it_leaves_out(scene: Scene) {
    let put = |status, path: &str, body: Value| scene.expect(status, &scene.admin, "PUT", path, Some(&body));
    let made = put(201, "/v1/users/ada", json!({}));
    assert_eq!(
        (&made["role"], &made["disabled"], &made["changed"]),
        (&json!("user"), &json!(false), &json!(true))
    );
    let same = put(200, "/v1/users/ada", json!({"role": "user"}));
    assert_eq!((&same["changed"], &same["revision"]), (&json!(false), &made["revision"]));
    put(200, "/v1/users/ada", json!({"disabled": true}));
    // A change of the role does not let anybody in again.
    let promoted = put(200, "/v1/users/ada", json!({"role": "admin"}));
    assert_eq!((&promoted["role"], &promoted["disabled"]), (&json!("admin"), &json!(true)));
    let shown = scene.expect(200, &scene.admin, "GET", "/v1/users/ada", None);
    assert_eq!((&shown["role"], &shown["disabled"]), (&json!("admin"), &json!(true)));

    put(201, "/v1/projects/new", json!({"name": "New"}));
    let public = put(200, "/v1/projects/new", json!({"public": true}));
    assert_eq!((&public["name"], &public["public"]), (&json!("New"), &json!(true)));
    let path = "/v1/projects/new/collaborators/u1";
    assert_eq!(put(201, path, json!({"role": "viewer"}))["changed"], true);
    assert_eq!(put(200, path, json!({"role": "viewer"}))["changed"], false);
    assert_eq!(put(200, path, json!({"role": "owner"}))["changed"], true);
    assert_eq!(scene.expect(200, &scene.admin, "GET", path, None)["role"], "owner");
    for (path, body) in [
        ("/v1/users/ada", json!({"role": "owner"})),
        ("/v1/users/ada", json!({"disabled": "no"})),
        ("/v1/users/ada", json!({"id": "ada"})),
        ("/v1/projects/new", json!({"name": 1})),
        ("/v1/projects/new", json!({"name": "a\nb"})),
        (path, json!({})),
        (path, json!({"role": "admin"})),
        (path, json!({"role": null})),
    ] {
        put(400, path, body);
    }
    put(404, "/v1/projects/nowhere/collaborators/u1", json!({"role": "viewer"}));
    put(404, "/v1/projects/new/collaborators/nobody", json!({"role": "viewer"}));
}

fn removing_a_user_or_a_project_takes_what_hangs_on_it(scene: Scene) {
    let (id, key) = scene.mint(&json!({"kind": "global", "name": "x", "user_id": "u3"}));
    let body = json!({"kind": "project", "name": "x", "project_id": "p1", "scope_pull": true});
    let (_, ci) = scene.mint(&body);
    scene.expect(200, &scene.admin, "DELETE", "/v1/users/u3", None);
    assert_eq!(scene.decide(&key, "GET", "/api/v1/projects/p1"), (false, "token.unknown".into()));
    scene.expect(404, &scene.admin, "GET", &format!("/v1/tokens/{id}"), None);
    scene.expect(404, &scene.admin, "GET", "/v1/projects/p1/collaborators/u3", None);
    scene.expect(200, &scene.admin, "DELETE", "/v1/projects/p1", None);
    assert_eq!(scene.decide(&ci, "GET", "/api/v1/projects/p1"), (false, "token.unknown".into()));
    for path in ["/v1/users/u3", "/v1/projects/p1", "/v1/projects/p1/collaborators/u1"] {
        scene.expect(404, &scene.admin, "DELETE", path, None);
        scene.expect(404, &scene.admin, "GET", path, None);
    }
}

/// The ids of all rows of a list, page by page.
fn ids(scene: &Scene, credential: &str, path: &str, rows: &str, id: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut after = String::new();
    loop {
        let page = scene.expect(200, credential, "GET", &format!("{path}{after}"), None);
        ids.extend(page[rows].as_array().unwrap().iter().map(|row| row[id].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return ids,
        }
    }
}

fn lists_have_pages_and_filters(scene: Scene) {
    let users = |query: &str| ids(&scene, &scene.admin, &format!("/v1/users?{query}"), "users", "id");
    let all = users("limit=1000");
    assert_eq!(all, ["gone", "new", "root", "u1", "u2", "u3", "u4"]);
    assert_eq!(users("limit=2"), all);
    assert_eq!(users("role=admin"), ["gone", "root"]);
    assert_eq!(users("role=admin&disabled=false"), ["root"]);
    let projects =
        |who: &str, query: &str| ids(&scene, who, &format!("/v1/projects?{query}"), "projects", "id");
    assert_eq!(projects(&scene.admin, "limit=1"), ["open", "p1", "p2"]);
    assert_eq!(projects(&scene.admin, "public=true"), ["open"]);
    assert_eq!(projects(&scene.admin, "user_id=u3"), ["p1"]);
    let me = scene.session("u3");
    assert_eq!(projects(&me, ""), ["p1"]);
    assert_eq!(projects(&me, "public=true"), ["open"]);
    assert!(projects(&me, "public=false") == ["p1"], "and not p2");
    for query in ["user_id=u1", "all=true", "public=true&user_id=u1", "user_id=u1&public=false&limit=1"] {
        scene.expect(403, &me, "GET", &format!("/v1/projects?{query}"), None);
    }
    assert_eq!(projects(&scene.session("root"), "all=true"), ["open", "p1", "p2"]);
    assert!(projects(&scene.session("new"), "").is_empty());
    let people = |query: &str| {
        ids(&scene, &me, &format!("/v1/projects/p1/collaborators?{query}"), "collaborators", "user_id")
    };
    assert_eq!(people("limit=2"), ["gone", "u1", "u2", "u3", "u4"]);
    assert_eq!(people("role=owner"), ["gone", "u1"]);
    // An id that no path can name in one way is listed for operators all the same.
    let document = json!({"projects": [{"id": "a/b"}, {"id": ".."}]});
    scene.expect(200, &scene.admin, "POST", "/v1/import", Some(&document));
    assert_eq!(projects(&scene.admin, ""), ["..", "a/b", "open", "p1", "p2"]);
    assert!(!projects(&me, "public=false").contains(&"a/b".to_owned()));
    for path in [
        "/v1/users?role=owner",
        "/v1/users?disabled=1",
        "/v1/projects?member=x",
        "/v1/projects/p1/collaborators?limit=0",
    ] {
        scene.expect(400, &scene.admin, "GET", path, None);
    }
}

fn people_manage_what_the_bundle_says_and_nothing_else(scene: Scene) {
    let collaborator = |user: &str| format!("/v1/projects/p1/collaborators/{user}");
    let role = |role: &str| Some(json!({"role": role}));
    for (who, method, path, body, status) in [
        ("u3", "GET", "/v1/users/u3".to_owned(), None, 200),
        ("u3", "GET", "/v1/users/u1".to_owned(), None, 403),
        ("u3", "GET", "/v1/users/nobody".to_owned(), None, 403),
        ("u3", "GET", "/v1/users".to_owned(), None, 403),
        ("u3", "PUT", "/v1/users/u3".to_owned(), role("admin"), 403),
        ("u3", "DELETE", "/v1/users/u3".to_owned(), None, 403),
        ("u3", "GET", "/v1/projects/p1".to_owned(), None, 200),
        ("u3", "GET", "/v1/projects/open".to_owned(), None, 200),
        ("u3", "GET", "/v1/projects/p2".to_owned(), None, 403),
        ("u3", "GET", "/v1/projects/nowhere".to_owned(), None, 403),
        ("u3", "PUT", "/v1/projects/p1".to_owned(), Some(json!({"public": true})), 403),
        ("u3", "PUT", collaborator("new"), role("viewer"), 403),
        ("u3", "GET", collaborator("u1"), None, 200),
        ("u2", "PUT", collaborator("new"), role("administrator"), 201),
        ("u2", "PUT", collaborator("new"), role("owner"), 403),
        ("u2", "PUT", collaborator("u1"), role("viewer"), 403),
        ("u2", "DELETE", collaborator("u1"), None, 403),
        ("u2", "DELETE", collaborator("new"), None, 200),
        ("u2", "PUT", "/v1/projects/p1".to_owned(), Some(json!({"name": "renamed"})), 200),
        ("u2", "PUT", "/v1/projects/p1".to_owned(), Some(json!({"public": true})), 403),
        ("u1", "PUT", "/v1/projects/p1".to_owned(), Some(json!({"public": true})), 200),
        ("u1", "PUT", "/v1/projects/p1".to_owned(), Some(json!({"public": false})), 200),
        ("u2", "DELETE", "/v1/projects/p1".to_owned(), None, 403),
        ("u2", "PUT", "/v1/projects/mine".to_owned(), Some(json!({})), 403),
        ("u4", "DELETE", collaborator("u4"), None, 200),
        ("u1", "PUT", collaborator("u2"), role("owner"), 200),
        ("u3", "POST", "/v1/import".to_owned(), Some(json!({})), 403),
        ("u3", "GET", "/v1/policies".to_owned(), None, 403),
        ("u3", "POST", "/v1/policies/reload".to_owned(), None, 403),
        (
            "u3",
            "POST",
            "/v1/explain".to_owned(),
            Some(json!({"request": {"method": "GET", "path": "/"}})),
            403,
        ),
        ("root", "GET", "/v1/policies".to_owned(), None, 200),
        ("root", "GET", "/v1/users/u1".to_owned(), None, 200),
        ("root", "PUT", "/v1/projects/mine".to_owned(), Some(json!({})), 201),
        ("gone", "GET", "/v1/projects/p1".to_owned(), None, 403),
        ("u1", "DELETE", "/v1/projects/p1".to_owned(), None, 200),
    ] {
        scene.expect(status, &scene.session(who), method, &path, body.as_ref());
    }
}

/// What is wrong with a session may be told: nothing of it is kept here. What is wrong with a token may not.
fn a_session_that_is_none_is_told_why(scene: Scene) {
    for (changed, reason) in [
        (json!({"exp": 1}), "session.expired"),
        (json!({"nbf": 4_000_000_000_u32}), "session.not_yet_valid"),
        (json!({"aud": "other"}), "session.wrong_audience"),
        (json!({"iss": "https://other.example"}), "session.issuer_unknown"),
        (json!({"sub": null}), "session.claim_missing"),
    ] {
        let session = session_with("u3", "default", &changed);
        let answer = scene.call(&session, "GET", "/v1/tokens", None);
        assert_eq!((answer.status, &answer.json()["reason"]), (401, &json!(reason)));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    }
    for dead in ["nobody", "rgt_admin_x"] {
        assert_eq!(scene.expect(401, dead, "GET", "/v1/tokens", None).get("reason"), None);
    }
}

fn a_person_put_out_has_no_rights_at_once(scene: Scene) {
    let me = scene.session("u3");
    let (_, key) = scene.mint_as(&me, &json!({"kind": "mcp", "name": "x"}));
    scene.expect(200, &scene.admin, "PUT", "/v1/users/u3", Some(&json!({"disabled": true})));
    assert_eq!(scene.expect(403, &me, "GET", "/v1/tokens", None)["reason"], "user.disabled");
    assert_eq!(scene.decide(&key, "POST", "/mcp"), (false, "user.disabled".into()));
    assert_eq!(scene.decide(&me, "GET", "/api/v1/projects/p1"), (false, "user.disabled".into()));
    scene.expect(200, &scene.admin, "PUT", "/v1/users/u3", Some(&json!({"disabled": false})));
    assert!(scene.decide(&key, "POST", "/mcp").0);
    scene.expect(200, &scene.admin, "DELETE", "/v1/users/u3", None);
    assert_eq!(scene.expect(403, &me, "GET", "/v1/tokens", None)["reason"], "management.unknown_user");
    // A claim makes nobody an administrator: the session of these tests claims the role.
    assert_eq!(
        scene.expect(403, &scene.session("u1"), "GET", "/v1/users", None)["reason"],
        "management.needs_administration"
    );
}
