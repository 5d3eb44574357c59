//! Consent flows over HTTP: begun, completed once by whoever began them, cancelled, too late.

use std::time::Duration;

use regate::{
    store::{
        self, ConnectOptions,
        upstreams::{BegunBy, CredentialKey, NewFlow},
    },
    types::{Clock, Holder, SystemClock, TenantId},
};
use serde_json::{Value, json};

use super::{
    on_both_databases,
    scene::{Scene, code, session_of},
};
use crate::harness::oauth::{CLIENT_SECRET, OauthServer};

on_both_databases![
    a_flow_is_completed_with_a_value_once,
    a_flow_is_completed_with_consent,
    only_who_began_a_flow_completes_it,
    what_cannot_begin_is_refused,
    a_flow_that_is_late_or_cancelled_or_lost_is_over,
    flows_are_listed_with_filters_and_pages,
    without_a_key_nothing_is_taken,
];

const SECRET: &str = "upstream-secret-of-a-flow";
const BACK: &str = "https://gateway.example/consented";

fn upstreams(scene: &Scene) {
    for (id, credential) in
        [("github", "per_user"), ("agents", "per_token"), ("all", "shared"), ("open", "none")]
    {
        let body = json!({"url": format!("https://mcp.example/{id}"), "credential": credential});
        scene.upstream(id, &body);
    }
}

fn begin(scene: &Scene, who: &str, body: &Value) -> Value {
    scene.expect(201, who, "POST", "/v1/credential-flows", Some(body))
}

fn path(flow: &Value) -> String {
    format!("/v1/credential-flows/{}", flow["id"].as_str().unwrap())
}

fn a_flow_is_completed_with_a_value_once(scene: Scene) {
    upstreams(&scene);
    let me = scene.session("u3");
    let flow = begin(&scene, &me, &json!({"upstream_id": "github"}));
    let expected = json!({
        "id": flow["id"], "upstream_id": "github", "tenant": "default", "holder": {"id": "u3", "kind": "user"},
        "user_id": "u3", "state": "pending", "kind": "values", "header_names": [], "may_complete": true,
        "created_at": flow["created_at"], "expires_at": flow["expires_at"], "authorization_url": null,
    });
    assert_eq!(flow, expected);
    let complete = |status, body: Value| scene.expect(status, &me, "POST", &path(&flow), Some(&body));
    for (body, place) in [
        (json!({}), "give it, or headers, or code and state"),
        (json!({"token": ""}), "token: it is empty"),
        (json!({"token": SECRET, "headers": {}}), "not both"),
        (json!({"token": SECRET, "code": "c", "state": "s"}), "not both"),
        (json!({"code": "c"}), "state: it comes with the code"),
        (json!({"state": "s"}), "code: it comes with the state"),
        (json!({"code": "c", "state": "s"}), "completed with a credential"),
        (json!({"headers": {"x-other": SECRET}}), "authorization is missing"),
        (json!({"token": SECRET, "upstream_id": "github"}), "upstream_id"),
    ] {
        let refused = complete(400, body);
        let detail = refused["detail"].as_str().unwrap();
        assert!(code(&refused) == "request.invalid" && detail.contains(place), "{place}: {detail}");
        assert!(!detail.contains(SECRET));
    }
    // What was wrong left it as it was.
    let credential = complete(200, json!({"token": SECRET}));
    assert_eq!(
        (&credential["state"], &credential["holder"], &credential["may_renew"]),
        (&json!("active"), &json!({"id": "u3", "kind": "user"}), &json!(true))
    );
    // It was good for one time, and is gone.
    assert_eq!(code(&complete(404, json!({"token": SECRET}))), "resource.not_found");
    let listed = scene.expect(200, &me, "GET", "/v1/credential-flows", None);
    assert_eq!(listed["flows"], json!([]));
}

