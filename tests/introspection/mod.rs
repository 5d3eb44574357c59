//! RFC 7662 introspection and RFC 7009 revocation, asked as gateways ask.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    harness::http::{Answer, send},
    management::scene::{Scene, session_of, session_with},
    store::database::TestDatabase,
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const INTROSPECT: &str = "/v1/introspect";
const REVOKE: &str = "/v1/revoke";

struct Stage {
    scene: Scene,
    /// Of the tenant `default`, and of all.
    gateway: String,
    gateway_of_all: String,
}

impl Stage {
    fn new() -> Self {
        Self::over(Scene::sqlite())
    }

    fn over(scene: Scene) -> Self {
        let (_, gateway) = scene.mint(&json!({"kind": "gateway", "name": "edge"}));
        let arguments =
            ["token", "mint", "--kind", "gateway", "--name", "all", "--all-tenants", "--database-url"];
        let minted =
            crate::harness::program::run(scene.folder.path(), &[&arguments[..], &[&scene.url]].concat(), "");
        let gateway_of_all = crate::harness::program::stdout(&minted).trim().to_owned();
        let stage = Self { scene, gateway, gateway_of_all };
        // It was minted behind the back of the process.
        stage.scene.until(|| {
            let asked = stage.ask(INTROSPECT, &stage.gateway_of_all, "token=x");
            (asked.status == 200).then_some(())
        });
        stage
    }

    fn ask(&self, path: &str, gateway: &str, form: &str) -> Answer {
        let authorization = format!("Bearer {gateway}");
        let headers = [("authorization", authorization.as_str()), FORM];
        send(&self.scene.serving.address, "POST", path, &headers, form.as_bytes())
    }

    fn introspect_as(&self, gateway: &str, token: &str) -> Value {
        let answer = self.ask(INTROSPECT, gateway, &format!("token={token}&token_type_hint=access_token"));
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        answer.json()
    }

    fn introspect(&self, token: &str) -> Value {
        self.introspect_as(&self.gateway, token)
    }
}

fn inactive() -> Value {
    json!({"active": false})
}

