//! Upstreams over HTTP: what they may be, who may change them, and that their client's secret is never shown.

use serde_json::{Value, json};

use super::{
    on_both_databases,
    scene::{Scene, code},
};

on_both_databases![
    an_upstream_is_added_changed_listed_and_removed,
    what_an_upstream_cannot_be_is_named,
    a_client_secret_is_kept_and_never_shown,
    people_see_upstreams_and_change_none,
];

const URL: &str = "https://mcp.example/github";

fn oauth() -> Value {
    json!({
        "authorization_endpoint": "https://login.example/authorize", "client_id": "regate", "resource": null,
        "scopes": ["repo:read"], "token_endpoint": "https://login.example/token",
    })
}

fn an_upstream_is_added_changed_listed_and_removed(scene: Scene) {
    let put =
        |status, body: Value| scene.expect(status, &scene.admin, "PUT", "/v1/upstreams/github", Some(&body));
    let made = put(201, json!({"url": URL}));
    let usual = json!({
        "id": "github", "tenant": "default", "url": URL, "allow_all": false, "credential": "none",
        "header": "Authorization", "format": "Bearer {token}", "value_headers": null, "pass_headers": null, "oauth": null,
        "has_client_secret": false, "changed": true, "revision": made["revision"],
    });
    assert_eq!(made, usual);
    assert_eq!(put(200, json!({}))["changed"], false);
    let brokered = put(
        200,
        json!({"credential": "per_user", "header": "X-Api-Key", "format": "{token}", "pass_headers": ["Accept", "accept"]}),
    );
    assert_eq!(
        (&brokered["credential"], &brokered["pass_headers"]),
        (&json!("per_user"), &json!(["accept"]))
    );
    // What is left out stays; null takes away.
    let kept = put(200, json!({"oauth": oauth()}));
    assert_eq!(
        (&kept["header"], &kept["format"], &kept["oauth"]),
        (&json!("X-Api-Key"), &json!("{token}"), &oauth())
    );
    let reset = put(200, json!({"oauth": null, "pass_headers": null, "value_headers": ["X-A", "x-b"]}));
    assert_eq!((&reset["oauth"], &reset["pass_headers"]), (&Value::Null, &Value::Null));
    assert_eq!(reset["value_headers"], json!(["x-a", "x-b"]));
    assert_eq!(put(200, json!({"value_headers": null}))["value_headers"], Value::Null);
    scene.upstream("open", &json!({"url": "stdio:npx server", "allow_all": true}));
    scene.upstream("shared", &json!({"url": URL, "credential": "shared"}));
    let ids = |query: &str| -> Vec<Value> {
        let listed = scene.expect(200, &scene.admin, "GET", &format!("/v1/upstreams?{query}"), None);
        listed["upstreams"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect()
    };
    assert_eq!(ids(""), ["github", "open", "shared"]);
    assert_eq!(ids("allow_all=true"), ["open"]);
    assert_eq!(ids("credential=shared"), ["shared"]);
    let page = scene.expect(200, &scene.admin, "GET", "/v1/upstreams?limit=2", None);
    assert_eq!(page["next"], "open");
    assert_eq!(ids("limit=2&after=open"), ["shared"]);
    for wrong in ["credential=other", "allow_all=1", "limit=0", "after=%00", "state=x"] {
        scene.expect(400, &scene.admin, "GET", &format!("/v1/upstreams?{wrong}"), None);
    }
    scene.expect(200, &scene.admin, "DELETE", "/v1/upstreams/open", None);
    for method in ["GET", "DELETE"] {
        let gone = scene.expect(404, &scene.admin, method, "/v1/upstreams/open", None);
        assert_eq!(
            (code(&gone), &gone["detail"]),
            ("resource.not_found", &json!("there is no such upstream"))
        );
    }
}

fn what_an_upstream_cannot_be_is_named(scene: Scene) {
    let with = |changes: Value| {
        let mut body = json!({"url": URL, "credential": "per_user"});
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        body
    };
    let oauth_with = |field: &str, value: Value| {
        let mut settings = oauth();
        settings[field] = value;
        with(json!({"oauth": settings}))
    };
    for (body, place) in [
        (json!({"credential": "per_user"}), "url: a new upstream needs one"),
        (
            with(json!({"url": "stdio:npx server"})),
            "url: it must be an http or https URL; a stdio upstream cannot be brokered",
        ),
        (with(json!({"url": "https://user:hunter2@x/"})), "url: it must not hold a user"),
        (with(json!({"url": "a\u{0}"})), "url: "),
        (with(json!({"url": "x".repeat(3_000)})), "url: "),
        (with(json!({"header": "Content-Length"})), "header: Content-Length belongs"),
        (with(json!({"header": "a b"})), "header: it must be the name of a header"),
        (with(json!({"header": "X-A\r\nX-B"})), "header: "),
        (with(json!({"format": "Bearer"})), "format: it must hold {token} once"),
        (with(json!({"format": "{token}{token}"})), "format: "),
        (with(json!({"format": "a\nb {token}"})), "format: "),
        (with(json!({"value_headers": []})), "value_headers: "),
        (with(json!({"value_headers": ["transfer-encoding"]})), "value_headers: "),
        (with(json!({"pass_headers": ["Authorization"]})), "pass_headers: authorization"),
        (with(json!({"header": "X-Key", "pass_headers": ["x-key"]})), "pass_headers: x-key"),
        (with(json!({"pass_headers": [""]})), "pass_headers: "),
        (oauth_with("token_endpoint", json!("http://login.example/token")), "oauth.token_endpoint: "),
        (
            oauth_with("authorization_endpoint", json!("javascript:alert(1)")),
            "oauth.authorization_endpoint: ",
        ),
        (oauth_with("client_id", json!("")), "oauth.client_id: "),
        (oauth_with("scopes", json!(["a b"])), "oauth.scopes: "),
        (oauth_with("client_secret", json!("upstream-secret")), "oauth.client_secret"),
        (with(json!({"oauth": oauth(), "credential": "none"})), "oauth: nobody consents"),
        (with(json!({"oauth": oauth(), "value_headers": ["x-key"]})), "oauth: consent gives a token"),
        (with(json!({"credential": "per_project"})), "credential: "),
        (with(json!({"client_secret": "upstream-secret"})), "client_secret"),
        (with(json!({"allow_all": "yes"})), "allow_all: "),
    ] {
        let refused = scene.expect(400, &scene.admin, "PUT", "/v1/upstreams/new", Some(&body));
        let detail = refused["detail"].as_str().unwrap();
        assert!(code(&refused) == "request.invalid" && detail.contains(place), "{place}: {detail}");
        assert!(!refused.to_string().contains("hunter2") && !refused.to_string().contains("upstream-secret"));
    }
    scene.expect(404, &scene.admin, "GET", "/v1/upstreams/new", None);
    // What is there decides as well about what may be changed.
    scene.upstream("stdio", &json!({"url": "stdio:npx", "pass_headers": ["authorization"]}));
    for body in [json!({"credential": "per_token"}), json!({"credential": "shared", "url": URL})] {
        scene.expect(400, &scene.admin, "PUT", "/v1/upstreams/stdio", Some(&body));
    }
}

fn a_client_secret_is_kept_and_never_shown(scene: Scene) {
    let path = "/v1/upstreams/github/oauth/client-secret";
    let secret = json!({"client_secret": "upstream-secret-of-the-client"});
    scene.expect(404, &scene.admin, "PUT", path, Some(&secret));
    scene.upstream("github", &json!({"url": URL, "credential": "per_user"}));
    let refused = scene.expect(400, &scene.admin, "PUT", path, Some(&secret));
    assert!(refused["detail"].as_str().unwrap().contains("set its oauth first"), "{refused}");
    scene.upstream("github", &json!({"oauth": oauth()}));
    let put = scene.expect(200, &scene.admin, "PUT", path, Some(&secret));
    assert_eq!((&put["has_client_secret"], &put["changed"]), (&json!(true), &json!(true)));
    for bad in
        [json!({}), json!({"client_secret": ""}), json!({"client_secret": "a\nb"}), json!({"secret": "x"})]
    {
        scene.expect(400, &scene.admin, "PUT", path, Some(&bad));
    }
    let shown = scene.expect(200, &scene.admin, "GET", "/v1/upstreams/github", None);
    let listed = scene.expect(200, &scene.admin, "GET", "/v1/upstreams", None);
    for text in [put.to_string(), shown.to_string(), listed.to_string(), scene.serving.log()] {
        assert!(!text.contains("upstream-secret"));
    }
    let removed = scene.expect(200, &scene.admin, "DELETE", path, None);
    assert_eq!((&removed["has_client_secret"], &removed["changed"]), (&json!(false), &json!(true)));
    assert_eq!(scene.expect(200, &scene.admin, "DELETE", path, None)["changed"], false);
}

fn people_see_upstreams_and_change_none(scene: Scene) {
    scene.upstream("github", &json!({"url": URL, "credential": "per_user"}));
    for person in ["u3", "new"] {
        let me = scene.session(person);
        let listed = scene.expect(200, &me, "GET", "/v1/upstreams", None);
        assert_eq!(listed["upstreams"].as_array().unwrap().len(), 1);
        scene.expect(200, &me, "GET", "/v1/upstreams/github", None);
        for (method, path, body) in [
            ("PUT", "/v1/upstreams/github", json!({"allow_all": true})),
            ("PUT", "/v1/upstreams/new", json!({"url": URL})),
            ("DELETE", "/v1/upstreams/github", Value::Null),
            ("PUT", "/v1/upstreams/github/grants", json!({"tokens": []})),
            ("GET", "/v1/upstreams/github/grants", Value::Null),
            ("PUT", "/v1/upstreams/github/oauth/client-secret", json!({"client_secret": "x"})),
            ("DELETE", "/v1/upstreams/github/oauth/client-secret", Value::Null),
        ] {
            let body = (!body.is_null()).then_some(&body);
            let denied = scene.expect(403, &me, method, path, body);
            assert_eq!(denied["reason"], "management.needs_administration", "{method} {path}");
        }
    }
    for nobody in ["gone", "unknown"] {
        scene.expect(403, &scene.session(nobody), "GET", "/v1/upstreams", None);
    }
    assert_eq!(scene.expect(200, &scene.admin, "GET", "/v1/upstreams/github", None)["allow_all"], false);
}
