//! The pure part, with policies of the tests' own: each way in which something can go wrong ends in a deny with its
//! reason, and both engines give the same.

use std::sync::Arc;

use regate::{
    decision::{
        Action, AskingGateway, Basis, Bundle, CompileOptions, Decision, DecisionRules, Document,
        EngineChoice, Entity, Entrypoint, Evaluation, Evaluator, Interpreter, Moment, NoCandidates,
        RegoSource, Searched, SnapshotBuilder, candidates, evaluate,
        facts::{Fact, User, UserRole},
        schema::{INPUT, Shape, field},
    },
    policy::{PolicySource, load},
    types::{DataRevision, PolicyRevision, TenantId, Timestamp},
};
use serde_json::{Value, json};
use uuid::Uuid;

const NOW: i64 = 1_800_000_000;

fn basis(rules: &str, engine: EngineChoice) -> Basis {
    let source = |name: &str, text: String| RegoSource { name: name.into(), text };
    let sources = [
        source("d.rego", "package regate\n\ndecision := false".into()),
        source("a.rego", format!("package regate.authzen\n\n{rules}")),
    ];
    let options = CompileOptions { engine, ..CompileOptions::default() };
    let revision = PolicyRevision::from_digest(&[1]);
    let bundle = Bundle::compile(&sources, Document::new_object(), revision, &options).unwrap();
    let mut builder = SnapshotBuilder::default();
    for (tenant, id, disabled) in
        [("default", "u1", false), ("default", "u2", false), ("default", "off", true), ("acme", "u9", false)]
    {
        let tenant = TenantId::try_from(tenant).unwrap();
        builder.add(Fact::User(User { tenant, id: id.into(), role: UserRole::User, disabled }));
    }
    Basis::new(Arc::new(bundle), builder.finish(DataRevision(7)))
}

fn asking(subject: &str) -> Evaluation<'static> {
    let document = |value: Value| regate::decision::document(value);
    Evaluation {
        subject: Entity {
            kind: "user".into(),
            id: Some(subject.into()),
            properties: document(json!({"role": "admin"})),
        },
        action: Some(Action { name: "read".into(), properties: document(json!({"soft": true})) }),
        resource: Entity {
            kind: "project".into(),
            id: Some("p1".into()),
            properties: document(json!({"public": true})),
        },
        context: document(json!({"any": 1})),
        subject_is_user: true,
        carries_out_headers: false,
        gateway: None,
    }
}

fn moment(data_is_stale: bool) -> Moment {
    Moment { now: Timestamp::from_unix_seconds(NOW), data_is_stale }
}

fn ask(basis: &Basis, evaluation: &Evaluation<'_>) -> Decision {
    let rules = DecisionRules::default();
    evaluate(&mut Evaluator::new(0), basis, &rules, evaluation, Uuid::nil(), moment(false))
}

/// Whether it is allowed, and the first reason.
fn gist(decision: &Decision) -> (bool, &str) {
    (decision.allow, decision.reasons.first.as_str())
}

fn look(
    basis: &Basis,
    evaluation: &Evaluation<'_>,
    after: Option<&str>,
    most: usize,
) -> Result<Vec<String>, NoCandidates> {
    let rules = DecisionRules::default();
    let search = (evaluation, Searched::Subjects);
    let found = candidates(&mut Evaluator::new(0), basis, &rules, search, (after, most), moment(false))?;
    Ok(found.iter().map(ToString::to_string).collect())
}

const ENGINES: [EngineChoice; 2] = [EngineChoice::Auto, EngineChoice::Interpreter];

