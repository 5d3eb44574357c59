//! Grants over HTTP, from the token's side and from the upstream's, and what becomes of credentials.

use serde_json::{Value, json};

use super::{
    on_both_databases,
    scene::{Scene, code},
};

on_both_databases![
    a_list_takes_the_place_of_all_grants_from_either_side,
    credentials_follow_the_grants,
    nobody_widens_their_own_token,
    lists_that_cannot_be_change_nothing,
];

fn upstreams(scene: &Scene) {
    for id in ["github", "gitlab"] {
        scene.upstream(id, &json!({"url": format!("https://mcp.example/{id}"), "credential": "per_token"}));
    }
}

fn agent(scene: &Scene, user: &str) -> String {
    scene.mint(&json!({"kind": "mcp", "name": "agent", "user_id": user})).0
}

fn a_list_takes_the_place_of_all_grants_from_either_side(scene: Scene) {
    upstreams(&scene);
    let (one, two) = (agent(&scene, "u1"), agent(&scene, "u3"));
    let of_token = |method, body: Option<&Value>| {
        scene.expect(200, &scene.admin, method, &format!("/v1/tokens/{one}/grants"), body)
    };
    let of_upstream = |method, body: Option<&Value>| {
        scene.expect(200, &scene.admin, method, "/v1/upstreams/github/grants", body)
    };
    assert_eq!(of_token("GET", None)["upstreams"], json!([]));
    let body = json!({"upstreams": ["gitlab", "github", "github"]});
    let put = of_token("PUT", Some(&body));
    let expected = json!({
        "token_id": one, "upstreams": ["github", "gitlab"], "changed": true, "revision": put["revision"],
    });
    assert_eq!(put, expected);
    let again = of_token("PUT", Some(&body));
    assert_eq!((&again["changed"], &again["revision"]), (&json!(false), &put["revision"]));
    let put = of_upstream("PUT", Some(&json!({"tokens": [two], "allow_all": true})));
    let expected = json!({
        "upstream_id": "github", "allow_all": true, "tokens": [two], "changed": true, "revision": put["revision"],
    });
    assert_eq!(put, expected);
    assert_eq!(of_token("GET", None)["upstreams"], json!(["gitlab"]));
    // The mark stays unless the list says otherwise.
    let put = of_upstream("PUT", Some(&json!({"tokens": []})));
    assert_eq!((&put["allow_all"], &put["tokens"]), (&json!(true), &json!([])));
    let shown = of_upstream("GET", None);
    assert_eq!((&shown["changed"], &shown["allow_all"]), (&json!(false), &json!(true)));
}

fn credentials_follow_the_grants(scene: Scene) {
    upstreams(&scene);
    let id = agent(&scene, "u3");
    let path = format!("/v1/upstreams/github/credentials/token/{id}");
    let body = json!({"token": "upstream-secret-of-the-agent"});
    let grants = |upstreams: Value| {
        let body = json!({"upstreams": upstreams});
        scene.expect(200, &scene.admin, "PUT", &format!("/v1/tokens/{id}/grants"), Some(&body))
    };
    let state = || scene.expect(200, &scene.admin, "GET", &path, None);
    // Without the grant it is there and worth nothing.
    assert_eq!(scene.expect(201, &scene.admin, "PUT", &path, Some(&body))["state"], "orphaned");
    grants(json!(["github"]));
    assert_eq!((&state()["state"], &state()["orphaned_at"]), (&json!("active"), &Value::Null));
    grants(json!(["gitlab"]));
    assert_eq!(state()["state"], "orphaned");
    assert!(state()["orphaned_at"].is_string());
    let open = json!({"tokens": [], "allow_all": true});
    scene.expect(200, &scene.admin, "PUT", "/v1/upstreams/github/grants", Some(&open));
    assert_eq!(state()["state"], "active");
    scene.upstream("github", &json!({"allow_all": false}));
    assert_eq!(state()["state"], "orphaned");
}

fn nobody_widens_their_own_token(scene: Scene) {
    upstreams(&scene);
    let id = agent(&scene, "u3");
    let path = format!("/v1/tokens/{id}/grants");
    let all = json!({"upstreams": ["github"]});
    let me = scene.session("u3");
    let denied = scene.expect(403, &me, "PUT", &path, Some(&all));
    assert_eq!(denied["reason"], "management.needs_administration");
    assert_eq!(scene.expect(200, &me, "GET", &path, None)["upstreams"], json!([]));
    // Somebody else's is not there, in the words for one that is not.
    let other = scene.session("u4");
    let unknown = scene.expect(404, &other, "GET", "/v1/tokens/nothing/grants", None);
    assert_eq!(scene.expect(404, &other, "GET", &path, None), unknown);
    assert_eq!(scene.expect(200, &scene.session("root"), "PUT", &path, Some(&all))["changed"], true);
}

fn lists_that_cannot_be_change_nothing(scene: Scene) {
    upstreams(&scene);
    let id = agent(&scene, "u3");
    let of_token = format!("/v1/tokens/{id}/grants");
    let many = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    for (path, body, place) in [
        (
            of_token.as_str(),
            json!({"upstreams": ["github", "nowhere"]}),
            "upstreams: there is no such upstream among those of the tenant: ",
        ),
        (&of_token, json!({"upstreams": [""]}), "upstreams[0]: "),
        (&of_token, json!({"upstreams": many(1_001)}), "upstreams: at most 1000"),
        (&of_token, json!({"upstreams": null}), "upstreams: "),
        (&of_token, json!({}), "upstreams"),
        (&of_token, json!({"upstreams": [], "tokens": []}), "tokens"),
        (
            "/v1/upstreams/github/grants",
            json!({"tokens": [id, "nobody"]}),
            "tokens: there is no such token among those of the tenant: \"nobody\"",
        ),
        ("/v1/upstreams/github/grants", json!({"tokens": ["a\u{0}"]}), "tokens[0]: "),
        ("/v1/upstreams/github/grants", json!({"tokens": many(10_001)}), "tokens: at most 10000"),
        ("/v1/upstreams/github/grants", json!({"tokens": "all"}), "tokens: "),
    ] {
        let refused = scene.expect(400, &scene.admin, "PUT", path, Some(&body));
        let detail = refused["detail"].as_str().unwrap();
        assert!(code(&refused) == "request.invalid" && detail.contains(place), "{place}: {detail}");
    }
    assert_eq!(scene.expect(200, &scene.admin, "GET", &of_token, None)["upstreams"], json!([]));
    scene.expect(404, &scene.admin, "PUT", "/v1/upstreams/nowhere/grants", Some(&json!({"tokens": []})));
    scene.expect(404, &scene.admin, "GET", "/v1/upstreams/nowhere/grants", None);
    scene.expect(404, &scene.admin, "PUT", "/v1/tokens/nothing/grants", Some(&json!({"upstreams": []})));
    scene.expect(200, &scene.admin, "DELETE", &format!("/v1/tokens/{id}"), None);
    let dead = scene.expect(409, &scene.admin, "PUT", &of_token, Some(&json!({"upstreams": ["github"]})));
    assert_eq!(code(&dead), "token.not_live");
}
