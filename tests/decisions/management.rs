//! Calls of the management API, as decisions.

use std::sync::Arc;

use regate::{
    decision::{
        About, Bundle, CompileOptions, Decision, DecisionRules, Document, Evaluator, ManagedHolder,
        ManagedToken, ManagementCall, Moment, Question, RegoSource, SubjectKind, document, facts::Fact,
        manage,
    },
    types::{HolderKind, PolicyRevision, PresentedCredential, Timestamp, TokenKind},
};
use uuid::Uuid;

use super::{
    NOW, World, compile, gist, question,
    sessions::{as_session, session},
    token, user,
};

fn ask(world: &World, question: &Question<'_>, data_is_stale: bool) -> Decision {
    let moment = Moment { now: Timestamp::from_unix_seconds(NOW), data_is_stale };
    let mut evaluator = Evaluator::new(0);
    let call = ManagementCall {
        question: question.clone(),
        operation: "tokens.list",
        about: About::default(),
        body: Document::Null,
    };
    manage(&mut evaluator, &world.basis, &DecisionRules::default(), &call, Uuid::nil(), moment)
}

fn world(rules: &str) -> World {
    let rego = format!("package regate\n\ndecision := true\n\n{rules}");
    let bundle = compile(
        &rego,
        &CompileOptions {
            entrypoints: regate::decision::EntrypointPaths {
                management: "data.regate.managing".into(),
                ..Default::default()
            },
            ..CompileOptions::default()
        },
    );
    let tokens = TokenKind::ALL.map(|kind| Fact::Token(token("default", kind.as_str(), kind)));
    World::new(bundle.unwrap(), [user("default", "u1")].into_iter().chain(tokens))
}

#[test]
fn no_other_kind_than_admin_reaches_the_rule() {
    for rules in ["", "managing := true", "managing := {\"allow\": true, \"reasons\": [\"x\"]}"] {
        let world = world(rules);
        for kind in TokenKind::ALL {
            let decision = ask(&world, &question(Some(kind.as_str()), "/v1/policies"), false);
            assert_eq!(decision.allow, kind == TokenKind::Admin, "{rules} {kind}");
            assert_eq!(decision.subject.as_ref().unwrap().kind, SubjectKind::Token(kind));
            if kind != TokenKind::Admin {
                assert_eq!(gist(&decision), (false, 403, vec!["management.token_kind"]));
            }
        }
    }
}

#[test]
fn a_session_manages_where_the_bundle_says_so_and_only_there() {
    let ada = session("u1");
    let asked = as_session(&ada, "/v1/policies");
    assert_eq!(gist(&ask(&world(""), &asked, false)), (false, 403, vec!["policy.no_rule_matched"]));
    let rule = "managing := {\"allow\": input.user.id == \"u1\", \"reasons\": [\"x\"]}";
    assert_eq!(gist(&ask(&world(rule), &asked, false)), (true, 200, vec!["x"]));
    let stranger = session("nobody");
    let asked = as_session(&stranger, "/v1/policies");
    assert_eq!(gist(&ask(&world(rule), &asked, false)), (false, 403, vec!["policy.error"]));
}

#[test]
fn the_question_is_made_sure_of_before_anything_is_asked() {
    let world = world("managing := true");
    let admin = |path| question(Some("admin"), path);
    assert_eq!(gist(&ask(&world, &admin("/v1/x"), true)), (false, 503, vec!["data.stale"]));
    assert_eq!(gist(&ask(&world, &admin("/v1/../x"), false)), (false, 400, vec!["request.ambiguous_path"]));
    // No path is public here, and nobody is anonymous.
    assert_eq!(gist(&ask(&world, &question(None, "/health"), false)), (false, 401, vec!["token.missing"]));
    assert_eq!(
        gist(&ask(&world, &question(Some("nobody"), "/v1/x"), false)),
        (false, 401, vec!["token.unknown"])
    );
    for (credential, status, reason) in [
        (PresentedCredential::Malformed, 401, "token.malformed"),
        (PresentedCredential::Ambiguous, 400, "request.ambiguous_credential"),
    ] {
        let asked = Question { credential, ..admin("/v1/x") };
        assert_eq!(gist(&ask(&world, &asked, false)), (false, status, vec![reason]));
    }
}

#[test]
fn rules_see_which_call_it_is_and_what_it_is_about() {
    let text = "package regate.management\n\ndecision := {\"allow\": true, \"message\": json.marshal([input.management, object.keys(input)])}";
    let sources = [
        RegoSource { name: "m.rego".into(), text: text.into() },
        RegoSource { name: "d.rego".into(), text: "package regate\n\ndecision := true".into() },
    ];
    let revision = PolicyRevision::from_digest(&[1]);
    let bundle =
        Bundle::compile(&sources, Document::new_object(), revision, &CompileOptions::default()).unwrap();
    let facts = [user("default", "u1"), Fact::Token(token("default", "t1", TokenKind::Admin))];
    let world = World::new(Arc::new(bundle), facts);
    let call = ManagementCall {
        question: question(Some("t1"), "/v1/tokens"),
        operation: "tokens.mint",
        about: About {
            token: Some(ManagedToken {
                id: None,
                kind: Some(TokenKind::Mcp),
                user_id: Some("u1"),
                project_id: None,
            }),
            upstream: Some("github"),
            holder: Some(ManagedHolder {
                kind: Some(HolderKind::Token),
                id: Some("t2"),
                user_id: Some("u1"),
            }),
        },
        body: document(serde_json::json!({"name": "x"})),
    };
    let moment = Moment { now: Timestamp::from_unix_seconds(NOW), data_is_stale: false };
    let mut evaluator = Evaluator::new(0);
    let decision =
        manage(&mut evaluator, &world.basis, &DecisionRules::default(), &call, Uuid::nil(), moment);
    let seen: serde_json::Value = serde_json::from_str(decision.message.as_str()).unwrap();
    let expected = serde_json::json!([
        {"body": {"name": "x"}, "holder": {"id": "t2", "kind": "token", "user_id": "u1"},
         "operation": "tokens.mint", "upstream": "github",
         "token": {"id": null, "kind": "mcp", "project_id": null, "user_id": "u1"}},
        ["context", "gateway", "management", "mcp", "now", "request", "token", "upstream", "user"],
    ]);
    assert_eq!(seen, expected);
}
