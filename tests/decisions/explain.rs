//! Why a decision is as it is, in terms of the rules as they are written.

use std::sync::Arc;

use regate::{
    decision::{
        Bundle, CompileOptions, Document, Headers, Question, RuleBody,
        facts::{Collaborator, Fact, Project, ProjectRole},
    },
    policy::{PolicySource, load},
    types::TokenKind,
};

use super::{World, compile, engines, question, tenant, token, user};

/// The shipped bundle, a project `p1` that `u1` works on, and `p2`, which is somebody else's.
fn shipped() -> World {
    let files = load(&PolicySource::Shipped).unwrap();
    let options = CompileOptions::default();
    let bundle = Bundle::compile(&files.sources, files.data, files.revision, &options).unwrap();
    let project = |id: &str| {
        Fact::Project(Project { tenant: tenant("default"), id: id.into(), name: id.into(), public: false })
    };
    let collaborator = Collaborator {
        tenant: tenant("default"),
        project_id: "p1".into(),
        user_id: "u1".into(),
        role: ProjectRole::Viewer,
    };
    let mut listing = token("default", "listing", TokenKind::Mcp);
    listing.projects = Some([("p2".to_owned(), None)].into());
    World::new(
        Arc::new(bundle),
        [
            user("default", "u1"),
            project("p1"),
            project("p2"),
            Fact::Collaborator(collaborator),
            Fact::Token(token("default", "global", TokenKind::Global)),
            Fact::Token(listing),
        ],
    )
}

#[test]
fn a_deny_of_the_shipped_bundle_names_the_condition_that_failed() {
    let mut world = shipped();
    let decision = world.ask(&Question { explain: true, ..question(Some("global"), "/api/v1/projects/p2") });
    let why = decision.explanation.unwrap().why;
    assert_eq!(why.disagreement, None);
    insta::assert_json_snapshot!(why.closest);
}

#[test]
fn what_a_condition_asks_of_other_rules_is_followed() {
    let mut world = shipped();
    let path = "/api/v1/mcp/projects/p1/builds";
    let decision = world.ask(&Question { explain: true, ..question(Some("listing"), path) });
    assert_eq!(decision.reasons.first.as_str(), "mcp_token.project_not_listed");
    let why = decision.explanation.unwrap().why;
    assert_eq!(why.disagreement, None);
    insta::assert_json_snapshot!(why);
}

#[test]
fn nothing_is_explained_unless_it_is_asked_for() {
    assert!(shipped().ask(&question(Some("global"), "/api/v1/projects/p2")).explanation.is_none());
}

