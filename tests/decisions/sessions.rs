//! Users' sessions as callers: what a verified JWT decides, when, and for whom.

use std::sync::Arc;

use regate::{
    auth,
    decision::{
        AskingGateway, OwnReason, Question, SubjectKind,
        facts::{CredentialMode, Fact, Upstream, User, UserRole},
    },
    types::{PresentedCredential, Session, SessionRefusal, TokenKind},
};

use super::{NOW, World, gist, question, tenant, token, user};

/// A session of this user of the tenant `default`, good until a minute from now.
pub fn session(user_id: &str) -> Session {
    let claims = serde_json::json!({"sub": user_id, "groups": ["a"], "exp": NOW + 60, "rate": 0.5});
    Session {
        user_id: user_id.into(),
        tenant: tenant("default"),
        role: None,
        expires_at: Some(NOW + 60),
        not_before: None,
        leeway: 0,
        token_id: None,
        claims: claims.as_object().unwrap().clone(),
    }
}

/// `GET path` in this session.
pub fn as_session<'a>(session: &Session, path: &'a str) -> Question<'a> {
    presenting(Ok(Arc::new(session.clone())), path)
}

fn presenting(session: Result<Arc<Session>, SessionRefusal>, path: &str) -> Question<'_> {
    let credential = PresentedCredential::Session { sha256: auth::hash("a.b.c"), session };
    Question { credential, ..question(None, path) }
}

/// Allows everybody, and says the role.
const ROLE: &str = r#"package regate
decision := {"allow": true, "reasons": [concat(".", ["role", input.user.role])]} if is_object(input.user)
else := {"allow": false, "reasons": ["role.none"]}"#;

#[test]
fn every_refusal_is_a_deny_with_its_own_reason_and_never_reaches_the_policy() {
    let mut world = World::with_policy("package regate\ndecision := true");
    for refusal in SessionRefusal::ALL {
        let decision = world.ask(&presenting(Err(refusal), "/"));
        let own = OwnReason::from(refusal);
        assert_eq!(gist(&decision), (false, own.status(), vec![own.code()]));
        assert!(own.code().starts_with("session."), "{own:?}");
        let unavailable = refusal == SessionRefusal::KeysUnavailable;
        assert_eq!(own.status(), if unavailable { 503 } else { 401 }, "{own:?}");
        let challenge = (!unavailable).then_some("Bearer error=\"invalid_token\"");
        assert_eq!(decision.challenge.as_deref(), challenge);
        assert_eq!(decision.subject, None);
    }
}

#[test]
fn time_is_looked_at_when_it_is_decided() {
    let mut world = World::with_policy("package regate\ndecision := true");
    let mut ada = session("u1");
    let at = |expires_at, not_before| Session { expires_at, not_before, leeway: 30, ..session("u1") };
    assert_eq!(gist(&world.ask(&as_session(&ada, "/"))), (true, 200, vec!["policy.allowed"]));
    for (session, allow, reason) in [
        (at(Some(NOW - 29), None), true, "policy.allowed"),
        (at(Some(NOW - 30), None), false, "session.expired"),
        (at(None, Some(NOW + 30)), true, "policy.allowed"),
        (at(None, Some(NOW + 31)), false, "session.not_yet_valid"),
        (at(None, None), true, "policy.allowed"),
    ] {
        let decision = world.ask(&as_session(&session, "/"));
        assert_eq!(gist(&decision), (allow, if allow { 200 } else { 401 }, vec![reason]));
        assert_eq!(decision.subject.unwrap().user_id.as_deref(), Some("u1"));
    }
    ada.token_id = Some("j1".into());
    let subject = world.ask(&as_session(&ada, "/")).subject.unwrap();
    assert_eq!((subject.kind, subject.token_id.as_deref()), (SubjectKind::Session, Some("j1")));
    assert_eq!(subject.tenant, Some(tenant("default")));
}

