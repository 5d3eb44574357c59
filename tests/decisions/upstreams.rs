//! What goes on to an upstream, and every way in which nothing does.

use std::{collections::BTreeMap, sync::Arc};

use rand::{SeedableRng, rngs::StdRng};
use regate::{
    decision::{
        AskingGateway, CompileOptions, ConnectUrl, Decision, Delivery, Headers, Question,
        facts::{
            CredentialMode, CredentialState, Fact, Grant, Token, Upstream, UpstreamCredential, User, UserRole,
        },
    },
    types::{Holder, SealedFor, SecretText, TokenKind, UpstreamSecret},
    upstream::KeyRing,
};

use super::{NOW, World, compile, gist, question, tenant, token};

const ALLOW: &str = "package regate\ndecision := {\"allow\": true}";

fn keys() -> KeyRing {
    KeyRing::from_text(&KeyRing::generate(&mut StdRng::seed_from_u64(1))).unwrap()
}

fn plain(text: &str) -> UpstreamSecret {
    UpstreamSecret::Token(SecretText::new(text.to_owned()))
}

fn held(of: &str, upstream: &str, holder: Holder, secret: &UpstreamSecret) -> UpstreamCredential {
    let tenant = tenant(of);
    let place = SealedFor::credential(&tenant, upstream, &holder);
    let sealed = keys().seal_credential(place, secret, &mut StdRng::seed_from_u64(2));
    UpstreamCredential {
        upstream_id: upstream.to_owned(),
        state: CredentialState::Active,
        expires_at: None,
        sealed,
        tenant,
        holder,
    }
}

fn upstream(id: &str, credential: CredentialMode) -> Upstream {
    Upstream { credential, ..Upstream::new(tenant("default"), id) }
}

fn user(id: &str) -> Fact {
    Fact::User(User { tenant: tenant("default"), id: id.into(), role: UserRole::User, disabled: false })
}

fn of_user(id: &str, user: &str) -> Fact {
    Fact::Token(Token { user_id: Some(user.into()), ..token("default", id, TokenKind::Global) })
}

fn grant(token: &str, upstream: &str) -> Fact {
    Fact::Grant(Grant { tenant: tenant("default"), token_id: token.into(), upstream_id: upstream.into() })
}

/// Users `u1` and `u2` with tokens `t1` and `t2`, granted every one of these upstreams.
fn world(policy: &str, facts: Vec<Fact>) -> World {
    let mut all = vec![user("u1"), user("u2"), of_user("t1", "u1"), of_user("t2", "u2")];
    let ids: Vec<String> = facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Upstream(upstream) => Some(upstream.id.clone()),
            _ => None,
        })
        .collect();
    all.extend(ids.iter().flat_map(|id| [grant("t1", id), grant("t2", id)]));
    all.extend(facts);
    let mut world = World::new(compile(policy, &CompileOptions::default()).unwrap(), all);
    world.rules.keys = Arc::new(keys());
    world.rules.connect_url =
        Some(ConnectUrl::new("https://console.example/{tenant}/{upstream}/{holder}/{holder_id}"));
    world
}

fn asked<'a>(secret: Option<&str>, upstream: &'a str) -> Question<'a> {
    Question { upstream: Some(upstream.into()), delivery: Delivery::Given, ..question(secret, "/x") }
}

fn set(decision: &Decision) -> BTreeMap<&str, &str> {
    decision.headers.all_set().collect()
}

fn github() -> Vec<Fact> {
    vec![
        Fact::Upstream(upstream("github", CredentialMode::PerUser)),
        Fact::Credential(held("default", "github", Holder::User("u1".into()), &plain("one"))),
        Fact::Credential(held("default", "github", Holder::User("u2".into()), &plain("two"))),
    ]
}

