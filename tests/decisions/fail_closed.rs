//! What goes wrong is a deny.

use std::time::Duration;

use regate::{
    decision::{
        AskingGateway, CompileError, CompileOptions, EvaluationBudget, Headers, RegoVersion,
        facts::{CredentialMode, Fact, Grant, Token, Upstream},
    },
    types::{PresentedCredential, TokenKind},
};

use super::{NOW, World, compile, gist, question, tenant, token, user};

const ALLOW_ALL: &str = "package regate\ndecision := {\"allow\": true, \"reasons\": [\"test.allow\"]}";

#[test]
fn an_unusable_result_is_a_deny() {
    let cases = [
        // Undefined.
        "decision := {\"allow\": true} if input.request.method == \"NEVER\"",
        "decision := \"yes\"",
        "decision := {\"allow\": \"true\"}",
        "decision := {\"reasons\": [\"a.b\"]}",
        "decision := {\"allow\": true, \"rate_limit\": {\"name\": \"n\", \"key\": \"k\", \"limit\": 0, \"window_seconds\": 1}}",
        // Two rules that conflict are found only when both hold.
        "decision := {\"allow\": true} if input.request.method == \"GET\"\ndecision := {\"allow\": false} if input.token",
    ];
    for rule in cases {
        let mut world = World::with_policy(&format!("package regate\n{rule}"));
        let decision = world.ask(&question(Some("t1"), "/a"));
        assert_eq!(gist(&decision), (false, 403, vec!["policy.error"]), "{rule}");
        assert!(decision.fault.is_some(), "{rule}");
        // The next question is decided as if nothing had happened.
        assert_eq!(world.ask(&question(Some("t1"), "/a")).reasons, decision.reasons);
    }
}

#[test]
fn an_evaluation_beyond_its_budget_is_a_deny() {
    let rego = "package regate\ndecision := {\"allow\": true} if count([1 | some i in numbers.range(1, 3000); some j in numbers.range(1, 3000); i == j]) > 0";
    let budgets = [
        EvaluationBudget { instructions: 1_000, time: Duration::from_secs(60) },
        EvaluationBudget { instructions: usize::MAX, time: Duration::from_millis(1) },
    ];
    for budget in budgets {
        let bundle = compile(rego, &CompileOptions { budget, ..CompileOptions::default() }).unwrap();
        let mut world = World::new(
            bundle,
            [user("default", "u1"), Fact::Token(token("default", "t1", TokenKind::Global))],
        );
        let decision = world.ask(&question(Some("t1"), "/a"));
        assert_eq!(gist(&decision), (false, 503, vec!["policy.timeout"]), "{budget:?}");
    }
}

#[test]
fn a_credential_that_is_there_and_not_good_is_a_401_and_never_anonymous() {
    let with = |change: &dyn Fn(&mut Token)| {
        let mut changed = token("default", "t1", TokenKind::Global);
        change(&mut changed);
        vec![user("default", "u1"), Fact::Token(changed)]
    };
    let hashed = |secret| question(Some(secret), "/a").credential;
    let cases = [
        (with(&|_| ()), PresentedCredential::Malformed, "token.malformed", 401),
        (with(&|_| ()), hashed("t2"), "token.unknown", 401),
        (with(&|t| t.revoked = true), hashed("t1"), "token.revoked", 401),
        (with(&|t| t.expires_at = Some(NOW - 1)), hashed("t1"), "token.expired", 401),
        // At the instant of expiry it has expired.
        (with(&|t| t.expires_at = Some(NOW)), hashed("t1"), "token.expired", 401),
        // Revoked comes before expired.
        (with(&|t| (t.revoked, t.expires_at) = (true, Some(0))), hashed("t1"), "token.revoked", 401),
        // A gateway's token is never a caller's.
        (with(&|t| t.kind = TokenKind::Gateway), hashed("t1"), "token.unknown", 401),
        (with(&|t| (t.kind, t.tenant) = (TokenKind::Gateway, None)), hashed("t1"), "token.unknown", 401),
        // Only gateways can be of all tenants: a row that says otherwise opens nothing.
        (with(&|t| t.tenant = None), hashed("t1"), "token.unknown", 401),
        (with(&|_| ()), PresentedCredential::Ambiguous, "request.ambiguous_credential", 400),
    ];
    let mut messages = Vec::new();
    for (facts, credential, reason, status) in cases {
        let bundle = compile(ALLOW_ALL, &CompileOptions::default()).unwrap();
        let mut world = World::new(bundle, facts);
        let mut asked = question(None, "/a");
        asked.credential = credential.clone();
        let decision = world.ask(&asked);
        assert_eq!(gist(&decision), (false, status, vec![reason]));
        if status == 401 {
            assert_eq!(decision.challenge.as_deref(), Some("Bearer error=\"invalid_token\""));
            messages.push(decision.message.as_str().to_owned());
        }
        // The same caller without a credential is allowed by this policy: so it was the credential.
        assert!(world.ask(&question(None, "/a")).allow);
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "the text tells a caller which keys exist: {messages:?}");
    let mut live = World::new(
        compile(ALLOW_ALL, &CompileOptions::default()).unwrap(),
        with(&|t| t.expires_at = Some(NOW + 1)),
    );
    assert!(live.ask(&question(Some("t1"), "/a")).allow);
}