fn a_flow_is_completed_with_consent(scene: Scene) {
    let server = OauthServer::start();
    let settings = server.settings();
    let oauth = serde_json::to_value(&settings).unwrap();
    scene.upstream(
        "github",
        &json!({"url": "https://mcp.example/github", "credential": "per_user", "oauth": oauth}),
    );
    let secret = json!({"client_secret": CLIENT_SECRET});
    scene.expect(200, &scene.admin, "PUT", "/v1/upstreams/github/oauth/client-secret", Some(&secret));
    let me = scene.session("u3");
    // The only address that is configured is taken when none is named.
    let flow = begin(&scene, &me, &json!({"upstream_id": "github"}));
    assert_eq!((&flow["kind"], &flow["header_names"]), (&json!("consent"), &json!([])));
    let url = flow["authorization_url"].as_str().unwrap();
    assert!(url.starts_with(&settings.authorization_endpoint) && url.contains("code_challenge_method=S256"));
    let (given, state) = server.consent(url, BACK);
    let complete = |status, body: Value| scene.expect(status, &me, "POST", &path(&flow), Some(&body));
    let wrong = complete(400, json!({"code": given, "state": "x".repeat(43)}));
    assert_eq!(code(&wrong), "request.invalid");
    let by_hand = complete(400, json!({"token": SECRET}));
    assert!(by_hand["detail"].as_str().unwrap().contains("code and the state"), "{by_hand}");
    let done = complete(200, json!({"code": given, "state": state}));
    assert_eq!((&done["renewable"], &done["state"]), (&json!(true), &json!("active")));
    assert!(done["expires_at"].is_string());
    // A code that is not taken ends the flow.
    let flow = begin(&scene, &me, &json!({"upstream_id": "github", "redirect_uri": BACK}));
    let (_, state) = server.consent(flow["authorization_url"].as_str().unwrap(), BACK);
    let body = json!({"code": "none", "state": state});
    let refused = scene.expect(502, &me, "POST", &path(&flow), Some(&body));
    assert_eq!(code(&refused), "credential_flow.not_exchanged");
    let over = scene.expect(409, &me, "POST", &path(&flow), Some(&body));
    assert_eq!(code(&over), "credential_flow.completed");
    // What is shown once is not in the list.
    let listed = scene.expect(200, &me, "GET", "/v1/credential-flows", None).to_string();
    assert!(!listed.contains("authorization_url") && !listed.contains("state="));
    let body = json!({"upstream_id": "github", "redirect_uri": "https://evil.example/"});
    let refused = scene.expect(400, &me, "POST", "/v1/credential-flows", Some(&body));
    assert!(refused["detail"].as_str().unwrap().contains("redirect_uri"), "{refused}");
}

fn only_who_began_a_flow_completes_it(scene: Scene) {
    upstreams(&scene);
    let (me, other) = (scene.session("u3"), scene.session("u1"));
    let flow = begin(&scene, &me, &json!({"upstream_id": "github"}));
    let body = json!({"token": SECRET});
    for method in ["POST", "DELETE"] {
        let sent = (method == "POST").then_some(&body);
        let denied = scene.expect(403, &other, method, &path(&flow), sent);
        assert_eq!(
            (code(&denied), &denied["reason"]),
            ("management.denied", &json!("management.not_your_credential"))
        );
        for foreign in [&scene.acme_admin, &session_of("u3", "acme"), &session_of("root", "acme")] {
            let answer = scene.call(foreign, method, &path(&flow), sent);
            assert!(matches!(answer.status, 403 | 404), "{}", answer.status);
        }
    }
    // Not even an operator, who may see and cancel it.
    for operator in [&scene.admin, &scene.session("root")] {
        let denied = scene.expect(403, operator, "POST", &path(&flow), Some(&body));
        assert_eq!(code(&denied), "credential_flow.not_yours");
    }
    scene.expect(200, &me, "POST", &path(&flow), Some(&body));
    // What an operator begins for somebody, that one does not complete either.
    let holder = json!({"upstream_id": "github", "holder": {"kind": "user", "id": "u1"}});
    let flow = begin(&scene, &scene.admin, &holder);
    assert_eq!(flow["may_complete"], true);
    let denied = scene.expect(403, &other, "POST", &path(&flow), Some(&body));
    assert_eq!(code(&denied), "credential_flow.not_yours");
    scene.expect(200, &scene.admin, "POST", &path(&flow), Some(&body));
}

