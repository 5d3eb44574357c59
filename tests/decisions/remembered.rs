//! Verdicts are remembered, and nobody can tell: whatever the rules can see tells two questions apart.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use regate::{
    decision::{
        AskingGateway, Basis, Bundle, CompileOptions, Decision, DecisionRules, Document, Evaluator, Headers,
        Mcp, Moment, Question, SnapshotBuilder, Update, decide,
        facts::{
            Change, Collaborator, Fact, FactKey, Grant, Project, ProjectRole, Token, Upstream, User, UserRole,
        },
    },
    policy::{self, PolicySource},
    types::{DataRevision, PresentedCredential, Session, TenantId, Timestamp, TokenKind},
};
use uuid::Uuid;

use super::{NOW, World, compile, question, tenant, token, user};
use regate::auth;

/// Something to ask, again and again.
#[derive(Clone)]
struct Asked {
    question: Question<'static>,
    now: i64,
}

impl Asked {
    fn by(secret: Option<&str>, path: &'static str) -> Self {
        Self { question: question(secret, path), now: NOW }
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.question.request.headers = Headers::new(vec![(name.into(), value.into())]);
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Question<'static>)) -> Self {
        change(&mut self.question);
        self
    }

    fn ask(&self, evaluator: &mut Evaluator, basis: &Basis) -> Decision {
        let moment = Moment { now: Timestamp::from_unix_seconds(self.now), data_is_stale: false };
        decide(evaluator, basis, &DecisionRules::default(), &self.question, Uuid::nil(), moment)
    }
}

fn usual() -> Asked {
    Asked::by(Some("t1"), "/a/b?q=1")
}

fn message(method: &'static str, params: &str) -> Mcp<'static> {
    Mcp { method: Some(method.into()), params: Document::from_json_str(params).unwrap() }
}

fn gateway(id: &str, of: Option<&str>) -> &'static AskingGateway {
    Box::leak(Box::new(AskingGateway { id: id.into(), tenant: of.map(tenant) }))
}

fn session(user: &str, claim: &str) -> PresentedCredential {
    let claims = [("team".to_owned(), claim.into())].into_iter().collect();
    let session = Session {
        user_id: user.into(),
        tenant: TenantId::default_tenant(),
        role: None,
        expires_at: None,
        not_before: None,
        leeway: 0,
        token_id: None,
        claims,
    };
    PresentedCredential::Session {
        sha256: auth::hash(&format!("{user} {claim}")),
        session: Ok(Arc::new(session)),
    }
}