#[test]
fn an_ambiguous_path_is_refused_before_any_rule() {
    let mut world = World::with_policy(ALLOW_ALL);
    for path in [
        "",
        "a",
        "//",
        "/a/../b",
        "/a%2Fb",
        "/a;b",
        "/%2e%2e",
        "/%2561",
        "http://x/a",
        "/a\\b",
        "/%ff",
        "/a%00",
    ] {
        for secret in [None, Some("t1"), Some("unknown")] {
            let decision = world.ask(&question(secret, path));
            assert_eq!(gist(&decision), (false, 400, vec!["request.ambiguous_path"]), "{path}");
        }
    }
}

#[test]
fn a_public_path_is_answered_before_any_credential_is_looked_at() {
    let mut world =
        World::with_policy("package regate\ndecision := {\"allow\": false, \"reasons\": [\"test.deny\"]}");
    let credentials = [
        PresentedCredential::Absent,
        PresentedCredential::Malformed,
        PresentedCredential::Ambiguous,
        question(Some("unknown"), "/").credential,
    ];
    for credential in credentials {
        for method in ["GET", "HEAD", "get"] {
            let mut asked = question(None, "/health?x=1");
            asked.credential = credential.clone();
            asked.request.method = method.into();
            let decision = world.ask(&asked);
            assert_eq!(gist(&decision), (true, 200, vec!["request.public_path"]));
            assert!(decision.subject.is_none());
        }
    }
    for (method, path) in
        [("POST", "/health"), ("GET", "/health/x"), ("GET", "/healthz"), ("GET", "/"), ("OPTIONS", "/health")]
    {
        let mut asked = question(Some("t1"), path);
        asked.request.method = method.into();
        assert_eq!(gist(&world.ask(&asked)).2, ["test.deny"], "{method} {path}");
    }
}

#[test]
fn a_denied_anonymous_caller_is_told_that_a_credential_is_needed() {
    let mut world =
        World::with_policy("package regate\ndecision := {\"allow\": false, \"reasons\": [\"test.deny\"]}");
    let decision = world.ask(&question(None, "/a"));
    assert_eq!(gist(&decision), (false, 401, vec!["token.missing", "test.deny"]));
    assert_eq!(decision.challenge.as_deref(), Some("Bearer"));
    let decision = world.ask(&question(Some("t1"), "/a"));
    assert_eq!(gist(&decision), (false, 403, vec!["test.deny"]));
    assert_eq!(decision.challenge.as_deref(), None);
}

#[test]
fn a_boolean_entrypoint_decides_and_regate_gives_the_reason() {
    let mut world =
        World::with_policy("package regate\ndecision if input.request.path == [\"a\"]\nelse := false");
    assert_eq!(gist(&world.ask(&question(Some("t1"), "/a"))), (true, 200, vec!["policy.allowed"]));
    assert_eq!(gist(&world.ask(&question(Some("t1"), "/b"))), (false, 403, vec!["policy.no_rule_matched"]));
    assert_eq!(gist(&world.ask(&question(None, "/b"))), (false, 401, vec!["token.missing"]));
}