#[test]
fn an_imported_token_that_looks_like_a_jwt_is_that_token() {
    let mut imported = token("default", "t1", TokenKind::Global);
    imported.sha256 = auth::hash("a.b.c");
    let mut world = World::new(
        super::compile("package regate\ndecision := input.token.kind == \"global\"", &Default::default())
            .unwrap(),
        [user("default", "u1"), Fact::Token(imported.clone())],
    );
    let stranger = as_session(&session("somebody"), "/");
    for asked in [stranger.clone(), presenting(Err(SessionRefusal::IssuerUnknown), "/")] {
        let decision = world.ask(&asked);
        assert!(decision.allow);
        assert_eq!(decision.subject.unwrap().token_id.as_deref(), Some("t1"));
    }
    // Who knows another tenant's session does not get it by importing its hash.
    let stolen =
        Fact::Token(regate::decision::facts::Token { tenant: Some(tenant("other")), ..imported.clone() });
    let text = "package regate\ndecision := {\"allow\": true, \"reasons\": [input.token.kind]}";
    let mut other = World::new(
        super::compile(text, &Default::default()).unwrap(),
        [user("other", "u1"), user("default", "somebody"), stolen],
    );
    let decision = other.ask(&stranger);
    assert_eq!(gist(&decision), (true, 200, vec!["session"]));
    assert_eq!(decision.subject.unwrap().tenant, Some(tenant("default")));
    // Revoked, it is a revoked token and not the session that it might be.
    imported.revoked = true;
    let bundle = super::compile("package regate\ndecision := true", &Default::default()).unwrap();
    let mut world = World::new(bundle, [user("default", "u1"), Fact::Token(imported)]);
    assert_eq!(gist(&world.ask(&stranger)), (false, 401, vec!["token.revoked"]));
}

#[test]
fn a_gateway_of_one_tenant_does_not_learn_of_another_tenants_sessions() {
    let mut world = World::with_policy("package regate\ndecision := true");
    let other = AskingGateway { id: "g".into(), tenant: Some(tenant("other")) };
    let mut ended = session("u1");
    ended.expires_at = Some(0);
    for session in [session("u1"), ended] {
        let decision = world.ask(&Question { gateway: Some(&other), ..as_session(&session, "/") });
        assert_eq!(gist(&decision), (false, 401, vec!["token.unknown"]));
        assert_eq!(decision.subject, None);
    }
}

#[test]
fn the_role_is_the_rows_unless_the_issuer_may_say_it() {
    let row = |id: &str, role, disabled| {
        Fact::User(User { tenant: tenant("default"), id: id.into(), role, disabled })
    };
    let bundle = super::compile(ROLE, &Default::default()).unwrap();
    let mut world = World::new(bundle, [row("viewer", UserRole::Viewer, false)]);
    let mut asked = |user_id: &str, role| {
        let decision = world.ask(&as_session(&Session { role, ..session(user_id) }, "/"));
        decision.reasons.first.as_str().to_owned()
    };
    assert_eq!(asked("viewer", None), "role.viewer");
    assert_eq!(asked("viewer", Some(UserRole::Admin)), "role.admin");
    assert_eq!(asked("nobody", None), "role.none");
    assert_eq!(asked("nobody", Some(UserRole::User)), "role.user");

    // The row of a disabled user disables, whatever the issuer says.
    let rules = "package regate\ndecision := input.user.disabled == false";
    let bundle = super::compile(rules, &Default::default()).unwrap();
    let mut world = World::new(bundle, [row("u1", UserRole::Admin, true)]);
    let mut allowed = |user_id: &str| {
        world.ask(&as_session(&Session { role: Some(UserRole::Admin), ..session(user_id) }, "/")).allow
    };
    assert!(!allowed("u1"));
    assert!(allowed("nobody"));
}

#[test]
fn to_a_session_is_open_what_is_open_to_all() {
    let upstream = |id: &str, allow_all| {
        let (tenant, credential) = (tenant("default"), CredentialMode::None);
        Fact::Upstream(Upstream { allow_all, credential, ..Upstream::new(tenant, id) })
    };
    let bundle = super::compile("package regate\ndecision := true", &Default::default()).unwrap();
    let mut world = World::new(bundle, [upstream("open", true), upstream("closed", false)]);
    let mut asked = |id: &'static str| {
        let decision = world.ask(&Question { upstream: Some(id.into()), ..as_session(&session("u1"), "/") });
        decision.reasons.first.as_str().to_owned()
    };
    assert_eq!(asked("open"), "policy.allowed");
    assert_eq!(asked("closed"), "upstream.not_granted");
    assert_eq!(asked("none"), "upstream.unknown");
}