/// A condition, what holds it, and what differs from that in what the condition looks at alone.
fn pairs() -> Vec<(&'static str, Asked, Asked)> {
    let later = Asked { now: NOW + 1, ..usual() };
    let anonymous = || Asked::by(None, "/a/b");
    let at_mcp = |message| Asked::by(Some("t1"), "/mcp").with(|question| question.mcp = vec![message]);
    vec![
        (
            "input.request.method == \"GET\"",
            usual(),
            usual().with(|q| q.request.method = Cow::Borrowed("PUT")),
        ),
        ("input.request.path[1] == \"b\"", usual(), Asked::by(Some("t1"), "/a/c?q=1")),
        ("count(input.request.path) == 2", usual(), Asked::by(Some("t1"), "/ab")),
        ("input.request.query.q == [\"1\"]", usual(), Asked::by(Some("t1"), "/a/b?q=2")),
        ("not input.request.query.q", Asked::by(Some("t1"), "/a/b"), usual()),
        ("input.request.raw_path == \"/a/b\"", usual(), Asked::by(Some("t1"), "/a/%62?q=1")),
        ("input.request.host == null", usual(), usual().with(|q| q.request.host = Some("h".into()))),
        (
            "input.request.source_ip == \"192.0.2.1\"",
            usual().with(|q| q.request.source_ip = Some("192.0.2.1".into())),
            usual(),
        ),
        ("input.request.headers[\"x-a\"] == \"1\"", usual().header("X-A", "1"), usual().header("x-a", "2")),
        ("not input.request.headers[\"x-a\"]", usual().header("x-b", "1"), usual().header("x-a", "1")),
        // Whether it is there is all that this looks at.
        ("{ _ := input.request.headers[\"x-a\"] }", usual().header("x-a", "1"), usual()),
        ("\"1\" in input.request.headers", usual().header("x-c", "1"), usual().header("x-c", "2")),
        (
            "{ headers := input.request.headers\n headers[concat(\"-\", [\"x\", \"a\"])] == \"1\" }",
            usual().header("x-a", "1"),
            usual(),
        ),
        (
            "input.context == {}",
            usual(),
            usual().with(|q| q.context = Document::from_json_str("{\"a\": 1}").unwrap()),
        ),
        (
            "input.context.a == 1",
            usual().with(|q| q.context = Document::from_json_str("{\"a\": 1}").unwrap()),
            usual().with(|q| q.context = Document::from_json_str("{\"a\": 2}").unwrap()),
        ),
        (
            "input.gateway.id == \"g1\"",
            usual().with(|q| q.gateway = Some(gateway("g1", None))),
            usual().with(|q| q.gateway = Some(gateway("g2", None))),
        ),
        ("input.gateway == null", usual(), usual().with(|q| q.gateway = Some(gateway("g1", None)))),
        ("input.now < 1800000001", usual(), later.clone()),
        ("input.token.id == \"t1\"", usual(), Asked::by(Some("t2"), "/a/b?q=1")),
        ("input.token != null", usual(), Asked::by(None, "/a/b?q=1")),
        ("input.user.id == \"u1\"", usual(), Asked::by(Some("t3"), "/a/b?q=1")),
        (
            "input.token.claims.team == \"a\"",
            usual().with(|q| q.credential = session("u1", "a")),
            usual().with(|q| q.credential = session("u1", "b")),
        ),
        // An anonymous caller's tenant is the gateway's.
        (
            "data.projects.p1",
            anonymous().with(|q| q.gateway = Some(gateway("g", Some("default")))),
            anonymous().with(|q| q.gateway = Some(gateway("g", Some("other")))),
        ),
        (
            "input.upstream.id == \"up1\"",
            usual().with(|q| q.upstream = Some("up1".into())),
            usual().with(|q| q.upstream = Some("up2".into())),
        ),
        ("input.upstream == null", usual(), usual().with(|q| q.upstream = Some("up1".into()))),
        (
            "input.upstream.granted",
            usual().with(|q| q.upstream = Some("up1".into())),
            Asked::by(Some("t2"), "/a/b?q=1").with(|q| q.upstream = Some("up1".into())),
        ),
        ("input.mcp.method == \"ping\"", at_mcp(message("ping", "{}")), at_mcp(message("pong", "{}"))),
        (
            "input.mcp.tool == \"a\"",
            at_mcp(message("tools/call", "{\"name\": \"a\"}")),
            at_mcp(message("tools/call", "{\"name\": \"b\"}")),
        ),
        (
            "input.mcp.params.x == 1",
            at_mcp(message("tools/call", "{\"name\": \"a\", \"x\": 1}")),
            at_mcp(message("tools/call", "{\"name\": \"a\", \"x\": 2}")),
        ),
        ("input.mcp == null", Asked::by(Some("t1"), "/mcp"), at_mcp(message("ping", "{}"))),
        ("input.mcp != null", at_mcp(message("ping", "{}")), Asked::by(Some("t1"), "/mcp")),
        // Through a function, a rule of another file's kind, a comprehension, an import.
        ("whose(input) == \"GET\"", usual(), usual().with(|q| q.request.method = Cow::Borrowed("PUT"))),
        ("told == {\"x-a\"}", usual().header("x-a", "1"), usual().header("x-b", "1")),
        (
            "held.source_ip == \"192.0.2.1\"",
            usual().with(|q| q.request.source_ip = Some("192.0.2.1".into())),
            usual(),
        ),
        ("[\"request\", \"host\"] in paths", usual().with(|q| q.request.host = Some("h".into())), usual()),
    ]
}

