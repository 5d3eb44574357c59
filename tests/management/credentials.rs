//! Upstream credentials over HTTP: given, listed, removed, by whom; and that no value ever comes back.

use serde_json::{Value, json};

use super::{
    on_both_databases,
    scene::{Scene, code, session_of},
};
use crate::harness::http::send;

on_both_databases![
    a_credential_is_given_shown_listed_and_removed,
    what_is_no_credential_is_refused,
    people_manage_their_own_and_those_of_their_tokens,
    credentials_are_listed_with_filters_and_pages,
    values_are_shown_nowhere,
];

const SECRET: &str = "upstream-secret-0123456789";

/// `github` has a credential of each user, `agents` of each token, `all` one for all, `headers` values of two headers
/// for each user, `open` none.
fn upstreams(scene: &Scene) {
    for (id, credential) in
        [("github", "per_user"), ("agents", "per_token"), ("all", "shared"), ("open", "none")]
    {
        let body = json!({"url": format!("https://mcp.example/{id}"), "credential": credential});
        scene.upstream(id, &body);
    }
    let names = json!(["x-api-key", "x-account"]);
    scene.upstream(
        "headers",
        &json!({"url": "https://mcp.example/headers", "credential": "per_user", "value_headers": names}),
    );
}

fn token() -> Value {
    json!({"token": SECRET})
}

fn a_credential_is_given_shown_listed_and_removed(scene: Scene) {
    upstreams(&scene);
    let path = "/v1/upstreams/github/credentials/user/u3";
    let given = scene.expect(201, &scene.admin, "PUT", path, Some(&token()));
    let expected = json!({
        "upstream_id": "github", "tenant": "default", "holder": {"id": "u3", "kind": "user"}, "user_id": "u3",
        "state": "active", "header_names": ["authorization"], "renewable": false, "may_renew": false,
        "created_at": given["created_at"], "updated_at": given["updated_at"], "expires_at": null, "orphaned_at": null,
        "revision": given["revision"],
    });
    assert_eq!(given, expected);
    let later = json!({"token": SECRET, "expires_at": "2100-01-01T00:00:00+00:00"});
    let again = scene.expect(200, &scene.admin, "PUT", path, Some(&later));
    assert_eq!(
        (&again["created_at"], &again["expires_at"]),
        (&given["created_at"], &json!("2100-01-01T00:00:00.000Z"))
    );
    assert!(again["revision"].as_u64() > given["revision"].as_u64());
    assert_eq!(scene.expect(200, &scene.admin, "GET", path, None), again);
    // Names in whatever case; what the upstream does not name is dropped.
    let headers =
        json!({"headers": {"X-API-Key": SECRET, " x-account ": "upstream-secret-7", "X-Other": "dropped"}});
    let path = "/v1/upstreams/headers/credentials/user/u3";
    let given = scene.expect(201, &scene.admin, "PUT", path, Some(&headers));
    assert_eq!(given["header_names"], json!(["x-account", "x-api-key"]));
    let shared = "/v1/upstreams/all/credentials/shared";
    let given = scene.expect(201, &scene.admin, "PUT", shared, Some(&token()));
    assert_eq!((&given["holder"], &given["user_id"]), (&json!({"id": null, "kind": "shared"}), &Value::Null));
    for path in [path, shared] {
        let removed = scene.expect(200, &scene.admin, "DELETE", path, None);
        assert_eq!(removed.as_object().unwrap().len(), 1);
        for method in ["GET", "DELETE"] {
            let gone = scene.expect(404, &scene.admin, method, path, None);
            assert_eq!(gone["detail"], "there is no such credential");
        }
    }
}