fn error(answer: &Answer) -> (u16, String) {
    let told = answer.json();
    assert!(told["error_description"].is_string() && told.get("active").is_none(), "{told}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    (answer.status, told["error"].as_str().unwrap().to_owned())
}

#[test]
fn a_live_token_is_described() {
    let stage = Stage::new();
    let scene = &stage.scene;
    let (id, global) = scene.mint(
        &json!({"kind": "global", "name": "ci", "user_id": "u1", "scope_pull": true, "scope_push": true, "expires_in_days": 1}),
    );
    let told = stage.introspect(&global);
    let exp = told["exp"].as_i64().unwrap();
    assert_eq!(
        told,
        json!({
            "active": true, "scope": "pull push", "client_id": id, "token_type": "Bearer", "exp": exp, "sub": "u1",
            "jti": id, "kind": "global", "tenant": "default", "allow_trigger": false,
        })
    );
    let (id, agent) = scene.mint(
        &json!({"kind": "mcp", "name": "agent", "user_id": "u3", "projects": ["p1"], "tools": ["search"]}),
    );
    scene.expect(200, &scene.admin, "PUT", &format!("/v1/tokens/{id}/trigger"), None);
    let told = stage.introspect(&agent);
    let lists = (&told["projects"], &told["tools"], &told["allow_trigger"], &told["kind"]);
    assert_eq!(lists, (&json!({"p1": null}), &json!(["search"]), &json!(true), &json!("mcp")));
    assert!(told["scope"].as_str().unwrap().split(' ').any(|word| word == "trigger"), "{told}");
    let (_, project) =
        scene.mint(&json!({"kind": "project", "name": "deploy", "project_id": "p1", "scope_pull": true}));
    let told = stage.introspect(&project);
    assert_eq!((&told["project_id"], &told["scope"]), (&json!("p1"), &json!("pull")));
    assert!(told.get("sub").is_none() && told.get("exp").is_none(), "{told}");
    // One that another system made.
    assert_eq!(stage.introspect("ib_mcp_test")["jti"], "foreign");
}

#[test]
fn a_session_says_what_its_claims_say() {
    let stage = Stage::new();
    let claims = json!({"jti": "4f1c", "scope": "openid mail", "azp": "spa", "iat": 1_790_000_000, "nbf": 1_700_000_000});
    let told = stage.introspect(&session_with("u1", "default", &claims));
    assert_eq!(
        told,
        json!({
            "active": true, "scope": "openid mail", "client_id": "spa", "token_type": "Bearer",
            "exp": 4_000_000_000_u32, "iat": 1_790_000_000, "nbf": 1_700_000_000, "sub": "u1", "aud": "regate",
            "iss": "https://login.example", "jti": "4f1c", "kind": "session", "tenant": "default",
        })
    );
    let odd = json!({"scope": "", "iat": "yesterday", "azp": 7});
    let told = stage.introspect(&session_with("u1", "default", &odd));
    assert_eq!(told["active"], true);
    for left_out in ["scope", "iat", "client_id"] {
        assert!(told.get(left_out).is_none(), "{left_out}");
    }
    // Whom the data does not know has no session: they may be gone.
    assert_eq!(stage.introspect(&session_of("stranger", "default")), inactive());
    a_session_ends_with_its_user(&stage);
    for (user, tenant, changed) in [
        ("u1", "default", json!({"exp": 1_700_000_000})),
        ("u1", "default", json!({"nbf": 3_900_000_000_u32})),
        ("u1", "default", json!({"aud": "somebody else"})),
        ("u1", "default", json!({"iss": "https://evil.example"})),
        ("gone", "default", json!({})),
        ("u1", "acme", json!({})),
    ] {
        assert_eq!(
            stage.introspect(&session_with(user, tenant, &changed)),
            inactive(),
            "{user} {tenant} {changed}"
        );
    }
    let good = session_of("u1", "default");
    assert_eq!(stage.introspect(good.trim_end_matches(|c| c != '.')), inactive());
}

/// A session does not outlive its user.
fn a_session_ends_with_its_user(stage: &Stage) {
    let scene = &stage.scene;
    let session = session_of("passing", "default");
    scene.expect(201, &scene.admin, "PUT", "/v1/users/passing", Some(&json!({"role": "user"})));
    assert_eq!(stage.introspect(&session)["sub"], "passing");
    scene.expect(200, &scene.admin, "DELETE", "/v1/users/passing", None);
    assert_eq!(stage.introspect(&session), inactive());
}

#[test]
fn a_session_whose_claims_give_the_role_needs_no_row() {
    let settings = "[[issuers]]\nissuer = \"https://roles.example\"\nshared_secret_file = \"secret\"\naudience = \"regate\"\ntenant = \"default\"\nrole_from = \"claim\"\n";
    let stage = Stage::over(Scene::over("sqlite://regate.sqlite", settings));
    let claims = json!({"iss": "https://roles.example"});
    assert_eq!(stage.introspect(&session_with("stranger", "default", &claims))["sub"], "stranger");
}

#[test]
fn whatever_is_not_good_is_inactive_and_nothing_else() {
    let stage = Stage::new();
    let scene = &stage.scene;
    let (id, revoked) = scene.mint(&json!({"kind": "global", "name": "old", "user_id": "u1"}));
    assert_eq!(stage.introspect(&revoked)["active"], true);
    scene.expect(200, &scene.admin, "DELETE", &format!("/v1/tokens/{id}"), None);
    let acme = scene.mint_as(&scene.acme_admin, &json!({"kind": "global", "name": "a", "user_id": "u1"})).1;
    let (_, user) = scene.mint(&json!({"kind": "global", "name": "b", "user_id": "u4"}));
    assert_eq!(stage.introspect(&user)["active"], true);
    scene.expect(200, &scene.admin, "PUT", "/v1/users/u4", Some(&json!({"disabled": true})));
    let broken = format!("{}0", &user[..user.len() - 1]);
    for token in [
        "nobody",
        "a b",
        "%00",
        "%FF",
        "rgt_global_x",
        "Bearer%20x",
        "eyJ.eyJ.x",
        &revoked,
        &acme,
        &user,
        &broken,
        &stage.gateway,
    ] {
        assert!(stage.introspect(token) == inactive());
    }
    // A gateway of all tenants sees all callers, and no gateway.
    assert_eq!(stage.introspect_as(&stage.gateway_of_all, &acme)["tenant"], "acme");
    for token in [&revoked, &user, &stage.gateway, &stage.gateway_of_all] {
        assert!(stage.introspect_as(&stage.gateway_of_all, token) == inactive());
    }
    // An operator's is one like any other here.
    assert_eq!(stage.introspect(&scene.admin)["kind"], "admin");
}

#[test]
fn who_asks_is_an_authenticated_gateway_on_every_listener() {
    let stage = Stage::new();
    let (_, agent) = stage.scene.mint(&json!({"kind": "mcp", "name": "agent", "user_id": "u3"}));
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let send = |path: &str, credentials: &[&str]| {
        let mut headers: Vec<(&str, &str)> = credentials.iter().map(|one| ("authorization", *one)).collect();
        headers.push(FORM);
        send(&stage.scene.serving.address, "POST", path, &headers, format!("token={agent}").as_bytes())
    };
    let gateway = format!("Bearer {}", stage.gateway);
    for path in [INTROSPECT, REVOKE] {
        for wrong in [
            &[][..],
            &["Bearer nobody"],
            &[&format!("Bearer {agent}")],
            &[&format!("Bearer {}", stage.scene.admin)],
            &[&basic("edge:nobody")],
            &[&basic(&stage.gateway)],
            &["Basic !"],
            &[&gateway, &gateway],
        ] {
            let answer = send(path, wrong);
            assert!(error(&answer) == (401, "invalid_client".to_owned()));
            let challenges: Vec<_> =
                answer.headers.iter().filter(|(name, _)| name == "www-authenticate").collect();
            assert_eq!(challenges.len(), 2);
        }
    }
    for good in [gateway, basic(&format!("edge:{}", stage.gateway)), basic(&format!(":{}", stage.gateway))] {
        assert_eq!(send(INTROSPECT, &[&good]).json()["active"], true);
    }
    // The form is no place for it.
    let form = format!("token={agent}&client_id=edge&client_secret={}", stage.gateway);
    let answer = crate::harness::http::send(
        &stage.scene.serving.address,
        "POST",
        INTROSPECT,
        &[FORM],
        form.as_bytes(),
    );
    assert_eq!(error(&answer), (401, "invalid_client".to_owned()));
}

#[test]
fn what_is_no_form_with_one_token_is_refused() {
    let stage = Stage::new();
    let invalid = |status| (status, "invalid_request".to_owned());
    for path in [INTROSPECT, REVOKE] {
        for form in
            ["", "token=", "token", "tokens=x", "token=x&token=x", "token=x&token=y", "token_type_hint=a"]
        {
            assert_eq!(error(&stage.ask(path, &stage.gateway, form)), invalid(400), "{form}");
        }
        let hints = "token=x&token_type_hint=a&token_type_hint=b";
        assert_eq!(error(&stage.ask(path, &stage.gateway, hints)), invalid(400));
        let in_query = stage.ask(&format!("{path}?token=x"), &stage.gateway, "");
        assert_eq!(error(&in_query), invalid(400));
        let long = format!("token={}", "x".repeat(20_000));
        assert_eq!(error(&stage.ask(path, &stage.gateway, &long)), invalid(413));
        let larger = format!("token=x&y={}", "x".repeat(1_100_000));
        assert_eq!(error(&stage.ask(path, &stage.gateway, &larger)), invalid(413));
        let authorization = format!("Bearer {}", stage.gateway);
        for headers in [
            &[][..],
            &[("content-type", "application/json")],
            &[("content-type", "multipart/form-data; boundary=x")],
            &[("content-type", "")],
            &[FORM, FORM],
            &[FORM, ("content-encoding", "gzip")],
        ] {
            let headers = [&[("authorization", authorization.as_str())][..], headers].concat();
            let answer = send(&stage.scene.serving.address, "POST", path, &headers, b"token=x");
            assert_eq!(error(&answer), invalid(415), "{:?}", &headers[1..]);
        }
        let charset = [
            ("authorization", authorization.as_str()),
            ("content-type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8"),
        ];
        let answer = send(&stage.scene.serving.address, "POST", path, &charset, b"token=x");
        assert_eq!(answer.status, 200);
        let other_method = send(&stage.scene.serving.address, "GET", path, &charset, b"");
        assert_eq!(error(&other_method), invalid(405));
        assert_eq!(other_method.header("allow"), Some("POST"));
    }
}

#[test]
fn a_token_is_revoked_by_presenting_it() {
    let stage = Stage::new();
    let scene = &stage.scene;
    let read = ("GET", "/api/v1/projects/p1");
    let revoke = |gateway: &str, token: &str| {
        let answer = stage.ask(REVOKE, gateway, &format!("token={token}&token_type_hint=refresh_token"));
        assert!(
            answer.status != 200
                || (answer.body.is_empty() && answer.header("cache-control") == Some("no-store"))
        );
        answer
    };
    for body in [
        json!({"kind": "global", "name": "ci", "user_id": "u1"}),
        json!({"kind": "project", "name": "deploy", "project_id": "p1", "scope_pull": true}),
    ] {
        let (_, token) = scene.mint(&body);
        assert!(scene.decide(&token, read.0, read.1).0);
        assert_eq!(revoke(&stage.gateway, &token).status, 200);
        // The next decision knows it.
        assert_eq!(scene.decide(&token, read.0, read.1), (false, "token.revoked".to_owned()));
        assert_eq!(stage.introspect(&token), inactive());
        assert_eq!(revoke(&stage.gateway, &token).status, 200);
    }
    for unknown in ["nobody", "a%20b", "rgt_global_x", "eyJ.eyJ.x"] {
        assert_eq!(revoke(&stage.gateway, unknown).status, 200);
    }
    // Another tenant's is unknown, and stays what it is.
    let acme = scene.mint_as(&scene.acme_admin, &json!({"kind": "global", "name": "a", "user_id": "u1"})).1;
    assert_eq!(revoke(&stage.gateway, &acme).status, 200);
    assert_eq!(stage.introspect_as(&stage.gateway_of_all, &acme)["active"], true);
    assert_eq!(revoke(&stage.gateway_of_all, &acme).status, 200);
    assert_eq!(stage.introspect_as(&stage.gateway_of_all, &acme), inactive());
    // What is not ended so says so: 200 would be taken for the end of it.
    for token in [&scene.admin, &stage.gateway, &session_of("u1", "default")] {
        assert!(error(&revoke(&stage.gateway, token)) == (400, "unsupported_token_type".to_owned()));
    }
    assert_eq!(stage.introspect(&scene.admin)["active"], true);
    // Another tenant's session is as unknown as any other text, and one that is over is over.
    assert_eq!(revoke(&stage.gateway, &session_of("u1", "acme")).status, 200);
    assert_eq!(revoke(&stage.gateway_of_all, &session_of("u1", "acme")).status, 400);
    let over = session_with("u1", "default", &json!({"exp": 1_700_000_000}));
    assert_eq!(revoke(&stage.gateway, &over).status, 200);
    scene.serving.wait_for_log("a token was revoked by whoever has it");
}

/// Another process minted it a moment ago.
#[test]
fn a_token_that_this_process_has_not_heard_of_is_revoked_too() {
    let settings = "[data]\npoll_interval = \"1h\"\nmax_staleness = \"2h\"\nanswer_time = \"1m\"";
    let scene = Scene::over("sqlite://regate.sqlite", settings);
    let (_, gateway) = scene.mint(&json!({"kind": "gateway", "name": "edge"}));
    let stage = Stage { scene, gateway_of_all: String::new(), gateway };
    let scene = &stage.scene;
    let token = "key-of-another-system";
    let rows = json!({"tokens": [{"id": "late", "kind": "global", "name": "late", "user_id": "u1",
        "sha256": regate::auth::hash(token).to_string()}]});
    let arguments = ["import", "-", "--database-url", &scene.url];
    let imported = crate::harness::program::run(scene.folder.path(), &arguments, &rows.to_string());
    assert!(imported.status.success());
    assert_eq!(stage.ask(REVOKE, &stage.gateway, &format!("token={token}")).status, 200);
    assert_eq!(scene.decide(token, "GET", "/api/v1/projects/p1").1, "token.revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_known_or_done_is_no_answer() {
    let database = TestDatabase::sqlite().await;
    let hash = |text: &str| regate::auth::hash(text).to_string();
    let rows = json!({
        "users": [{"id": "u1"}],
        "tokens": [
            {"id": "g1", "kind": "gateway", "name": "g", "sha256": hash("g1")},
            {"id": "t1", "kind": "global", "name": "t", "user_id": "u1", "sha256": hash("t1")},
        ],
    });
    database.import(&rows.to_string()).await;
    database.execute("create table thing (name text); insert into thing values ('a')").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let toml = "[data]\npoll_interval = \"50ms\"\nmax_staleness = \"1s\"\n\
        [[documents]]\npath = \"things\"\nquery = \"select name from thing\"\nlist = true\ninterval = \"50ms\"\n";
    let serving = crate::live::serve(&database, folder.path(), toml);
    let ask = |path: &str| {
        let headers = [("authorization", "Bearer g1"), FORM];
        send(&serving.address, "POST", path, &headers, b"token=t1")
    };
    assert_eq!(ask(INTROSPECT).json()["active"], true);
    database.execute("drop table thing").await.unwrap();
    let answer = crate::live::until(|| ask(INTROSPECT), |answer| answer.status != 200);
    assert_eq!(error(&answer), (503, "temporarily_unavailable".to_owned()));
    assert_eq!(answer.header("retry-after"), Some("1"));
    // What the store does not do is not said to be done.
    database.execute("alter table tokens rename to elsewhere").await.unwrap();
    let answer = ask(REVOKE);
    assert!([500, 503].contains(&answer.status));
    assert!(["server_error", "temporarily_unavailable"].contains(&error(&answer).1.as_str()));
}