/// Rules that some conditions ask, by name. They stand only beside those: what they see is seen.
const HELPERS: [(&str, &str); 4] = [
    ("whose", "whose(asked) := asked.request.method"),
    ("told", "told := {name | input.request.headers[name]}"),
    ("held", "held := input.request"),
    ("paths", "paths := {path | walk(input, [path, \"h\"])}"),
];

fn world(condition: &str) -> World {
    let body = if condition.starts_with('{') { condition.to_owned() } else { format!("{{ {condition} }}") };
    let asked = HELPERS.iter().filter(|(name, _)| condition.contains(name));
    let helpers: Vec<&str> = asked.map(|(_, rule)| *rule).collect();
    let rego =
        format!("package regate\n{}\ndefault decision := false\ndecision if {body}", helpers.join("\n"));
    let of = |id: &str, user: &str| {
        Fact::Token(Token { user_id: Some(user.into()), ..token("default", id, TokenKind::Global) })
    };
    let upstream = |id: &str| Fact::Upstream(Upstream::new(tenant("default"), id));
    let granted = |token: &str, upstream: &str| {
        Fact::Grant(Grant { tenant: tenant("default"), token_id: token.into(), upstream_id: upstream.into() })
    };
    let project = |of: &str, id: &str| {
        Fact::Project(Project { tenant: tenant(of), id: id.into(), name: id.into(), public: true })
    };
    World::new(
        compile(&rego, &CompileOptions::default()).unwrap(),
        [
            user("default", "u1"),
            user("default", "u2"),
            of("t1", "u1"),
            of("t2", "u1"),
            of("t3", "u2"),
            upstream("up1"),
            upstream("up2"),
            granted("t1", "up1"),
            granted("t1", "up2"),
            project("default", "p1"),
            project("other", "p2"),
        ],
    )
}

#[test]
fn whatever_rules_can_see_tells_two_questions_apart() {
    for (condition, holds, differs) in pairs() {
        let mut world = world(condition);
        for round in 0..3 {
            for (asked, expected) in [(&holds, true), (&differs, false)] {
                // A refusal of regate's own (an upstream without a grant) is a deny that tells nothing.
                let decision = asked.ask(&mut world.evaluator, &world.basis);
                let reasons: Vec<_> = decision.reasons.codes().collect();
                assert_eq!(decision.allow, expected, "{condition}, round {round}: {reasons:?}");
            }
        }
    }
}

#[test]
fn what_rules_cannot_see_makes_no_difference_and_they_are_not_asked_again() {
    let mut world = world("{ headers := input.request.headers\n not headers[\"x-a\"]\n input.mcp == null }");
    let others = [
        usual(),
        usual().header("x-request-id", "1"),
        usual().header("x-request-id", "2"),
        usual().with(|q| q.request.source_ip = Some("192.0.2.9".into())),
        usual().with(|q| q.request.host = Some("h".into())),
        usual().with(|q| q.gateway = Some(gateway("g9", None))),
        Asked::by(Some("t1"), "/a/%62?q=2"),
        Asked { now: NOW + 1, ..usual() },
    ];
    for asked in &others {
        assert!(asked.ask(&mut world.evaluator, &world.basis).allow);
    }
    assert_eq!(world.evaluator.evaluations(), 1);
    assert!(!usual().header("x-a", "1").ask(&mut world.evaluator, &world.basis).allow);
    assert_eq!(world.evaluator.evaluations(), 2);
}