fn what_is_no_credential_is_refused(scene: Scene) {
    upstreams(&scene);
    let user = |upstream: &str| format!("/v1/upstreams/{upstream}/credentials/user/u3");
    for (path, body, place) in [
        (user("github"), json!({}), "token: give it, or headers"),
        (user("github"), json!({"token": SECRET, "headers": {"a": "b"}}), "not both"),
        (user("github"), json!({"token": ""}), "token: it is empty"),
        (user("github"), json!({"token": format!("{SECRET}\r\nx: y")}), "token: it holds a line break"),
        (user("github"), json!({"token": format!("{SECRET}\u{0}")}), "token: "),
        (user("github"), json!({"token": format!("{SECRET}é")}), "token: "),
        (user("github"), json!({"token": format!(" {SECRET}")}), "token: it begins or ends with a space"),
        (user("github"), json!({"token": format!("bearer {SECRET}")}), "token: it begins with \"Bearer \""),
        (user("github"), json!({"token": SECRET.repeat(1_000)}), "token: it has more than 16384 bytes"),
        (user("github"), json!({"token": [SECRET]}), "token: "),
        (
            user("github"),
            json!({"token": SECRET, "expires_at": "2001-01-01T00:00:00Z"}),
            "expires_at: it has passed",
        ),
        (user("github"), json!({"token": SECRET, "expires_at": "tomorrow"}), "expires_at: it must be a time"),
        (user("github"), json!({"token": SECRET, "user_id": "u1"}), "user_id"),
        (
            user("headers"),
            token(),
            "values of headers, and no token: give headers, with x-api-key, x-account",
        ),
        (user("headers"), json!({"headers": {"x-api-key": SECRET}}), "headers: x-account is missing"),
        (
            user("headers"),
            json!({"headers": {"x-api-key": SECRET, "x-account": "a\nb"}}),
            "headers: x-account: ",
        ),
        (
            user("headers"),
            json!({"headers": {"x-api-key": SECRET, "X-API-KEY": SECRET, "x-account": "7"}}),
            "twice",
        ),
        (user("headers"), json!({"headers": [SECRET]}), "headers"),
        (user("headers"), json!({"headers": {"x-api-key": 7}}), "headers"),
    ] {
        let refused = scene.expect(400, &scene.admin, "PUT", &path, Some(&body));
        let detail = refused["detail"].as_str().unwrap();
        assert!(code(&refused) == "request.invalid" && detail.contains(place), "{place}: {detail}");
        assert!(!refused.to_string().contains("upstream-secret"));
        scene.expect(404, &scene.admin, "GET", &path, None);
    }
    for (path, status, expected) in [
        (user("open"), 409, "credential.wrong_holder"),
        (user("agents"), 409, "credential.wrong_holder"),
        (user("all"), 409, "credential.wrong_holder"),
        ("/v1/upstreams/github/credentials/shared".to_owned(), 409, "credential.wrong_holder"),
        (user("nowhere"), 404, "resource.not_found"),
        ("/v1/upstreams/github/credentials/user/nobody".to_owned(), 404, "resource.not_found"),
        ("/v1/upstreams/agents/credentials/token/nothing".to_owned(), 404, "resource.not_found"),
        ("/v1/upstreams/github/credentials/project/p1".to_owned(), 404, "route.not_found"),
        ("/v1/upstreams/github/credentials/shared/u3".to_owned(), 404, "route.not_found"),
        ("/v1/upstreams/github/credentials/user/%00".to_owned(), 400, "request.invalid"),
    ] {
        let refused = scene.expect(status, &scene.admin, "PUT", &path, Some(&token()));
        assert_eq!(code(&refused), expected, "{path}: {refused}");
        if path == user("all") {
            let detail = "the upstream's credential is shared: the holder is `shared`, not a user";
            assert_eq!(refused["detail"], detail);
        }
    }
    // The same name twice has two readings.
    let body = format!(
        "{{\"headers\": {{\"x-api-key\": \"{SECRET}\", \"x-api-key\": \"x\", \"x-account\": \"7\"}}}}"
    );
    let authorization = format!("Bearer {}", scene.admin);
    let headers = [("authorization", authorization.as_str())];
    let answer = send(&scene.serving.address, "PUT", &user("headers"), &headers, body.as_bytes());
    assert_eq!(answer.status, 400);
    let (id, _) = scene.mint(&json!({"kind": "mcp", "name": "x", "user_id": "u3"}));
    scene.expect(200, &scene.admin, "DELETE", &format!("/v1/tokens/{id}"), None);
    let path = format!("/v1/upstreams/agents/credentials/token/{id}");
    assert_eq!(code(&scene.expect(409, &scene.admin, "PUT", &path, Some(&token()))), "token.not_live");
}

