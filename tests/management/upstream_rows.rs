//! Each row of group B of the real systems that regate must be able to stand in for, through HTTP.

use std::{thread, time::Duration};

use regate::types::{Clock, SystemClock};
use serde_json::{Value, json};

use super::{
    scene::{Scene, code},
    walk::Row,
};
use crate::harness::{http::send, program::Serving};

pub const ROWS: &[Row] = &[
    ("B1: a token reaches its grants and what is open to all, and nothing else", b1),
    ("B2: a grant is lost: credentials are orphaned, pending flows are gone at once", b2),
    ("B3: the grant returns: the same credentials are active again", b3),
    ("B4: needs_update is not touched by grants in either direction", b4),
    ("B5: users' credentials do not follow the grants of tokens", b5),
    ("B6: from either side, and a change of something else does nothing", b6),
    ("B7: one transaction with its cause, and doing it again changes nothing", b7),
    ("B8: changes at once on overlapping sets never fail and lose nothing", b8),
    ("B9: grant, state and expiry are asked at the moment of the question", b9),
    ("B10: with a user, a token or an upstream go its credentials and flows", b10),
    ("B11: a denial says where consent helps; flows are late, unknown, somebody else's", b11),
    ("B12: a credential goes after its flows", b12),
    ("B13: header names in lower case and trimmed, undeclared ones dropped, values never shown", b13),
    ("B14: expired flows are swept", b14),
    ("B15: lists with filters, search, pages, and who may renew", b15),
];

const SECRET: &str = "upstream-secret-of-a-row";