/// The marks change nothing: whatever a rule is made of, the marked one gives what the machine gives.
#[test]
fn marked_rules_give_what_the_rules_give() {
    for body in engines::BODIES {
        let rego = format!("{}\ndefault decision := false\ndecision if {{\n{body}\n}}", engines::RULES);
        let rego = rego.replace("input.", "input.context.").replace("input[", "input.context[");
        let options = CompileOptions::default();
        let source = regate::decision::RegoSource { name: "policy.rego".into(), text: rego.clone() };
        let revision = regate::types::PolicyRevision::from_digest(&[1]);
        let Ok(bundle) = Bundle::compile(&[source], Document::new_object(), revision, &options) else {
            // `input` alone as a whole, and the database's own names, are others' tests.
            continue;
        };
        let mut world = World::new(Arc::new(bundle), [user("default", "u1")]);
        let context = Document::from_json_str(r#"{"a": "A", "list": [1]}"#).unwrap();
        let decision = world.ask(&Question { explain: true, context, ..question(None, "/") });
        let why = decision.explanation.unwrap().why;
        assert_eq!(why.disagreement, None, "{rego}");
        assert!(!why.held.is_empty() || !why.failed.is_empty() || !why.closest.is_empty(), "{body}");
    }
}

#[test]
fn each_kind_of_condition_shows_what_it_compared() {
    let rego = r#"package regate
default decision := false
decision if {
	input.context.level >= 3
	team := input.context.team
	some member in data.teams[team]
	member.name == input.context.name
	every right in member.rights { right != "none" }
	not blocked(member)
}
blocked(member) if member.name in input.context.blocked
data_of_teams := 1
"#;
    let bundle = {
        let data = r#"{"teams": {"blue": [{"name": "ann", "rights": ["read"]}, {"name": "bob", "rights": ["read", "none"]}]}}"#;
        let source = regate::decision::RegoSource { name: "policy.rego".into(), text: rego.into() };
        let revision = regate::types::PolicyRevision::from_digest(&[1]);
        let data = Document::from_json_str(data).unwrap();
        Arc::new(Bundle::compile(&[source], data, revision, &CompileOptions::default()).unwrap())
    };
    let mut world = World::new(bundle, []);
    let mut told: Vec<(String, Vec<RuleBody>)> = Vec::new();
    for context in [
        r#"{"level": 2}"#,
        r#"{"level": 3}"#,
        r#"{"level": 3, "team": "red"}"#,
        r#"{"level": 3, "team": "blue", "name": "eve"}"#,
        r#"{"level": 3, "team": "blue", "name": "bob"}"#,
        r#"{"level": 3, "team": "blue", "name": "ann", "blocked": ["ann"]}"#,
    ] {
        let document = Document::from_json_str(context).unwrap();
        let decision = world.ask(&Question { explain: true, context: document, ..question(None, "/") });
        let why = decision.explanation.unwrap().why;
        assert_eq!(why.disagreement, None, "{context}");
        told.push((context.to_owned(), why.closest));
    }
    insta::assert_json_snapshot!(told);
}

/// Whatever a rule makes of a secret: in its own variables, through other rules, in the arguments of functions.
#[test]
fn what_is_made_of_a_secret_does_not_appear() {
    let rego = r#"package regate
default decision := false
decision if {
	cookie := input.request.headers.cookie
	coded := base64.encode(cookie)
	turned := concat("-", split(cookie, ""))
	begin := substring(cookie, 8, 6)
	headers := input.request.headers
	again := replace(headers.cookie, "e", "3")
	every letter in split(cookie, "") { count(letter) == 1 }
	pin := input.context.pin
	halved := pin / 2
	number := input.context.list[0]
	user := input.context.user
	hint := substring(user.password, 0, 3)
	known(cookie, "public")
	other_rule != ""
	team := input.request.headers["x-team"]
	coded == "no"
}
known(given, word) if {
	told := upper(given)
	shown := upper(word)
	told != shown
}
other_rule := reverse(input.request.query.token[0])
reverse(text) := concat("", [character | some character in split(text, "")])
"#;
    let bundle = compile(rego, &CompileOptions::default()).unwrap();
    let mut world = World::new(bundle, []);
    let mut asked = question(None, "/a?token=hunter2222");
    asked.request.headers =
        Headers::new(vec![("Cookie".into(), "session=5up3r5ecret".into()), ("X-Team".into(), "blue".into())]);
    let context = r#"{"pin": 4712, "list": [17], "user": {"name": "ann", "password": "tr0ub4dor"}, "keys": {"KEYNAME": true}}"#;
    let context = Document::from_json_str(context).unwrap();
    let decision = world.ask(&Question { explain: true, context, ..asked });
    let explanation = decision.explanation.unwrap();
    assert_eq!(explanation.why.disagreement, None);
    insta::assert_json_snapshot!(explanation.why);
    let shown = format!("{}{}", explanation.input, serde_json::to_string(&explanation.why).unwrap());
    for secret in ["5up3r", "c2Vzc2lvbj", "s-e-s-s", "hunter2222", "tr0", "4712", "2356", "KEYNAME", "5UP3R"]
    {
        assert!(!shown.contains(secret), "a secret is shown: {secret}: {shown}");
    }
    for plain in ["blue", "17", "PUBLIC", "ann"] {
        assert!(shown.contains(plain), "masked: {plain}: {shown}");
    }
}

/// Whoever asks chooses how much there is to hide and to show.
#[test]
fn an_explanation_of_a_large_question_is_bounded() {
    let rego = "package regate\ndefault decision := false\ndecision if {\n\tlarge := bits.lsh(1, input.context.shift)\n\tlarge == 1\n}\n";
    let bundle = compile(rego, &CompileOptions::default()).unwrap();
    let mut world = World::new(bundle, []);
    let many =
        |name: &str| (0..20_000).map(|number| format!("\"{name}{number}\"")).collect::<Vec<_>>().join(",");
    let context = format!(r#"{{"shift": 3000000, "token": [{}], "l": [{}]}}"#, many("secret"), many("text"));
    let context = Document::from_json_str(&context).unwrap();
    let decision = world.ask(&Question { explain: true, context, ..question(None, "/") });
    let explanation = decision.explanation.unwrap();
    let failed = explanation.why.closest[0].failed.as_ref().unwrap();
    assert_eq!(failed.compared[0].value, Some("[masked]".into()));
    assert!(!explanation.input.to_string().contains("secret1"));
}

#[test]
fn secrets_in_the_input_do_not_appear() {
    let rego = r#"package regate
default decision := false
decision if {
	parts := split(input.request.headers.cookie, "=")
	parts[1] == "right"
	parts[1] == input.request.query.token[0]
}
"#;
    let bundle = compile(rego, &CompileOptions::default()).unwrap();
    let mut world = World::new(bundle, []);
    let mut asked = question(None, "/a?token=hunter2222&page=1");
    asked.request.headers = Headers::new(vec![("Cookie".into(), "session=5up3r5ecret".into())]);
    let decision = world.ask(&Question { explain: true, ..asked });
    let explanation = decision.explanation.unwrap();
    let shown = format!("{explanation:?}{}", serde_json::to_string(&explanation.why).unwrap());
    assert!(shown.contains("parts[1]"), "{shown}");
    for secret in ["5up3r5ecret", "hunter2222"] {
        assert!(!shown.contains(secret), "a secret is shown");
    }
}
