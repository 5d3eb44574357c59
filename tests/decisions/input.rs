//! The input document, whole, as the contract names it.

use regate::decision::{
    AskingGateway, Document, Headers, Mcp, Question,
    facts::{CredentialMode, Fact, Upstream},
};

use regate::{decision::CompileOptions, types::TokenKind};

use super::{World, compile, question, tenant, token, user};

#[test]
fn everything_that_a_policy_sees() {
    let mut mcp_token = token("default", "t1", TokenKind::Mcp);
    mcp_token.projects = Some([("p1".to_owned(), Some(5)), ("p2".to_owned(), None)].into());
    mcp_token.expires_at = Some(1_900_000_000);
    let facts = [
        user("default", "u1"),
        Fact::Token(mcp_token),
        Fact::Upstream(Upstream {
            tenant: tenant("default"),
            id: "github".into(),
            allow_all: true,
            credential: CredentialMode::PerUser,
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
        mcp: Some(Mcp {
            method: "tools/call".into(),
            params: Document::from_json_str(r#"{"name": "search", "arguments": {"q": 1}}"#).unwrap(),
        }),
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