#[test]
fn a_policy_in_the_older_syntax_runs_unchanged() {
    let rego = "package infrabox\ndefault authz = false\nauthz { input.request.path = [\"a\"]; input.token.kind = \"global\" }";
    let mut options = CompileOptions { rego_version: RegoVersion::V0, ..CompileOptions::default() };
    options.entrypoints.decision = "data.infrabox.authz".into();
    let bundle = compile(rego, &options).unwrap();
    let mut world =
        World::new(bundle, [user("default", "u1"), Fact::Token(token("default", "t1", TokenKind::Global))]);
    assert!(world.ask(&question(Some("t1"), "/a")).allow);
    assert!(!world.ask(&question(Some("t1"), "/b")).allow);
    assert!(!world.ask(&question(None, "/a")).allow);
}

#[test]
fn the_callers_credential_and_each_header_that_is_set_are_removed() {
    let rego = r#"package regate
decision := {"allow": true, "headers": {"set": {"X-User": "u1"}, "remove": ["Cookie"]}} if input.request.path == ["a"]
else := {"allow": false, "headers": {"set": {"X-User": "u1"}, "remove": ["Cookie"]}}"#;
    let mut world = World::with_policy(rego);
    let allowed = world.ask(&question(Some("t1"), "/a"));
    assert_eq!(allowed.headers.remove, ["authorization", "cookie", "x-user"]);
    assert_eq!(allowed.headers.set.iter().collect::<Vec<_>>(), [(&"x-user".to_owned(), &"u1".to_owned())]);
    // A denied request gets nothing set, and still everything removed.
    let denied = world.ask(&question(Some("t1"), "/b"));
    assert_eq!(denied.headers.remove, ["authorization", "cookie"]);
    assert!(denied.headers.set.is_empty());
    for path in ["/health", "/a/../b"] {
        assert_eq!(world.ask(&question(None, path)).headers.remove, ["authorization"]);
    }
}

#[test]
fn an_upstream_that_is_unknown_not_granted_or_without_its_credential_is_a_deny() {
    let upstream = |id: &str, allow_all, credential| {
        Fact::Upstream(Upstream { allow_all, credential, ..Upstream::new(tenant("default"), id) })
    };
    let facts = || {
        [
            user("default", "u1"),
            Fact::Token(token("default", "t1", TokenKind::Global)),
            upstream("open", true, CredentialMode::None),
            upstream("closed", false, CredentialMode::None),
            upstream("granted", false, CredentialMode::None),
            upstream("brokered", true, CredentialMode::PerUser),
            Fact::Grant(Grant {
                tenant: tenant("default"),
                token_id: "t1".into(),
                upstream_id: "granted".into(),
            }),
        ]
    };
    let bundle = compile(ALLOW_ALL, &CompileOptions::default()).unwrap();
    let mut world = World::new(bundle, facts());
    let mut ask = |secret, id: &str| {
        let mut asked = question(secret, "/mcp");
        asked.upstream = Some(id.to_owned().into());
        let decision = world.ask(&asked);
        (decision.allow, decision.reasons.first.to_string())
    };
    let t1 = Some("t1");
    assert_eq!(ask(t1, "open"), (true, "test.allow".into()));
    assert_eq!(ask(t1, "granted"), (true, "test.allow".into()));
    assert_eq!(ask(t1, "closed"), (false, "upstream.not_granted".into()));
    assert_eq!(ask(t1, "nowhere"), (false, "upstream.unknown".into()));
    assert_eq!(ask(t1, "brokered"), (false, "upstream.credential_missing".into()));
    // Nobody is nobody's grantee, not even where all tokens may go.
    assert_eq!(ask(None, "open"), (false, "upstream.not_granted".into()));
    // A deny of the policy stays the policy's.
    let deny = compile(
        "package regate\ndecision := {\"allow\": false, \"reasons\": [\"test.deny\"]}",
        &CompileOptions::default(),
    );
    let mut world = World::new(deny.unwrap(), facts());
    let mut asked = question(t1, "/mcp");
    asked.upstream = Some("closed".into());
    assert_eq!(gist(&world.ask(&asked)).2, ["test.deny"]);
}