#[test]
fn each_user_goes_on_with_their_own_credential() {
    let mut world = world(ALLOW, github());
    for (secret, user, value) in [("t1", "u1", "Bearer one"), ("t2", "u2", "Bearer two")] {
        let decision = world.ask(&asked(Some(secret), "github"));
        assert_eq!(gist(&decision), (true, 200, vec!["policy.allowed"]));
        assert_eq!(set(&decision), [("authorization", value)].into());
        assert_eq!(decision.headers.remove, ["authorization"]);
        assert_eq!(decision.connection_key.unwrap(), format!("default/user/{user}/github"));
        let used = decision.credential.unwrap();
        assert_eq!((used.upstream.as_str(), used.holder), ("github", Holder::User(user.into())));
    }
}

#[test]
fn a_decision_shows_no_secret() {
    let mut world = world(ALLOW, github());
    let decision = world.ask(&Question { explain: true, ..asked(Some("t1"), "github") });
    assert_eq!(set(&decision)["authorization"], "Bearer one");
    assert!(!format!("{decision:?}").contains("one\""), "{decision:?}");
    let explanation = serde_json::to_string(&decision.explanation.as_ref().unwrap().input).unwrap();
    assert!(!explanation.contains("Bearer"), "{explanation}");
}

#[test]
fn a_credential_goes_to_gateways_that_authenticated_where_nobody_else_reads() {
    let mut world = world(ALLOW, github());
    let decision = world.ask(&Question { delivery: Delivery::Refused, ..asked(Some("t1"), "github") });
    assert_eq!(gist(&decision), (false, 403, vec!["upstream.channel_insecure"]));
    assert!(set(&decision).is_empty() && decision.connection_key.is_none());
    // Who only asks what would be is told, but not with what.
    for delivery in [Delivery::Withheld, Delivery::Assumed] {
        let decision = world.ask(&Question { delivery, ..asked(Some("t1"), "github") });
        assert_eq!(gist(&decision), (true, 200, vec!["policy.allowed"]));
        assert!(set(&decision).is_empty());
        assert_eq!(decision.headers.remove, ["authorization"]);
    }
    // What would not open is denied to the one who could know.
    world.rules.keys = Arc::new(regate::types::NoKeys);
    for (delivery, allow) in [(Delivery::Withheld, false), (Delivery::Assumed, true)] {
        assert_eq!(world.ask(&Question { delivery, ..asked(Some("t1"), "github") }).allow, allow);
    }
}

#[test]
fn a_public_path_is_no_way_into_an_upstream() {
    let mut world = world(ALLOW, github());
    let public = |upstream: Option<&'static str>| Question {
        upstream: upstream.map(Into::into),
        delivery: Delivery::Given,
        ..question(None, "/health")
    };
    assert_eq!(gist(&world.ask(&public(None))), (true, 200, vec!["request.public_path"]));
    assert_eq!(gist(&world.ask(&public(Some("github")))), (false, 401, vec!["token.missing"]));
    assert_eq!(gist(&world.ask(&public(Some("none")))), (false, 403, vec!["upstream.unknown"]));
}