#[test]
fn a_header_with_a_credential_in_it_is_seen_by_no_rule_and_tells_nothing_apart() {
    let mut world = world("count(input.request.headers) == 0");
    for value in ["a", "b"] {
        assert!(usual().header("authorization", value).ask(&mut world.evaluator, &world.basis).allow);
    }
    assert_eq!(world.evaluator.evaluations(), 1);
}

#[test]
fn a_function_that_is_another_each_time_is_asked_each_time() {
    let rego = "package regate\ndecision := {\"allow\": true, \"message\": uuid.rfc4122(sprintf(\"%v\", [input.now]))}";
    let mut world = World::with_policy(rego);
    for _ in 0..3 {
        assert!(usual().ask(&mut world.evaluator, &world.basis).allow);
    }
    assert_eq!(world.evaluator.evaluations(), 3);
}

#[test]
fn an_evaluation_that_failed_is_not_remembered() {
    let rego = "package regate\ndecision := 1 if input.token\ndecision := 2 if input.token";
    let mut world = World::with_policy(rego);
    for _ in 0..2 {
        assert_eq!(usual().ask(&mut world.evaluator, &world.basis).reasons.first.as_str(), "policy.error");
    }
    assert_eq!(world.evaluator.evaluations(), 2);
}

#[test]
fn another_policy_or_other_data_is_another_verdict_at_once() {
    let compiled =
        |rego: &str| compile(&format!("package regate\n{rego}"), &CompileOptions::default()).unwrap();
    let mut world = World::new(
        compiled("default decision := false\ndecision if data.users.u1.disabled == false"),
        [user("default", "u1"), Fact::Token(token("default", "t1", TokenKind::Global))],
    );
    let disabled = |disabled| {
        let user = User { tenant: tenant("default"), id: "u1".into(), role: UserRole::User, disabled };
        Update::Rows(Arc::from([Change::Put(Fact::User(user))]), DataRevision(7))
    };
    for is_disabled in [true, false, true] {
        world.basis.update(&disabled(is_disabled));
        for _ in 0..2 {
            assert_eq!(usual().ask(&mut world.evaluator, &world.basis).allow, !is_disabled);
        }
    }
    world.basis.activate(compiled("decision := true"));
    assert!(usual().ask(&mut world.evaluator, &world.basis).allow);
    // Another basis altogether, asked by the same worker in turns.
    let other = World::with_policy("package regate\ndecision := false");
    for _ in 0..2 {
        assert!(usual().ask(&mut world.evaluator, &world.basis).allow);
        assert!(!usual().ask(&mut world.evaluator, &other.basis).allow);
    }
}

/// Numbers that look random and are the same each time (Knuth's linear congruential generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

fn shipped() -> Arc<Bundle> {
    let files = policy::load(&PolicySource::Shipped).unwrap();
    let options = CompileOptions::default();
    Arc::new(Bundle::compile(&files.sources, files.data, files.revision, &options).unwrap())
}

fn change(numbers: &mut Numbers) -> Change {
    let user = |n: usize| format!("u{n}");
    let collaborator = |numbers: &mut Numbers| Collaborator {
        tenant: tenant("default"),
        project_id: format!("p{}", numbers.below(2)),
        user_id: user(numbers.below(2)),
        role: numbers.of(ProjectRole::ALL),
    };
    match numbers.below(4) {
        0 => Change::Put(Fact::Collaborator(collaborator(numbers))),
        1 => {
            let Collaborator { tenant, project_id, user_id, .. } = collaborator(numbers);
            Change::Removed(FactKey::Collaborator { tenant, project_id, user_id })
        }
        2 => Change::Put(Fact::User(User {
            tenant: tenant("default"),
            id: user(numbers.below(2)),
            role: numbers.of(&[UserRole::User, UserRole::Admin]),
            disabled: numbers.below(4) == 0,
        })),
        _ => Change::Put(Fact::Token(a_token(numbers))),
    }
}

