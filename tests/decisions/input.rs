//! The input document, whole, as the contract names it.

use regate::decision::{
    AskingGateway, Document, Headers, Mcp, Question,
    facts::{CredentialMode, Fact, Upstream},
    schema::{DOCUMENTS, INPUT, Shape},
};

use regate::{decision::CompileOptions, types::TokenKind};

use super::{
    World, compile, question,
    sessions::{as_session, session},
    tenant, token, user,
};

#[test]
fn everything_that_a_policy_sees() {
    let mut mcp_token = token("default", "t1", TokenKind::Mcp);
    mcp_token.projects = Some([("p1".to_owned(), Some(5)), ("p2".to_owned(), None)].into());
    mcp_token.expires_at = Some(1_900_000_000);
    let facts = [
        user("default", "u1"),
        Fact::Token(mcp_token),
        Fact::Upstream(Upstream {
            allow_all: true,
            credential: CredentialMode::PerUser,
            ..Upstream::new(tenant("default"), "github")
        }),
    ];
    let bundle = compile("package regate\ndecision := true", &CompileOptions::default()).unwrap();
    let mut world = World::new(bundle, facts);
    let gateway = AskingGateway { id: "g1".into(), tenant: None };
    let headers = Headers::new(vec![("X-Request-ID".into(), "r1".into())]);
    let asked = Question {
        upstream: Some("github".into()),
        gateway: Some(&gateway),
        explain: true,
        mcp: vec![Mcp {
            method: Some("tools/call".into()),
            params: Document::from_json_str(r#"{"name": "search", "arguments": {"q": 1}}"#).unwrap(),
        }],
        context: Document::from_json_str(r#"{"any": [1]}"#).unwrap(),
        ..question(Some("t1"), "/api/%61/b/?x=1&x=2&y")
    };
    let mut request = asked.request.clone();
    request.method = "post".into();
    request.host = Some("api.example".into());
    request.source_ip = Some("192.0.2.7".into());
    request.headers = headers;
    let decision = world.ask(&Question { request, ..asked });
    let explanation = decision.explanation.unwrap();
    insta::assert_json_snapshot!(serde_json::to_value(&explanation.input).unwrap());
}

#[test]
fn an_anonymous_caller_has_no_token_and_no_user() {
    let mut world = World::with_policy("package regate\ndecision := true");
    let decision = world.ask(&Question { explain: true, ..question(None, "/") });
    let input = serde_json::to_value(&decision.explanation.unwrap().input).unwrap();
    for null in ["token", "user", "gateway", "upstream", "mcp"] {
        assert_eq!(input[null], serde_json::Value::Null, "{null}");
    }
    assert_eq!(input["request"]["path"], serde_json::json!([]));
}

#[test]
fn a_session_is_seen_with_its_claims_and_the_row_of_its_user() {
    let mut world = World::with_policy("package regate\ndecision := true");
    let asked = Question { explain: true, ..as_session(&session("u1"), "/") };
    let input = serde_json::to_value(&world.ask(&asked).explanation.unwrap().input).unwrap();
    insta::assert_json_snapshot!(serde_json::json!({"token": input["token"], "user": input["user"]}));
}

/// Each place of the input is one that the schema has, and the other way round but for `claims`, which only sessions have.
#[test]
fn the_input_has_the_shape_that_the_schema_says() {
    fn holds(value: &serde_json::Value, shape: &Shape, place: &str) {
        match (shape, value) {
            (Shape::Any, _)
            | (Shape::Boolean, serde_json::Value::Bool(_))
            | (Shape::Number, serde_json::Value::Number(_))
            | (Shape::Text, serde_json::Value::String(_))
            | (Shape::Nullable(_), serde_json::Value::Null) => {}
            (Shape::OneOf(texts), serde_json::Value::String(text)) => {
                assert!(texts.contains(&text.as_str()), "{place}: {text}");
            }
            (Shape::Nullable(shape), value) => holds(value, shape, place),
            (Shape::List(shape), serde_json::Value::Array(items)) => {
                items.iter().for_each(|item| holds(item, shape, place));
            }
            (Shape::Map(shape), serde_json::Value::Object(fields)) => {
                fields.values().for_each(|value| holds(value, shape, place));
            }
            (Shape::Object(shapes), serde_json::Value::Object(fields)) => {
                // Of sessions alone, of management calls, and of AuthZEN.
                let others = ["claims", "management", "action", "from_gateway", "resource", "subject"];
                let always = |name: &str| !others.contains(&name);
                let known: Vec<&str> =
                    shapes.iter().map(|(name, _)| *name).filter(|name| always(name)).collect();
                assert_eq!(known, fields.keys().collect::<Vec<_>>(), "{place}");
                for (name, shape) in shapes.iter().filter(|(name, _)| always(name)) {
                    holds(&fields[*name], shape, &format!("{place}.{name}"));
                }
            }
            (shape, value) => panic!("{place}: {value} is no {shape:?}"),
        }
    }
    let full = include_str!("snapshots/all__decisions__input__everything_that_a_policy_sees.snap");
    let json = full.splitn(3, "---\n").nth(2).unwrap();
    holds(&serde_json::from_str(json).unwrap(), &INPUT, "input");
    let mut world = World::with_policy("package regate\ndecision := true");
    let decision = world.ask(&Question { explain: true, ..question(Some("t1"), "/a?b") });
    let mut data = serde_json::to_value(world.basis.document(&tenant("default"))).unwrap();
    holds(&serde_json::to_value(&decision.explanation.unwrap().input).unwrap(), &INPUT, "input");
    let asked = Question { explain: true, ..as_session(&session("u1"), "/") };
    let mut input = serde_json::to_value(&world.ask(&asked).explanation.unwrap().input).unwrap();
    assert!(input["token"].as_object_mut().unwrap().remove("claims").unwrap().is_object());
    holds(&input, &INPUT, "input");
    for (name, shape) in DOCUMENTS {
        holds(&data[name].take(), &shape, name);
    }
}