#[test]
fn a_result_that_is_not_clearly_an_allow_is_none() {
    for (rules, expected) in [
        ("decision := true", (true, "policy.allowed")),
        ("decision := false", (false, "policy.no_rule_matched")),
        (r#"decision := {"allow": true, "reasons": ["a.b"]}"#, (true, "a.b")),
        (r#"decision := {"allow": false, "reasons": ["a.b"]}"#, (false, "a.b")),
        (r#"decision := "true""#, (false, "policy.error")),
        (r#"decision := {"allow": "true"}"#, (false, "policy.error")),
        (r#"decision := {"allow": 1}"#, (false, "policy.error")),
        (r#"decision := {"decision": true}"#, (false, "policy.error")),
        (r#"decision := {"allow": true, "status": 403}"#, (false, "policy.error")),
        (r#"decision := {"allow": true, "headers": {"set": {"a b": "c"}}}"#, (false, "policy.error")),
        ("decision if input.subject.id == \"nobody\"", (false, "policy.error")),
        ("decision := 1 if true\n\ndecision := 2 if true", (false, "policy.error")),
        ("subjects := set()", (false, "policy.no_rule_matched")),
    ] {
        for engine in ENGINES {
            let basis = basis(rules, engine);
            assert_eq!(gist(&ask(&basis, &asking("u1"))), expected, "{rules} {engine:?}");
        }
    }
}

#[test]
fn a_policy_that_takes_too_long_denies() {
    let rules = "decision := true if {\n\tsome i in numbers.range(0, 9999)\n\tsome j in numbers.range(0, 9999)\n\ti + j == 50000\n}";
    let decision = ask(&basis(rules, EngineChoice::Auto), &asking("u1"));
    assert_eq!(gist(&decision), (false, "policy.timeout"));
}

#[test]
fn stale_data_decides_nothing() {
    let basis = basis("decision := true\n\nsubjects := {\"u1\"}", EngineChoice::Auto);
    let rules = DecisionRules::default();
    let mut evaluator = Evaluator::new(0);
    let decision = evaluate(&mut evaluator, &basis, &rules, &asking("u1"), Uuid::nil(), moment(true));
    assert_eq!(gist(&decision), (false, "data.stale"));
    let evaluation = asking("u1");
    let search = (&evaluation, Searched::Subjects);
    let found = candidates(&mut evaluator, &basis, &rules, search, (None, 9), moment(true));
    assert_eq!(found, Err(NoCandidates::Stale));
}

#[test]
fn changes_of_headers_are_carried_out_or_nothing_is_allowed() {
    for headers in [r#"{"set": {"X-User": "u1"}}"#, r#"{"remove": ["cookie"]}"#] {
        let rules =
            format!("decision := {{\"allow\": true, \"reasons\": [\"a.b\"], \"headers\": {headers}}}");
        let basis = basis(&rules, EngineChoice::Auto);
        assert_eq!(gist(&ask(&basis, &asking("u1"))), (false, "obligation.unsupported"));
        let able = Evaluation { carries_out_headers: true, ..asking("u1") };
        let decision = ask(&basis, &able);
        assert_eq!(gist(&decision), (true, "a.b"));
        assert!(!decision.headers.remove.is_empty());
    }
}

/// The whole input, as the contract names it, and that it has the shape that `regate check` knows.
#[test]
fn everything_that_a_policy_sees() {
    let basis = basis(r#"decision := {"allow": true, "message": json.marshal(input)}"#, EngineChoice::Auto);
    let seen = |evaluation: &Evaluation<'_>| -> Value {
        serde_json::from_str(ask(&basis, evaluation).message.as_str()).unwrap()
    };
    let gateway = AskingGateway { id: "g1".into(), tenant: Some(TenantId::try_from("default").unwrap()) };
    let input = seen(&Evaluation { gateway: Some(&gateway), ..asking("u1") });
    assert_eq!(
        input,
        json!({
            "subject": {"type": "user", "id": "u1"},
            "user": {"id": "u1", "role": "user", "disabled": false},
            "action": {"name": "read"},
            "resource": {"type": "project", "id": "p1"},
            "gateway": {"id": "g1"},
            "now": NOW,
            "context": {"any": 1},
            "from_gateway": {"subject": {"role": "admin"}, "action": {"soft": true}, "resource": {"public": true}},
        })
    );
    let Shape::Object(fields) = INPUT else { panic!("{INPUT:?}") };
    for (name, value) in input.as_object().unwrap() {
        assert!(fields.iter().any(|(known, _)| known == name), "{name}");
        for below in value.as_object().into_iter().flat_map(|value| value.keys()) {
            assert!(name == "context" || field(&INPUT, &[name, below]).is_some(), "{name}.{below}");
        }
    }
    // Whom the data does not know is nobody, and so is a subject of another type, and another tenant's user.
    for (subject, subject_is_user) in [("nobody", true), ("u1", false), ("u9", true)] {
        let input = seen(&Evaluation { subject_is_user, ..asking(subject) });
        assert_eq!((&input["user"], &input["gateway"]), (&Value::Null, &Value::Null), "{subject}");
    }
    assert_eq!(seen(&asking("off"))["user"]["disabled"], true);
}

#[test]
fn the_tenant_is_that_of_the_gateway() {
    let basis = basis("decision if data.users[input.user.id]\n\nelse := false", EngineChoice::Auto);
    let acme = AskingGateway { id: "g".into(), tenant: Some(TenantId::try_from("acme").unwrap()) };
    let all = AskingGateway { id: "g".into(), tenant: None };
    for (gateway, subject, expected) in [
        (None, "u1", true),
        (None, "u9", false),
        (Some(&all), "u1", true),
        (Some(&acme), "u1", false),
        (Some(&acme), "u9", true),
    ] {
        assert_eq!(ask(&basis, &Evaluation { gateway, ..asking(subject) }).allow, expected, "{subject}");
    }
}

#[test]
fn what_a_search_looks_at_is_a_set_a_list_or_an_object_of_texts() {
    for rules in [
        r#"subjects := {"c", "a", "b"}"#,
        r#"subjects := ["c", "a", "b", "a"]"#,
        r#"subjects := {"c": 1, "a": {}, "b": null}"#,
        "subjects contains name if some name in [\"b\", \"c\", \"a\"]",
    ] {
        for engine in ENGINES {
            let basis = basis(rules, engine);
            let evaluation = asking("u1");
            let all = |after, most| look(&basis, &evaluation, after, most).unwrap();
            assert_eq!(all(None, 9), ["a", "b", "c"], "{rules} {engine:?}");
            assert_eq!(all(None, 2), ["a", "b"]);
            assert_eq!(all(Some("a"), 9), ["b", "c"]);
            // One that is gone since.
            assert_eq!(all(Some("aa"), 1), ["b"]);
            assert!(all(Some("c"), 9).is_empty());
        }
    }
    for rules in ["decision := true", "subjects := {\"a\"} if input.subject.id == \"x\""] {
        assert!(
            look(&basis(rules, EngineChoice::Auto), &asking("u1"), None, 9).unwrap().is_empty(),
            "{rules}"
        );
    }
}

#[test]
fn a_search_that_has_nothing_to_look_at_by_mistake_does_not_find_nothing() {
    for (rules, form) in [
        ("subjects := \"a\"", true),
        ("subjects := true", true),
        ("subjects := null", true),
        ("subjects := {1, \"a\"}", true),
        ("subjects := [[\"a\"]]", true),
        (
            "subjects contains \"a\" if {\n\tsome i in numbers.range(0, 9999)\n\tsome j in numbers.range(0, 9999)\n\ti + j == 50000\n}",
            false,
        ),
    ] {
        let found = look(&basis(rules, EngineChoice::Auto), &asking("u1"), None, 9);
        assert_eq!(found == Err(NoCandidates::Form), form, "{rules}: {found:?}");
        assert!(found.is_err(), "{rules}");
    }
}

/// The shipped bundle, asked everything that differs to it: both engines give the same, for each entrypoint.
#[test]
fn both_engines_agree_over_the_shipped_bundle() {
    let files = load(&PolicySource::Shipped).unwrap();
    let mut data = serde_json::to_value(&files.data).unwrap();
    let bundle = Bundle::compile(&files.sources, files.data, files.revision, &CompileOptions::default());
    let bundle = Arc::new(bundle.unwrap());
    let rows = json!({
        "projects": {"p1": {"name": "one", "public": false}, "open": {"name": "o", "public": true}},
        "collaborators": {"p1": {
            "v": {"role": "viewer"}, "d": {"role": "developer"}, "a": {"role": "administrator"}, "o": {"role": "owner"},
        }},
        "users": {}, "upstreams": {},
    });
    data.as_object_mut().unwrap().extend(rows.as_object().unwrap().clone());
    let data = Document::from(data);
    let mut interpreter = Interpreter::of_bundle(&bundle, data.clone()).unwrap();
    let mut evaluator = Evaluator::new(0);
    let mut seen = std::collections::BTreeSet::new();
    let entity = |id: &str, kind: &str| match id {
        "" => json!({"type": kind}),
        id => json!({"type": kind, "id": id}),
    };
    for user in ["v", "d", "a", "o", "x", "off", "nobody", ""] {
        for action in ["read", "write", "administer", "remove", "fly", ""] {
            for project in ["p1", "open", "none", ""] {
                for kind in ["project", "record"] {
                    let row = json!({"id": user, "role": "user", "disabled": user == "off"});
                    let input = Document::from(json!({
                        "subject": entity(user, "user"),
                        "user": if ["nobody", ""].contains(&user) { Value::Null } else { row },
                        "action": if action.is_empty() { Value::Null } else { json!({"name": action}) },
                        "resource": entity(project, kind),
                        "from_gateway": {"subject": {}, "action": {}, "resource": {}},
                        "gateway": null, "context": {}, "now": NOW,
                    }));
                    let entrypoints = [
                        Entrypoint::Authzen,
                        Entrypoint::AuthzenSubjects,
                        Entrypoint::AuthzenResources,
                        Entrypoint::AuthzenActions,
                    ];
                    for entrypoint in entrypoints {
                        let evaluated =
                            evaluator.evaluate(&bundle, entrypoint, &data, input.clone()).unwrap();
                        let interpreted = interpreter.evaluate(&bundle, entrypoint, input.clone()).unwrap();
                        assert_eq!(evaluated, interpreted, "{entrypoint:?} {input}");
                        if entrypoint == Entrypoint::Authzen {
                            seen.insert(evaluated["reasons"][0].to_string());
                        }
                    }
                }
            }
        }
    }
    assert_eq!(seen.len(), 11, "{seen:?}");
}