fn people_manage_their_own_and_those_of_their_tokens(scene: Scene) {
    upstreams(&scene);
    let me = scene.session("u3");
    let (mine, _) = scene.mint_as(&me, &json!({"kind": "mcp", "name": "mine"}));
    let (others, _) = scene.mint(&json!({"kind": "mcp", "name": "others", "user_id": "u1"}));
    let (nobodys, _) = scene.mint(&json!({"kind": "mcp", "name": "nobodys"}));
    let of_token = |id: &str| format!("/v1/upstreams/agents/credentials/token/{id}");
    let of_user = |id: &str| format!("/v1/upstreams/github/credentials/user/{id}");
    for path in [of_user("u3"), of_token(&mine)] {
        let given = scene.expect(201, &me, "PUT", &path, Some(&token()));
        assert_eq!((&given["may_renew"], &given["user_id"]), (&json!(true), &json!("u3")));
        scene.expect(200, &me, "GET", &path, None);
        // An operator sees it, and is not who it is bound to.
        assert_eq!(scene.expect(200, &scene.session("root"), "GET", &path, None)["may_renew"], false);
    }
    for path in
        [of_user("u1"), of_token(&others), of_token(&nobodys), "/v1/upstreams/all/credentials/shared".into()]
    {
        scene.expect(201, &scene.admin, "PUT", &path, Some(&token()));
    }
    // Others' are answered as those of nobody.
    for method in ["GET", "PUT", "DELETE"] {
        let body = token();
        let body = (method == "PUT").then_some(&body);
        let told = |path: &str| scene.expect(404, &me, method, path, body);
        assert_eq!(told(&of_user("u1")), told(&of_user("nobody")), "{method}");
        let unknown = told(&of_token("nothing"));
        assert_eq!(unknown["detail"], "there is no such token");
        for id in [&others, &nobodys] {
            assert_eq!(told(&of_token(id)), unknown, "{method}");
        }
        assert_eq!(told("/v1/upstreams/all/credentials/shared")["detail"], "there is no such credential");
    }
    // Of another tenant nothing is there, whatever its name is.
    let foreign = session_of("u1", "acme");
    for path in [of_user("u1"), of_token(&others)] {
        assert_eq!(scene.expect(404, &foreign, "GET", &path, None)["code"], "resource.not_found");
        scene.expect(404, &scene.acme_admin, "GET", &path, None);
        scene.expect(404, &scene.acme_admin, "PUT", &path, Some(&token()));
        scene.expect(404, &scene.acme_admin, "DELETE", &path, None);
    }
    for nobody in ["gone", "unknown"] {
        scene.expect(403, &scene.session(nobody), "PUT", &of_user(nobody), Some(&token()));
    }
    scene.expect(200, &me, "DELETE", &of_user("u3"), None);
    scene.expect(404, &me, "DELETE", &of_user("u3"), None);
    scene.expect(200, &scene.admin, "GET", &of_user("u1"), None);
}

fn credentials_are_listed_with_filters_and_pages(scene: Scene) {
    upstreams(&scene);
    let (agent, _) = scene.mint(&json!({"kind": "mcp", "name": "x", "user_id": "u3"}));
    for path in [
        "/v1/upstreams/github/credentials/user/u1".to_owned(),
        "/v1/upstreams/github/credentials/user/u3".to_owned(),
        format!("/v1/upstreams/agents/credentials/token/{agent}"),
        "/v1/upstreams/all/credentials/shared".to_owned(),
    ] {
        scene.expect(201, &scene.admin, "PUT", &path, Some(&token()));
    }
    let listed = |who: &str, query: &str| -> Vec<String> {
        let mut rows = Vec::new();
        let mut after = String::new();
        loop {
            let page = scene.expect(200, who, "GET", &format!("/v1/credentials?{query}{after}"), None);
            rows.extend(page["credentials"].as_array().unwrap().iter().map(|row| {
                let holder = &row["holder"];
                let id = holder["id"].as_str().unwrap_or("-").replace(&agent, "agent");
                format!("{}/{}/{id}", row["upstream_id"].as_str().unwrap(), holder["kind"].as_str().unwrap())
            }));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return rows,
            }
        }
    };
    let all = ["agents/token/agent", "all/shared/-", "github/user/u1", "github/user/u3"];
    for query in ["", "limit=1", "limit=3"] {
        assert_eq!(listed(&scene.admin, query), all, "{query}");
    }
    let agent_id = format!("holder_id={agent}");
    for (query, expected) in [
        ("upstream_id=github", &all[2..]),
        ("holder=shared", &all[1..2]),
        ("holder=user&holder_id=u1", &all[2..3]),
        (&agent_id, &all[..1]),
        ("user_id=u3", &["agents/token/agent", "github/user/u3"]),
        ("state=orphaned", &all[..1]),
        ("state=active&upstream_id=all", &all[1..2]),
        ("state=needs_reauth", &[]),
        ("search=GIT", &all[2..]),
        ("search=U1", &all[2..3]),
        ("search=%25", &[]),
        ("search=_", &[]),
    ] {
        assert_eq!(listed(&scene.admin, query), expected, "{query}");
    }
    let me = scene.session("u3");
    assert_eq!(listed(&me, ""), ["agents/token/agent", "github/user/u3"]);
    assert_eq!(listed(&me, "user_id=u3&holder=user"), ["github/user/u3"]);
    for query in ["user_id=u1", "all=true"] {
        let denied = scene.expect(403, &me, "GET", &format!("/v1/credentials?{query}"), None);
        assert_eq!(denied["reason"], "management.not_your_credential", "{query}");
    }
    assert!(listed(&scene.session("u4"), "").is_empty());
    assert_eq!(listed(&scene.session("root"), "all=true"), all);
    assert!(listed(&scene.acme_admin, "").is_empty());
    for wrong in ["holder=project", "state=x", "limit=0", "after=x", "after=user:9:a:b", "search=", "token=x"]
    {
        scene.expect(400, &scene.admin, "GET", &format!("/v1/credentials?{wrong}"), None);
    }
}