/// An upstream that nothing else knows, with a credential for each token.
fn upstream(scene: &Scene, id: &str, more: Value) {
    let mut body = json!({"url": format!("https://{id}.example"), "credential": "per_token"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    scene.upstream(id, &body);
}

/// A token of a user whom no other row has: a user has 20 at most.
fn agent(scene: &Scene, user: &str) -> (String, String) {
    scene.call(&scene.admin, "PUT", &format!("/v1/users/{user}"), Some(&json!({})));
    scene.mint(&json!({"kind": "mcp", "name": "agent", "user_id": user}))
}

fn grant(scene: &Scene, token: &str, upstreams: &[&str]) -> Value {
    let body = json!({"upstreams": upstreams});
    scene.expect(200, &scene.admin, "PUT", &format!("/v1/tokens/{token}/grants"), Some(&body))
}

fn of_token(upstream: &str, token: &str) -> String {
    format!("/v1/upstreams/{upstream}/credentials/token/{token}")
}

fn give(scene: &Scene, path: &str) -> Value {
    let answer = scene.call(&scene.admin, "PUT", path, Some(&json!({"token": SECRET})));
    assert!(matches!(answer.status, 200 | 201), "{}", answer.json());
    answer.json()
}

fn state(scene: &Scene, path: &str) -> String {
    scene.expect(200, &scene.admin, "GET", path, None)["state"].as_str().unwrap().to_owned()
}

/// What an authenticated gateway is told about an MCP request to the upstream.
fn ask(scene: &Scene, gateway: &str, token: &str, upstream: &str) -> Value {
    let question =
        json!({"token": token, "upstream": upstream, "request": {"method": "POST", "path": "/mcp"}});
    let authorization = format!("Bearer {gateway}");
    let headers = [("authorization", authorization.as_str())];
    send(&scene.serving.address, "POST", "/v1/decide", &headers, question.to_string().as_bytes()).json()
}

fn gateway(scene: &Scene) -> String {
    scene.mint(&json!({"kind": "gateway", "name": "edge"})).1
}

/// Begins a flow for this token as the operator; gives its path.
fn begin(scene: &Scene, upstream: &str, token: &str) -> String {
    let body = json!({"upstream_id": upstream, "holder": {"kind": "token", "id": token}});
    let flow = scene.expect(201, &scene.admin, "POST", "/v1/credential-flows", Some(&body));
    format!("/v1/credential-flows/{}", flow["id"].as_str().unwrap())
}

fn complete(scene: &Scene, status: u16, flow: &str) -> Value {
    scene.expect(status, &scene.admin, "POST", flow, Some(&json!({"token": SECRET})))
}

fn b1(scene: &Scene) {
    let (gateway, (id, token)) = (gateway(scene), agent(scene, "person-b1"));
    for upstream_id in ["b1", "b1-open", "b1-other"] {
        upstream(scene, upstream_id, json!({"credential": "none", "allow_all": upstream_id == "b1-open"}));
    }
    let reaches = || {
        ["b1", "b1-open", "b1-other", "nowhere"].map(|upstream| {
            let told = ask(scene, &gateway, &token, upstream);
            told["reason"].as_str().unwrap().to_owned()
        })
    };
    assert_eq!(
        reaches(),
        ["upstream.not_granted", "mcp_token.mcp", "upstream.not_granted", "upstream.unknown"]
    );
    grant(scene, &id, &["b1"]);
    assert_eq!(reaches(), ["mcp_token.mcp", "mcp_token.mcp", "upstream.not_granted", "upstream.unknown"]);
}

fn b2(scene: &Scene) {
    upstream(scene, "b2", json!({}));
    let (id, _) = agent(scene, "person-b2");
    grant(scene, &id, &["b2"]);
    let path = of_token("b2", &id);
    assert_eq!(give(scene, &path)["state"], "active");
    let flow = begin(scene, "b2", &id);
    grant(scene, &id, &[]);
    assert_eq!(state(scene, &path), "orphaned");
    assert_eq!(code(&complete(scene, 404, &flow)), "resource.not_found");
    assert_eq!(state(scene, &path), "orphaned");
}

fn b3(scene: &Scene) {
    upstream(scene, "b3", json!({}));
    let (gateway, (id, token)) = (gateway(scene), agent(scene, "person-b3"));
    grant(scene, &id, &["b3"]);
    let path = of_token("b3", &id);
    let given = give(scene, &path);
    let told = |reason: &str| assert_eq!(ask(scene, &gateway, &token, "b3")["reason"], reason);
    told("mcp_token.mcp");
    grant(scene, &id, &[]);
    told("upstream.not_granted");
    grant(scene, &id, &["b3"]);
    told("mcp_token.mcp");
    let again = scene.expect(200, &scene.admin, "GET", &path, None);
    assert_eq!(
        (&again["state"], &again["created_at"], &again["updated_at"]),
        (&json!("active"), &given["created_at"], &given["updated_at"])
    );
}

/// What an authorization server renews no more (`needs_reauth`): `credentials::renewed` and `store::upstreams`.
fn b4(scene: &Scene) {
    upstream(scene, "b4", json!({}));
    let (id, _) = agent(scene, "person-b4");
    grant(scene, &id, &["b4"]);
    let path = of_token("b4", &id);
    give(scene, &path);
    scene.upstream("b4", &json!({"value_headers": ["x-api-key", "x-account"]}));
    for upstreams in [&[][..], &["b4"], &[]] {
        assert_eq!(state(scene, &path), "needs_update");
        grant(scene, &id, upstreams);
    }
    assert_eq!(state(scene, &path), "needs_update");
}

fn b5(scene: &Scene) {
    // A user and a token of the same name.
    let row =
        json!({"id": "u1", "kind": "mcp", "name": "x", "sha256": regate::auth::hash("b5_key").to_string()});
    scene.expect(200, &scene.admin, "POST", "/v1/import", Some(&json!({"tokens": [row]})));
    upstream(scene, "b5-users", json!({"credential": "per_user"}));
    upstream(scene, "b5-tokens", json!({}));
    grant(scene, "u1", &["b5-users", "b5-tokens"]);
    let (user, token) = ("/v1/upstreams/b5-users/credentials/user/u1", of_token("b5-tokens", "u1"));
    give(scene, user);
    give(scene, &token);
    grant(scene, "u1", &[]);
    assert_eq!((state(scene, user), state(scene, &token)), ("active".into(), "orphaned".into()));
}

fn b6(scene: &Scene) {
    upstream(scene, "b6", json!({}));
    upstream(scene, "b6-other", json!({}));
    let (id, _) = agent(scene, "person-b6");
    let paths = ["b6", "b6-other"].map(|upstream| of_token(upstream, &id));
    grant(scene, &id, &["b6", "b6-other"]);
    paths.iter().for_each(|path| drop(give(scene, path)));
    let states = || paths.each_ref().map(|path| state(scene, path));
    let put = |path: &str, body: Value| scene.expect(200, &scene.admin, "PUT", path, Some(&body));
    put("/v1/upstreams/b6/grants", json!({"tokens": []}));
    assert_eq!(states(), ["orphaned", "active"]);
    put("/v1/upstreams/b6/grants", json!({"tokens": [], "allow_all": true}));
    assert_eq!(states(), ["active", "active"]);
    put("/v1/upstreams/b6", json!({"allow_all": false}));
    assert_eq!(states(), ["orphaned", "active"]);
    // Another address, and another name of the token: nothing of it.
    put("/v1/upstreams/b6", json!({"url": "https://elsewhere.example"}));
    scene.expect(200, &scene.admin, "PATCH", &format!("/v1/tokens/{id}"), Some(&json!({"name": "renamed"})));
    assert_eq!(states(), ["orphaned", "active"]);
    put("/v1/upstreams/b6/grants", json!({"tokens": [id]}));
    assert_eq!(states(), ["active", "active"]);
}

fn b7(scene: &Scene) {
    upstream(scene, "b7", json!({}));
    let (id, _) = agent(scene, "person-b7");
    let first = grant(scene, &id, &["b7"]);
    let path = of_token("b7", &id);
    give(scene, &path);
    // A half that cannot be done leaves the other half undone.
    let body = json!({"upstreams": ["nowhere"]});
    scene.expect(400, &scene.admin, "PUT", &format!("/v1/tokens/{id}/grants"), Some(&body));
    assert_eq!(state(scene, &path), "active");
    let lost = grant(scene, &id, &[]);
    assert_eq!(
        lost["revision"].as_u64(),
        first["revision"].as_u64().map(|revision| revision + 2),
        "one revision"
    );
    let again = grant(scene, &id, &[]);
    assert_eq!((&again["changed"], &again["revision"]), (&json!(false), &lost["revision"]));
    assert_eq!(state(scene, &path), "orphaned");
}

fn b8(scene: &Scene) {
    let names = ["b8-a", "b8-b", "b8-c"];
    names.iter().for_each(|id| upstream(scene, id, json!({})));
    let tokens = [agent(scene, "person-b8").0, agent(scene, "person-b8").0];
    for token in &tokens {
        grant(scene, token, &names);
        names.iter().for_each(|id| drop(give(scene, &of_token(id, token))));
    }
    thread::scope(|threads| {
        for token in &tokens {
            threads.spawn(move || {
                for round in 0..12 {
                    let mut some = names[round % 3..].to_vec();
                    if round % 2 == 0 {
                        some.reverse();
                    }
                    grant(scene, token, &some);
                }
                grant(scene, token, &names[..1]);
            });
        }
        let both = json!({"tokens": tokens});
        threads.spawn(move || {
            for _ in 0..12 {
                scene.expect(200, &scene.admin, "PUT", "/v1/upstreams/b8-a/grants", Some(&both));
            }
        });
    });
    for token in &tokens {
        for id in names {
            let granted = scene.expect(200, &scene.admin, "GET", &format!("/v1/tokens/{token}/grants"), None);
            let granted = granted["upstreams"].as_array().unwrap().contains(&json!(id));
            let expected = if granted { "active" } else { "orphaned" };
            assert_eq!(state(scene, &of_token(id, token)), expected, "{id}");
        }
    }
}

fn b9(scene: &Scene) {
    upstream(scene, "b9", json!({}));
    let (gateway, (id, token)) = (gateway(scene), agent(scene, "person-b9"));
    grant(scene, &id, &["b9"]);
    let soon = SystemClock.now().later_by(Duration::from_secs(3)).to_string();
    let body = json!({"token": SECRET, "expires_at": soon});
    scene.expect(201, &scene.admin, "PUT", &of_token("b9", &id), Some(&body));
    let told = ask(scene, &gateway, &token, "b9");
    assert_eq!(told["headers"]["set"]["authorization"], format!("Bearer {SECRET}"), "{}", told["reason"]);
    scene.until(|| {
        let told = ask(scene, &gateway, &token, "b9");
        (told["reason"] == "upstream.credential_missing").then_some(())
    });
    assert_eq!(state(scene, &of_token("b9", &id)), "active", "a state alone is never enough");
}

fn b10(scene: &Scene) {
    scene.expect(201, &scene.admin, "PUT", "/v1/users/b10", Some(&json!({})));
    upstream(scene, "b10-users", json!({"credential": "per_user"}));
    upstream(scene, "b10-tokens", json!({}));
    upstream(scene, "b10-gone", json!({"credential": "per_user"}));
    let (id, _) = agent(scene, "b10");
    grant(scene, &id, &["b10-tokens"]);
    give(scene, "/v1/upstreams/b10-users/credentials/user/b10");
    give(scene, "/v1/upstreams/b10-gone/credentials/user/b10");
    give(scene, &of_token("b10-tokens", &id));
    let flow = begin(scene, "b10-tokens", &id);
    let count = |list: &str, rows: &str| {
        let listed = scene.expect(200, &scene.admin, "GET", &format!("{list}?search=b10-"), None);
        listed[rows].as_array().unwrap().len()
    };
    assert_eq!((count("/v1/credentials", "credentials"), count("/v1/credential-flows", "flows")), (3, 1));
    scene.expect(200, &scene.admin, "DELETE", "/v1/upstreams/b10-gone", None);
    assert_eq!(count("/v1/credentials", "credentials"), 2);
    scene.expect(200, &scene.admin, "DELETE", "/v1/users/b10", None);
    assert_eq!((count("/v1/credentials", "credentials"), count("/v1/credential-flows", "flows")), (0, 0));
    complete(scene, 404, &flow);
}

fn b11(scene: &Scene) {
    upstream(scene, "b11", json!({}));
    let (gateway, (id, token)) = (gateway(scene), agent(scene, "person-b11"));
    grant(scene, &id, &["b11"]);
    let told = ask(scene, &gateway, &token, "b11");
    assert_eq!((&told["allow"], &told["reason"]), (&json!(false), &json!("upstream.credential_missing")));
    let place = told["connect_url"].as_str().unwrap();
    assert_eq!(place, format!("http://{}/v1/credential-flows?upstream_id=b11", scene.serving.address));
    // Where it leads the person begins a flow.
    let me = scene.session("person-b11");
    let holder = json!({"upstream_id": "b11", "holder": {"kind": "token", "id": id}});
    let flow = scene.expect(201, &me, "POST", "/v1/credential-flows", Some(&holder));
    let minutes = |field: &str| flow[field].as_str().unwrap()[14..16].parse::<u32>().unwrap();
    assert_eq!((minutes("created_at") + 15) % 60, minutes("expires_at"));
    let path = format!("/v1/credential-flows/{}", flow["id"].as_str().unwrap());
    let body = json!({"token": SECRET});
    scene.expect(400, &me, "POST", &path, Some(&json!({})));
    scene.expect(404, &me, "POST", "/v1/credential-flows/unknown", Some(&body));
    for other in [&scene.session("u1"), &scene.admin] {
        scene.expect(403, other, "POST", &path, Some(&body));
    }
    super::flows::expired(scene, "b11-late", "b11", &id, "person-b11", super::flows::LATELY);
    let late = scene.expect(410, &me, "POST", "/v1/credential-flows/b11-late", Some(&body));
    assert_eq!(code(&late), "credential_flow.expired");
    scene.expect(200, &me, "POST", &path, Some(&body));
    assert_eq!(ask(scene, &gateway, &token, "b11")["allow"], true);
    // None helps an orphaned one.
    grant(scene, &id, &[]);
    assert_eq!(ask(scene, &gateway, &token, "b11")["connect_url"], Value::Null);
}

fn b12(scene: &Scene) {
    upstream(scene, "b12", json!({}));
    let (id, _) = agent(scene, "person-b12");
    grant(scene, &id, &["b12"]);
    let path = of_token("b12", &id);
    give(scene, &path);
    let flow = begin(scene, "b12", &id);
    scene.expect(200, &scene.admin, "DELETE", &path, None);
    complete(scene, 404, &flow);
    scene.expect(404, &scene.admin, "GET", &path, None);
    // A flow alone is taken back in the same way.
    let flow = begin(scene, "b12", &id);
    scene.expect(200, &scene.admin, "DELETE", &path, None);
    complete(scene, 404, &flow);
}

fn b13(scene: &Scene) {
    upstream(scene, "b13", json!({"value_headers": ["X-API-Key", "x-account"]}));
    let (gateway, (id, token)) = (gateway(scene), agent(scene, "person-b13"));
    grant(scene, &id, &["b13"]);
    let path = of_token("b13", &id);
    let headers = json!({" X-Api-KEY ": SECRET, "X-ACCOUNT": "upstream-secret-7", "x-undeclared": "dropped"});
    let given = scene.expect(201, &scene.admin, "PUT", &path, Some(&json!({"headers": headers})));
    assert_eq!(given["header_names"], json!(["x-account", "x-api-key"]));
    assert!(!given.to_string().contains("upstream-secret"));
    let set = ask(scene, &gateway, &token, "b13")["headers"]["set"].clone();
    assert!(set == json!({"x-account": "upstream-secret-7", "x-api-key": SECRET}), "other headers are set");
}

/// Credentials that were orphaned for too long: `store::upstreams`.
fn b14(scene: &Scene) {
    upstream(scene, "b14", json!({}));
    let (id, _) = agent(scene, "person-b14");
    grant(scene, &id, &["b14"]);
    super::flows::expired(scene, "b14-late", "b14", &id, "person-b14", Duration::from_secs(2 * 60 * 60));
    // Every process sweeps when it starts.
    let url = scene.database_url();
    let _other = Serving::start(scene.folder.path(), &["--config", "regate.toml", "--database-url", &url]);
    scene.until(|| {
        let answer = scene.call(&scene.admin, "DELETE", "/v1/credential-flows/b14-late", None);
        (answer.status == 404).then_some(())
    });
}

fn b15(scene: &Scene) {
    upstream(scene, "b15", json!({}));
    let me = scene.session("u4");
    let (id, _) = scene.mint_as(&me, &json!({"kind": "mcp", "name": "mine"}));
    grant(scene, &id, &["b15"]);
    give(scene, &of_token("b15", &id));
    let query = format!("upstream_id=b15&holder=token&holder_id={id}&state=active&search=B1&limit=1");
    for (who, may_renew) in [(&me, true), (&scene.admin, false), (&scene.session("root"), false)] {
        let all = if who == &scene.session("root") { "&all=true" } else { "" };
        let listed = scene.expect(200, who, "GET", &format!("/v1/credentials?{query}{all}"), None);
        let [row] = &listed["credentials"].as_array().unwrap()[..] else { panic!("{listed}") };
        assert_eq!((&row["may_renew"], &listed["next"]), (&json!(may_renew), &Value::Null));
        assert!(["created_at", "updated_at", "header_names"].iter().all(|field| !row[*field].is_null()));
    }
    let flow = begin(scene, "b15", &id);
    let listed = scene.expect(200, &me, "GET", &format!("/v1/credential-flows?holder_id={id}"), None);
    assert_eq!(format!("/v1/credential-flows/{}", listed["flows"][0]["id"].as_str().unwrap()), flow);
}