fn a_token(numbers: &mut Numbers) -> Token {
    let kind = numbers.of(&[TokenKind::Global, TokenKind::Mcp, TokenKind::Project, TokenKind::Admin]);
    let lists = [None, Some(None), Some(Some(NOW + 2))];
    let listed = numbers.of(&lists).map(|expiry| BTreeMap::from([("p0".to_owned(), expiry)]));
    Token {
        user_id: Some(format!("u{}", numbers.below(2))),
        project_id: (kind == TokenKind::Project).then(|| "p0".to_owned()),
        scope_pull: numbers.below(2) == 0,
        scope_push: numbers.below(2) == 0,
        allow_trigger: numbers.below(2) == 0,
        projects: listed.filter(|_| kind == TokenKind::Mcp),
        tools: (numbers.below(4) == 0).then(|| vec!["a".to_owned()]),
        revoked: numbers.below(8) == 0,
        ..token("default", ["t0", "t1", "t2"][numbers.below(3)], kind)
    }
}

fn a_question(numbers: &mut Numbers) -> Asked {
    let paths = [
        "/api/v1/projects/p0/builds",
        "/api/v1/projects/p1/builds?limit=5",
        "/api/v1/projects/p0/secrets",
        "/api/v1/projects/p0/builds/restart",
        "/api/v1/mcp/projects/p0/logs",
        "/mcp",
        "/mcp",
        "/other",
    ];
    let path = numbers.of(&paths);
    let secret = numbers.of(&[Some("t0"), Some("t1"), Some("t2"), None, Some("nobody")]);
    let mut asked = Asked::by(secret, path);
    asked.now = NOW + i64::try_from(numbers.below(4)).unwrap();
    asked.question.request.method = Cow::Borrowed(numbers.of(&["GET", "POST", "DELETE", "get"]));
    match numbers.below(6) {
        0 => asked = asked.header("x-http-method-override", "DELETE"),
        1 => asked = asked.header("x-request-id", numbers.of(&["1", "2", "3"])),
        _ => {}
    }
    if path == "/mcp" && numbers.below(2) == 0 {
        let method = numbers.of(&["tools/call", "tools/list", "notifications/x", "unheard/of"]);
        let params = numbers.of(&["{\"name\": \"a\"}", "{\"name\": \"b\", \"x\": 1}", "{}", "{\"name\": 7}"]);
        asked.question.mcp = vec![message(method, params)];
    }
    asked
}

/// One worker that remembers, beside one that has nothing to remember.
#[test]
fn a_worker_that_remembers_says_what_one_that_does_not_would() {
    let numbers = &mut Numbers(7);
    let mut builder = SnapshotBuilder::default();
    builder.add(user("default", "u0"));
    builder.add(user("default", "u1"));
    for id in ["p0", "p1"] {
        let (id, name) = (id.to_owned(), id.to_owned());
        builder.add(Fact::Project(Project { tenant: tenant("default"), id, name, public: false }));
    }
    let mut basis = Basis::new(shipped(), builder.finish(DataRevision(1)));
    let mut remembering = Evaluator::new(0);
    let (mut asked, mut allowed) = (0, 0);
    for round in 0..400 {
        let changes: Vec<Change> = (0..=numbers.below(3)).map(|_| change(numbers)).collect();
        basis.update(&Update::Rows(changes.into(), DataRevision(1)));
        for _ in 0..40 {
            let question = a_question(numbers);
            let [one, other] =
                [question.ask(&mut remembering, &basis), question.ask(&mut Evaluator::new(1), &basis)]
                    .map(|decision| format!("{decision:?}"));
            assert_eq!(one, other, "round {round}: {:?} at {}", question.question.request, question.now);
            asked += 1;
            allowed += u64::from(one.contains("allow: true"));
        }
    }
    // Else nothing was shown.
    assert!(allowed > 500 && asked - allowed > 500, "{allowed} of {asked}");
    assert!(remembering.evaluations() * 10 < asked * 9, "{} of {asked}", remembering.evaluations());
}