fn values_are_shown_nowhere(scene: Scene) {
    upstreams(&scene);
    let path = "/v1/upstreams/github/credentials/user/u3";
    scene.expect(201, &scene.admin, "PUT", path, Some(&token()));
    let headers = json!({"headers": {"x-api-key": SECRET, "x-account": SECRET}});
    scene.expect(201, &scene.admin, "PUT", "/v1/upstreams/headers/credentials/user/u3", Some(&headers));
    scene.expect(400, &scene.admin, "PUT", path, Some(&json!({"token": SECRET, "tokens": SECRET})));
    let mut said = scene.serving.log();
    for path in [path, "/v1/credentials", "/v1/credential-flows", "/v1/upstreams", "/openapi.json"] {
        said += &scene.call(&scene.admin, "GET", path, None).json().to_string();
    }
    assert!(!said.contains(SECRET));
    // The database has it sealed.
    if let Some(file) = scene.url.strip_prefix("sqlite://") {
        let mut bytes = std::fs::read(scene.folder.path().join(file)).unwrap();
        bytes.extend(std::fs::read(scene.folder.path().join(format!("{file}-wal"))).unwrap_or_default());
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    }
}

#[test]
fn rules_see_whose_credential_it_is_and_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "package regate\n\ndecision := false\n";
    std::fs::write(folder.path().join("regate.rego"), rules).unwrap();
    let rules = "package regate.management\n\ndecision := {\"allow\": allow, \"message\": json.marshal(input.management)}\n\n\
        default allow := false\n\nallow if input.management.operation == \"upstreams.put\"\n\n\
        allow if input.management.holder == null\n";
    std::fs::write(folder.path().join("management.rego"), rules).unwrap();
    let settings = format!("[policy]\nfolder = {:?}\n", folder.path().to_str().unwrap());
    let scene = Scene::over("sqlite://regate.sqlite", &settings);
    upstreams(&scene);
    // Whoever may read it is told why it may not be written; nobody may here, so another way is needed to look.
    let rules = rules.replace("allow if input.management.holder == null\n", "allow if input.request.method == \"GET\"\n\n\
        allow if {\n\tinput.management.holder == null\n\tnot input.management.operation == \"flows.complete\"\n}\n");
    std::fs::write(folder.path().join("management.rego"), rules).unwrap();
    let reloaded = scene.call(&scene.admin, "POST", "/v1/policies/reload", None);
    assert!(matches!(reloaded.status, 200 | 403), "{}", reloaded.json());
    scene.until(|| {
        let answer = scene.call(&scene.admin, "PUT", "/v1/upstreams/github/credentials/user/u3", Some(&token()));
        if answer.status != 403 {
            return None;
        }
        let seen: Value = serde_json::from_str(answer.json()["detail"].as_str().unwrap()).unwrap();
        let expected = json!({
            "body": null, "holder": {"id": "u3", "kind": "user", "user_id": "u3"}, "operation": "credentials.put",
            "token": null, "upstream": "github",
        });
        assert_eq!(seen, expected);
        Some(())
    });
    let denied = scene.expect(403, &scene.admin, "POST", "/v1/credential-flows/x", Some(&token()));
    let seen: Value = serde_json::from_str(denied["detail"].as_str().unwrap()).unwrap();
    assert_eq!((&seen["body"], &seen["operation"]), (&Value::Null, &json!("flows.complete")));
}