#[test]
fn what_a_server_may_read_as_the_same_header_goes_as_well() {
    let told = |fields: &[(&'static str, &'static str)]| {
        Headers::new(fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    };
    let mut world = world(
        r#"package regate
decision := {"allow": true, "headers": {"set": {"X-User": "u"}}}"#,
        vec![
            Fact::Upstream(Upstream {
                header: "X-Api-Key".into(),
                format: "{token}".into(),
                ..upstream("api", CredentialMode::PerUser)
            }),
            Fact::Credential(held("default", "api", Holder::User("u1".into()), &plain("k"))),
        ],
    );
    let mut asked = asked(Some("t1"), "api");
    asked.request.headers = told(&[
        ("X_Api_Key", "mine"),
        ("X_User", "root"),
        ("x_api-KEY", "mine"),
        ("X_Other", "1"),
        ("Connection", "keep-alive, X-API-Key"),
    ]);
    let remove = ["authorization", "connection", "x-api-key", "x-user", "x_api-key", "x_api_key", "x_user"];
    assert_eq!(world.ask(&asked).headers.remove, remove);
    // Also without an upstream; and what takes nothing away stays.
    let mut plainly = question(Some("t1"), "/x");
    plainly.request.headers = told(&[("X_User", "root"), ("Connection", "close")]);
    assert_eq!(world.ask(&plainly).headers.remove, ["authorization", "x-user", "x_user"]);
}

#[test]
fn a_credential_does_not_say_how_a_message_is_framed_or_for_whom_it_is() {
    for header in ["Host", "Transfer-Encoding", "content-length", "Connection"] {
        let facts = vec![
            Fact::Upstream(Upstream { header: header.into(), ..upstream("api", CredentialMode::PerUser) }),
            Fact::Credential(held("default", "api", Holder::User("u1".into()), &plain("evil"))),
        ];
        let decision = world(ALLOW, facts).ask(&asked(Some("t1"), "api"));
        assert_eq!(gist(&decision), (false, 403, vec!["upstream.credential_missing"]), "{header}");
        assert!(decision.fault.is_some());
    }
}

#[test]
fn an_anonymous_caller_gets_nobodys_credential() {
    let facts = vec![
        Fact::Upstream(Upstream { allow_all: true, ..upstream("shared", CredentialMode::Shared) }),
        Fact::Upstream(Upstream { allow_all: true, ..upstream("github", CredentialMode::PerUser) }),
        Fact::Credential(held("default", "shared", Holder::Shared, &plain("s"))),
        // What an empty id would find.
        Fact::Credential(held("default", "github", Holder::User(String::new()), &plain("s"))),
    ];
    let mut world = world(ALLOW, facts);
    for id in ["shared", "github"] {
        let decision = world.ask(&Question { explain: true, ..asked(None, id) });
        assert_eq!(gist(&decision), (false, 401, vec!["token.missing"]));
        assert!(set(&decision).is_empty());
        let input = &decision.explanation.as_ref().unwrap().input;
        assert_eq!(input["upstream"]["credential"], "missing".into());
        assert_eq!(input["upstream"]["granted"], false.into());
    }
}

#[test]
fn a_brokered_upstream_has_no_second_way_in() {
    // Another user's, the token's, the shared one: none stands in for the user's own.
    let facts = vec![
        Fact::Upstream(upstream("github", CredentialMode::PerUser)),
        Fact::Credential(held("default", "github", Holder::User("u2".into()), &plain("two"))),
        Fact::Credential(held("default", "github", Holder::Token("t1".into()), &plain("token"))),
        Fact::Credential(held("default", "github", Holder::Token("u1".into()), &plain("token"))),
        Fact::Credential(held("default", "github", Holder::Shared, &plain("shared"))),
        Fact::Credential(held("default", "gitlab", Holder::User("u1".into()), &plain("other"))),
        Fact::Credential(held("acme", "github", Holder::User("u1".into()), &plain("acme"))),
    ];
    let mut world = world(ALLOW, facts);
    let decision = world.ask(&asked(Some("t1"), "github"));
    assert_eq!(gist(&decision), (false, 403, vec!["upstream.credential_missing"]));
    assert!(set(&decision).is_empty() && decision.connection_key.is_none());
    assert_eq!(decision.connect_url.unwrap(), "https://console.example/default/github/user/u1");
}

#[test]
fn grant_state_and_expiry_are_looked_at_when_asked() {
    let changed = |change: fn(&mut UpstreamCredential)| {
        let mut credential = held("default", "github", Holder::User("u1".into()), &plain("one"));
        change(&mut credential);
        vec![Fact::Upstream(upstream("github", CredentialMode::PerUser)), Fact::Credential(credential)]
    };
    let seen = |facts: Vec<Fact>| {
        let decision = world(ALLOW, facts).ask(&Question { explain: true, ..asked(Some("t1"), "github") });
        let input = decision.explanation.as_ref().unwrap().input["upstream"]["credential"].clone();
        let reason = decision.reasons.first.as_str().to_owned();
        assert_eq!(decision.allow, !set(&decision).is_empty());
        (input.as_string().unwrap().to_string(), reason, decision.connect_url.is_some())
    };
    let expect = |state: &str, reason: &str, url| (state.to_owned(), reason.to_owned(), url);
    let missing = "upstream.credential_missing";
    assert_eq!(seen(changed(|_| {})), expect("active", "policy.allowed", false));
    assert_eq!(seen(changed(|c| c.expires_at = Some(NOW + 1))), expect("active", "policy.allowed", false));
    // At the second of its expiry it has expired.
    assert_eq!(seen(changed(|c| c.expires_at = Some(NOW))), expect("expired", missing, true));
    // No consent helps an orphaned one.
    assert_eq!(seen(changed(|c| c.state = CredentialState::Orphaned)), expect("orphaned", missing, false));
    assert_eq!(seen(changed(|c| c.state = CredentialState::NeedsReauth)), expect("expired", missing, true));
    assert_eq!(seen(changed(|c| c.state = CredentialState::NeedsUpdate)), expect("missing", missing, true));

    // State alone is never enough.
    let mut world = World::new(
        compile(ALLOW, &CompileOptions::default()).unwrap(),
        changed(|_| {}).into_iter().chain([user("u1"), of_user("t1", "u1")]),
    );
    world.rules.keys = Arc::new(keys());
    assert_eq!(gist(&world.ask(&asked(Some("t1"), "github"))), (false, 403, vec!["upstream.not_granted"]));
}

#[test]
fn the_policy_is_asked_before_a_credential_is_opened() {
    // Nothing opens here; a denied request does not even notice.
    let deny = "package regate\ndecision := {\"allow\": false, \"reasons\": [\"no\"]}";
    let mut world = world(deny, github());
    world.rules.keys = Arc::new(regate::types::NoKeys);
    let decision = world.ask(&asked(Some("t1"), "github"));
    assert_eq!(gist(&decision), (false, 403, vec!["no"]));
    assert!(decision.fault.is_none() && decision.credential.is_none() && set(&decision).is_empty());
}

#[test]
fn what_does_not_open_is_absent_and_reported_and_the_rest_works() {
    let mut facts = github();
    let Some(Fact::Credential(first)) = facts.get_mut(1) else { panic!("no credential") };
    let mut bytes = first.sealed.bytes.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    first.sealed.bytes = bytes.into();
    let mut world = world(ALLOW, facts);
    let decision = world.ask(&asked(Some("t1"), "github"));
    assert_eq!(gist(&decision), (false, 403, vec!["upstream.credential_missing"]));
    let fault = decision.fault.unwrap().to_string();
    assert!(fault.contains("u1") && fault.contains("github") && fault.contains("does not open"), "{fault}");
    assert!(world.ask(&asked(Some("t2"), "github")).allow);
}

#[test]
fn rows_that_were_swapped_do_not_open() {
    let mut facts = github();
    let [_, Fact::Credential(first), Fact::Credential(second)] = facts.as_mut_slice() else { panic!() };
    std::mem::swap(&mut first.sealed, &mut second.sealed);
    let mut world = world(ALLOW, facts);
    for secret in ["t1", "t2"] {
        let decision = world.ask(&asked(Some(secret), "github"));
        assert_eq!(gist(&decision), (false, 403, vec!["upstream.credential_missing"]));
        assert!(set(&decision).is_empty());
    }
}

#[test]
fn a_token_and_a_shared_credential_go_on_where_the_upstream_says_so() {
    let facts = vec![
        Fact::Upstream(upstream("per-token", CredentialMode::PerToken)),
        Fact::Upstream(Upstream {
            header: "X-Api-Key".into(),
            format: "key={token};v=1".into(),
            ..upstream("shared", CredentialMode::Shared)
        }),
        Fact::Credential(held("default", "per-token", Holder::Token("t1".into()), &plain("mine"))),
        Fact::Credential(held("default", "shared", Holder::Shared, &plain("ours"))),
    ];
    let mut world = world(ALLOW, facts);
    let decision = world.ask(&asked(Some("t1"), "per-token"));
    assert_eq!(set(&decision), [("authorization", "Bearer mine")].into());
    assert_eq!(decision.connection_key.unwrap(), "default/token/t1/per-token");
    let decision = world.ask(&asked(Some("t2"), "per-token"));
    assert_eq!(decision.connect_url.unwrap(), "https://console.example/default/per-token/token/t2");
    for (secret, user) in [("t1", "u1"), ("t2", "u2")] {
        let decision = world.ask(&asked(Some(secret), "shared"));
        assert_eq!(set(&decision), [("x-api-key", "key=ours;v=1")].into());
        // The caller's own, and the client's copy of the header that is set.
        assert_eq!(decision.headers.remove, ["authorization", "x-api-key"]);
        assert_eq!(decision.connection_key.unwrap(), format!("default/user/{user}/shared"));
    }
}

#[test]
fn values_of_headers_go_on_as_they_are_if_all_are_there() {
    let values = |names: &[&str]| {
        let values = names.iter().map(|name| ((*name).to_owned(), SecretText::new(format!("v-{name}"))));
        UpstreamSecret::Headers(values.collect())
    };
    let facts = |declared: &[&str], given: &[&str]| {
        let value_headers = Some(declared.iter().map(|name| (*name).to_owned()).collect());
        vec![
            Fact::Upstream(Upstream { value_headers, ..upstream("api", CredentialMode::PerUser) }),
            Fact::Credential(held("default", "api", Holder::User("u1".into()), &values(given))),
        ]
    };
    let ask = |facts| world(ALLOW, facts).ask(&asked(Some("t1"), "api"));
    let decision = ask(facts(&["X-B", " x-a"], &["x-a", "x-b", "x-c"]));
    assert_eq!(set(&decision), [("x-a", "v-x-a"), ("x-b", "v-x-b")].into());
    assert_eq!(decision.headers.remove, ["authorization", "x-a", "x-b"]);
    // Half a credential is none; and a token is no values.
    let decision = ask(facts(&["x-a", "x-b"], &["x-a"]));
    assert_eq!(gist(&decision), (false, 403, vec!["upstream.credential_missing"]));
    assert!(decision.fault.unwrap().to_string().contains("does not fit"));
    let mut token = facts(&["x-a"], &[]);
    token[1] = Fact::Credential(held("default", "api", Holder::User("u1".into()), &plain("t")));
    assert_eq!(gist(&ask(token)), (false, 403, vec!["upstream.credential_missing"]));
}

#[test]
fn what_could_not_stand_in_a_header_does_not_go_on() {
    let facts = vec![
        Fact::Upstream(upstream("github", CredentialMode::PerUser)),
        Fact::Credential(held("default", "github", Holder::User("u1".into()), &plain("a\r\nX-Admin: 1"))),
    ];
    let decision = world(ALLOW, facts).ask(&asked(Some("t1"), "github"));
    assert_eq!(gist(&decision), (false, 403, vec!["upstream.credential_missing"]));
    assert!(set(&decision).is_empty());
}

#[test]
fn a_policy_does_not_set_the_credentials_header() {
    let policy = r#"package regate
decision := {"allow": true, "headers": {"set": {"Authorization": "Bearer policy", "X-User": "u"}, "remove": ["x-y"]}}"#;
    let decision = world(policy, github()).ask(&asked(Some("t1"), "github"));
    assert_eq!(set(&decision), [("authorization", "Bearer one"), ("x-user", "u")].into());
    assert_eq!(decision.headers.remove, ["authorization", "x-user", "x-y"]);
    let decision = world(policy, github())
        .ask(&Question { delivery: Delivery::Withheld, ..asked(Some("t1"), "github") });
    assert_eq!(set(&decision), [("x-user", "u")].into());
}

#[test]
fn the_callers_headers_pass_as_the_upstream_says() {
    let headers = || {
        let told = ["Cookie", "X-Trace", "Accept", "Host", "Content-Length", "X-Api-Key", "Connection"];
        Headers::new(told.map(|name| (name.into(), "v".into())).to_vec())
    };
    let ask = |policy: &str, upstream: Upstream, facts: Vec<Fact>| {
        let facts = [vec![Fact::Upstream(upstream)], facts].concat();
        let mut asked = asked(Some("t1"), "api");
        asked.request.headers = headers();
        world(policy, facts).ask(&asked)
    };
    let passing = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let plainly = |pass_headers| Upstream { pass_headers, ..upstream("api", CredentialMode::None) };
    let decision = ask(ALLOW, plainly(None), vec![]);
    assert_eq!((decision.headers.remove, decision.headers.pass), (vec!["authorization".into()], None));
    // What frames the message is the gateway's own affair.
    let decision = ask(ALLOW, plainly(passing(&["Accept", "x-trace"])), vec![]);
    assert_eq!(decision.headers.remove, ["authorization", "cookie", "x-api-key"]);
    assert!(decision.credential.is_none());
    // Whoever did not tell all headers can see to it as well.
    assert_eq!(decision.headers.pass, passing(&["accept", "x-trace"]));
    assert_eq!(decision.connection_key.unwrap(), "default/user/u1/api");
    // The caller's own credential goes on to an upstream that says so, and has none of its own.
    let all = ["authorization", "cookie", "x-api-key", "accept", "x-trace"];
    assert_eq!(ask(ALLOW, plainly(passing(&all)), vec![]).headers.remove, [""; 0]);
    let brokered = Upstream { pass_headers: passing(&all), ..upstream("api", CredentialMode::PerUser) };
    let one = || Fact::Credential(held("default", "api", Holder::User("u1".into()), &plain("one")));
    assert_eq!(ask(ALLOW, brokered, vec![one()]).headers.remove, ["authorization"]);
    // Unless the policy says otherwise; and never with a deny.
    let removing = r#"package regate
decision := {"allow": true, "headers": {"remove": ["Authorization"]}}"#;
    assert_eq!(ask(removing, plainly(passing(&all)), vec![]).headers.remove, ["authorization"]);
    let deny = "package regate\ndecision := {\"allow\": false}";
    assert_eq!(ask(deny, plainly(passing(&all)), vec![]).headers.remove, ["authorization"]);
}

#[test]
fn headers_that_carry_credentials_are_hidden_from_rules_and_removed() {
    let mut world = world(ALLOW, github());
    world.rules.credential_headers = vec!["authorization".into(), "x-api-key".into()];
    let mut asked = Question { explain: true, ..question(Some("t1"), "/x") };
    asked.request.headers =
        Headers::new(vec![("X-API-Key".into(), "rgt".into()), ("X-A".into(), "b".into())]);
    let decision = world.ask(&asked);
    assert_eq!(decision.headers.remove, ["authorization", "x-api-key"]);
    let input = serde_json::to_value(&decision.explanation.unwrap().input).unwrap();
    assert_eq!(input["request"]["headers"], serde_json::json!({"x-a": "b"}));
}

#[test]
fn a_tenant_has_its_own_upstreams_and_credentials() {
    let mut facts = github();
    facts.push(Fact::Upstream(Upstream {
        allow_all: true,
        credential: CredentialMode::PerUser,
        ..Upstream::new(tenant("acme"), "github")
    }));
    facts.push(Fact::User(User {
        tenant: tenant("acme"),
        id: "u1".into(),
        role: UserRole::User,
        disabled: false,
    }));
    facts.push(Fact::Token(Token { user_id: Some("u1".into()), ..token("acme", "a1", TokenKind::Global) }));
    facts.push(Fact::Credential(held("acme", "github", Holder::User("u1".into()), &plain("acme"))));
    let mut world = world(ALLOW, facts);
    assert_eq!(set(&world.ask(&asked(Some("a1"), "github")))["authorization"], "Bearer acme");
    assert_eq!(set(&world.ask(&asked(Some("t1"), "github")))["authorization"], "Bearer one");
    let gateway = AskingGateway { id: "g".into(), tenant: Some(tenant("acme")) };
    let decision = world.ask(&Question { gateway: Some(&gateway), ..asked(Some("t1"), "github") });
    assert_eq!(gist(&decision), (false, 401, vec!["token.unknown"]));
    assert!(decision.credential.is_none() && decision.connection_key.is_none());
}