#[test]
fn a_gateway_of_one_tenant_learns_nothing_of_anothers_tokens() {
    let mut foreign = token("acme", "t2", TokenKind::Global);
    foreign.revoked = true;
    let facts = [
        user("default", "u1"),
        user("acme", "u1"),
        Fact::Token(token("default", "t1", TokenKind::Global)),
        Fact::Token(token("acme", "t3", TokenKind::Global)),
        Fact::Token(foreign),
    ];
    let mut world = World::new(compile(ALLOW_ALL, &CompileOptions::default()).unwrap(), facts);
    let of = |tenant_id: Option<&str>| AskingGateway { id: "g".into(), tenant: tenant_id.map(tenant) };
    let (own, all) = (of(Some("default")), of(None));
    let mut ask = |secret, gateway| {
        let asked = regate::decision::Question { gateway: Some(gateway), ..question(Some(secret), "/a") };
        let decision = world.ask(&asked);
        (decision.reasons.first.to_string(), decision.subject.is_some())
    };
    assert_eq!(ask("t1", &own), ("test.allow".into(), true));
    assert_eq!(ask("t3", &own), ("token.unknown".into(), false));
    assert_eq!(ask("t2", &own), ("token.unknown".into(), false));
    assert_eq!(ask("t3", &all), ("test.allow".into(), true));
    assert_eq!(ask("t2", &all), ("token.revoked".into(), true));
}

#[test]
fn a_bundle_that_cannot_decide_is_refused_with_the_place() {
    let options = CompileOptions::default();
    let cases = [
        ("package regate\ndecision := ", "policy.rego:2:"),
        ("package regate\ndecision := {\"allow\": nosuch(1)}", "policy.rego:2:"),
        ("package regate\ndecision := {\"allow\": x}", "policy.rego:2:"),
        ("package other\ndecision := true", "data.regate.decision"),
    ];
    for (rego, expected) in cases {
        let Err(error) = compile(rego, &options) else { panic!("compiled: {rego}") };
        let error = error.to_string();
        assert!(error.contains(expected), "{rego}: {error}");
    }
}

#[test]
fn a_rule_where_the_databases_documents_go_is_refused() {
    let mut options = CompileOptions::default();
    options.entrypoints.decision = "data.collaborators.decision".into();
    let error = compile("package collaborators\ndecision := true", &options).map(|_| ()).unwrap_err();
    assert!(matches!(error, CompileError::ReservedDocument { document: "collaborators", .. }), "{error}");
}

#[test]
fn rules_that_call_themselves_are_refused_and_never_reach_a_question() {
    let cases = [
        "decision := a\na := decision",
        "decision if not decision",
        "decision := a\na := b if input.request\nb := c\nc := a",
        "f(x) := f(x)\ndecision := f(1)",
        "f(x) := g(x)\ng(x) := f(x) if x\ndecision := f(input.request.method)",
        "decision := {\"allow\": data.regate.decision.allow}",
        "decision := {\"allow\": data.regate[input.request.method]}",
        "decision := [1 | some x in a]\na contains decision",
        "decision := 1 if { every x in [1] { x == decision } }",
    ];
    for rego in cases {
        let Err(error) = compile(&format!("package regate\n{rego}"), &CompileOptions::default()) else {
            panic!("compiled: {rego}")
        };
        assert!(error.to_string().contains("data.regate."), "{rego}: {error}");
    }
    // The same rule twice on the way is no recursion.
    let diamond = "decision := {\"allow\": a == b}\na := c\nb := c\nc := 1";
    assert!(World::with_policy(&format!("package regate\n{diamond}")).ask(&question(Some("t1"), "/a")).allow);
}

#[test]
fn a_client_says_nothing_in_regates_name() {
    let mut world = World::with_policy("package regate\n\ndecision := {\"allow\": true}");
    for path in ["/a", "/health"] {
        let mut asked = question(Some("t1"), path);
        let told =
            ["x-regate-user", "X_Regate_Tenant", "x-regate-any", "x-regate", "x-regates-own", "x-user"];
        asked.request.headers = Headers::new(told.map(|name| (name.into(), "mine".into())).into());
        let decision = world.ask(&asked);
        let expected = ["authorization", "x-regate-any", "x-regate-user", "x_regate_tenant"];
        assert!(decision.allow, "{path}");
        assert_eq!(decision.headers.remove, expected, "{path}");
    }
}