fn what_cannot_begin_is_refused(scene: Scene) {
    upstreams(&scene);
    let me = scene.session("u3");
    let (mine, _) = scene.mint_as(&me, &json!({"kind": "mcp", "name": "mine"}));
    let (others, _) = scene.mint(&json!({"kind": "mcp", "name": "others", "user_id": "u1"}));
    let with = |upstream: &str, kind: &str, id: &str| json!({"upstream_id": upstream, "holder": {"kind": kind, "id": id}});
    for (who, body, status, expected) in [
        (&me, json!({}), 400, "request.invalid"),
        (&me, json!({"upstream_id": ""}), 400, "request.invalid"),
        (&me, json!({"upstream_id": "nowhere"}), 404, "resource.not_found"),
        (&me, json!({"upstream_id": "open"}), 409, "credential.wrong_holder"),
        (&me, json!({"upstream_id": "agents"}), 409, "credential.wrong_holder"),
        (&me, json!({"upstream_id": "github", "redirect_uri": BACK}), 400, "request.invalid"),
        (&me, json!({"upstream_id": "github", "headers": {}}), 400, "request.invalid"),
        (&me, with("github", "project", "p1"), 400, "request.invalid"),
        (&me, with("all", "shared", "x"), 400, "request.invalid"),
        (&me, json!({"upstream_id": "github", "holder": {"kind": "user"}}), 400, "request.invalid"),
        (&me, with("agents", "token", &mine), 409, "credential.not_granted"),
        (&me, with("agents", "token", &others), 404, "resource.not_found"),
        (&me, with("agents", "token", "nothing"), 404, "resource.not_found"),
        (&me, with("github", "user", "u1"), 404, "resource.not_found"),
        (&me, json!({"upstream_id": "all", "holder": {"kind": "shared"}}), 404, "resource.not_found"),
        (&scene.admin, json!({"upstream_id": "github"}), 400, "request.invalid"),
        (&scene.admin, with("github", "user", "nobody"), 400, "request.invalid"),
    ] {
        let refused = scene.expect(status, who, "POST", "/v1/credential-flows", Some(&body));
        assert_eq!(code(&refused), expected, "{body}: {refused}");
    }
    let shared = json!({"upstream_id": "all", "holder": {"kind": "shared", "id": null}});
    assert_eq!(begin(&scene, &scene.admin, &shared)["holder"], json!({"id": null, "kind": "shared"}));
    let grants = json!({"upstreams": ["agents"]});
    scene.expect(200, &scene.admin, "PUT", &format!("/v1/tokens/{mine}/grants"), Some(&grants));
    let flow = begin(&scene, &me, &with("agents", "token", &mine));
    let given = scene.expect(200, &me, "POST", &path(&flow), Some(&json!({"token": SECRET})));
    assert_eq!((&given["holder"]["id"], &given["user_id"]), (&json!(mine), &json!("u3")));
}

fn a_flow_that_is_late_or_cancelled_or_lost_is_over(scene: Scene) {
    upstreams(&scene);
    let me = scene.session("u3");
    let body = json!({"token": SECRET});
    let complete = |status, flow: &Value| scene.expect(status, &me, "POST", &path(flow), Some(&body));
    let unknown = complete(404, &json!({"id": "nothing"}));
    assert_eq!((code(&unknown), &unknown["detail"]), ("resource.not_found", &json!("there is no such flow")));
    put_expired(&scene, "late", "github", Holder::User("u3".to_owned()), "u3", LATELY);
    let late = complete(410, &json!({"id": "late"}));
    assert_eq!(code(&late), "credential_flow.expired");
    let cancelled = begin(&scene, &me, &json!({"upstream_id": "github"}));
    scene.expect(200, &me, "DELETE", &path(&cancelled), None);
    assert_eq!(complete(404, &cancelled), unknown);
    assert_eq!(scene.expect(404, &me, "DELETE", &path(&cancelled), None), unknown);
    // To take a credential back takes its flows as well, so that a late completion does not bring it back.
    let credential = "/v1/upstreams/github/credentials/user/u3";
    scene.expect(201, &me, "PUT", credential, Some(&body));
    let pending = begin(&scene, &me, &json!({"upstream_id": "github"}));
    scene.expect(200, &me, "DELETE", credential, None);
    assert_eq!(complete(404, &pending), unknown);
    scene.expect(404, &me, "GET", credential, None);
    // So does a grant that is lost.
    let (agent, _) = scene.mint_as(&me, &json!({"kind": "mcp", "name": "x"}));
    let grants = format!("/v1/tokens/{agent}/grants");
    scene.expect(200, &scene.admin, "PUT", &grants, Some(&json!({"upstreams": ["agents"]})));
    let holder = json!({"upstream_id": "agents", "holder": {"kind": "token", "id": agent}});
    let pending = begin(&scene, &me, &holder);
    scene.expect(200, &scene.admin, "PUT", &grants, Some(&json!({"upstreams": []})));
    assert_eq!(complete(404, &pending), unknown);
}

/// A flow that this user began for this holder and whose time is over, put into the database by hand.
/// How long ago a flow expired that is known still.
pub const LATELY: Duration = Duration::from_secs(1);

fn put_expired(scene: &Scene, id: &str, upstream_id: &str, holder: Holder, by: &str, ago: Duration) {
    let now = SystemClock.now();
    let flow = NewFlow {
        id: id.to_owned(),
        key: CredentialKey {
            tenant: TenantId::default_tenant(),
            upstream_id: upstream_id.to_owned(),
            holder,
        },
        begun_by: BegunBy { kind: "session".to_owned(), id: by.to_owned() },
        state_sha256: None,
        verifier: None,
        redirect_uri: None,
        created_at: now.plus_days(-1),
        expires_at: now.earlier_by(ago),
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = store::connect(&scene.database_url(), ConnectOptions::default()).await.unwrap();
        store.begin_flow(&flow).await.unwrap();
        store.close().await;
    });
}

/// The same for a token.
pub fn expired(scene: &Scene, id: &str, upstream_id: &str, token: &str, by: &str, ago: Duration) {
    put_expired(scene, id, upstream_id, Holder::Token(token.to_owned()), by, ago);
}

fn flows_are_listed_with_filters_and_pages(scene: Scene) {
    upstreams(&scene);
    let names = json!(["x-api-key"]);
    scene.upstream(
        "headers",
        &json!({"url": "https://x.example", "credential": "per_user", "value_headers": names}),
    );
    let (me, other) = (scene.session("u3"), scene.session("u1"));
    let mine = [
        begin(&scene, &me, &json!({"upstream_id": "github"})),
        begin(&scene, &me, &json!({"upstream_id": "headers"})),
    ];
    let theirs = begin(&scene, &other, &json!({"upstream_id": "github"}));
    assert_eq!(mine[1]["header_names"], names);
    let listed = |who: &str, query: &str| -> Vec<Value> {
        let mut rows = Vec::new();
        let mut after = String::new();
        loop {
            let page = scene.expect(200, who, "GET", &format!("/v1/credential-flows?{query}{after}"), None);
            rows.extend(page["flows"].as_array().unwrap().iter().map(|row| row["id"].clone()));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return rows,
            }
        }
    };
    let ids = |flows: &[&Value]| flows.iter().map(|flow| flow["id"].clone()).collect::<Vec<_>>();
    let all = ids(&[&mine[0], &mine[1], &theirs]);
    for query in ["", "limit=1", "limit=2"] {
        assert_eq!(listed(&scene.admin, query), all, "{query}");
    }
    assert_eq!(listed(&scene.admin, "upstream_id=headers"), all[1..2]);
    assert_eq!(listed(&scene.admin, "holder=user&holder_id=u1"), all[2..]);
    assert_eq!(listed(&scene.admin, "user_id=u3&search=GITH"), all[..1]);
    assert!(listed(&scene.admin, "holder=token").is_empty());
    assert_eq!(listed(&me, ""), all[..2]);
    assert!(listed(&scene.acme_admin, "").is_empty());
    for query in ["all=true", "user_id=u1"] {
        scene.expect(403, &me, "GET", &format!("/v1/credential-flows?{query}"), None);
    }
    let page = scene.expect(200, &scene.admin, "GET", "/v1/credential-flows?upstream_id=headers", None);
    let row = &page["flows"][0];
    assert_eq!((&row["header_names"], &row["may_complete"]), (&names, &json!(false)));
    for wrong in ["holder=x", "limit=0", "state=pending", "after=%00"] {
        scene.expect(400, &scene.admin, "GET", &format!("/v1/credential-flows?{wrong}"), None);
    }
}

fn without_a_key_nothing_is_taken(scene: Scene) {
    // The same database served by a process without one.
    let (url, folder) = (scene.database_url(), tempfile::tempdir().unwrap());
    upstreams(&scene);
    let serving = crate::harness::program::Serving::start(folder.path(), &["--database-url", &url]);
    let authorization = format!("Bearer {}", scene.admin);
    let headers = [("authorization", authorization.as_str())];
    let told = |method: &str, path: &str, body: &Value| {
        crate::harness::http::send(&serving.address, method, path, &headers, body.to_string().as_bytes())
    };
    let flow = json!({"upstream_id": "github", "holder": {"kind": "user", "id": "u3"}});
    for answer in [
        told("PUT", "/v1/upstreams/github/credentials/user/u3", &json!({"token": SECRET})),
        told("POST", "/v1/credential-flows", &flow),
    ] {
        assert_eq!((answer.status, code(&answer.json())), (503, "credential.no_key"));
        assert!(answer.json()["detail"].as_str().unwrap().contains("key_file"));
    }
    assert_eq!(told("GET", "/v1/credentials", &json!({})).status, 200);
}
