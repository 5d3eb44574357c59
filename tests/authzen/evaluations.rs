//! Single and several evaluations over HTTP: what is answered, and what is refused.

use serde_json::{Value, json};

use super::scene::{Scene, evaluation, message, with};

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";

#[test]
fn the_shipped_policy_decides_about_projects() {
    let scene = Scene::new("", &[]);
    for (subject, action, resource, decision) in [
        ("u1", "read", "p1", true),
        ("u1", "remove", "p1", true),
        ("u2", "read", "p1", true),
        ("u2", "write", "p1", false),
        ("u2", "write", "p2", true),
        ("u3", "read", "p1", false),
        ("u3", "read", "open", true),
        ("u3", "write", "open", false),
        ("off", "read", "p1", false),
        ("off", "read", "open", false),
        ("nobody", "read", "open", false),
        ("u1", "read", "p9", false),
    ] {
        // Nothing else: clients compare whole answers.
        let answer = scene.ask(EVALUATION, &evaluation(subject, action, resource));
        assert_eq!(answer, json!({"decision": decision}), "{subject} {action} {resource}");
    }
    let mut asked = evaluation("u1", "read", "p1");
    asked["subject"]["type"] = json!("identity");
    assert_eq!(scene.ask(EVALUATION, &asked), json!({"decision": true}));
    asked["subject"]["type"] = json!("service");
    assert_eq!(scene.ask(EVALUATION, &asked), json!({"decision": false}));
}

#[test]
fn what_the_gateway_says_opens_nothing_by_itself() {
    let scene = Scene::new("", &[]);
    let mut asked = evaluation("u3", "read", "p1");
    for part in ["subject", "action", "resource"] {
        asked[part]["properties"] =
            json!({"role": "owner", "public": true, "disabled": false, "id": "u1", "user": {"id": "u1"}});
    }
    asked["context"] = json!({"user": {"id": "u1"}, "role": "owner"});
    asked["user"] = json!({"id": "u1", "role": "admin", "disabled": false});
    asked["from_gateway"] = json!({});
    assert_eq!(scene.ask(EVALUATION, &asked), json!({"decision": false}));
}

#[test]
fn reasons_are_told_to_whoever_asks() {
    let scene = Scene::new("", &[]);
    let asked = with(evaluation("u2", "write", "p1"), &json!({"options": {"reasons": true, "other": 1}}));
    let answer = scene.ask(EVALUATION, &asked);
    assert_eq!(answer["decision"], false);
    let context = &answer["context"];
    assert_eq!(context["reason"], "authzen.role_may_not");
    assert_eq!(context["reasons"], json!(["authzen.role_may_not"]));
    assert_eq!(context["message"], "the user's role on this project does not allow this");
    assert!(context["decision_id"].is_string() && context["policy_revision"].is_string());
    assert!(context["data_revision"].is_u64());
    for other in [json!({"reasons": 1}), json!({"reasons": "true"}), json!([]), json!(7)] {
        let asked = with(evaluation("u2", "write", "p1"), &json!({"options": other}));
        assert_eq!(scene.ask(EVALUATION, &asked), json!({"decision": false}), "{asked}");
    }
    let always = Scene::new("[authzen]\nreasons = true\nuser_types = [\"person\"]\n", &[]);
    let answer = always.ask(EVALUATION, &evaluation("u1", "read", "p1"));
    assert_eq!(answer["context"]["reason"], "authzen.unknown_subject");
    let mut asked = evaluation("u1", "read", "p1");
    asked["subject"]["type"] = json!("person");
    assert_eq!(always.ask(EVALUATION, &asked)["context"]["reason"], "authzen.project_read");
}

#[test]
fn what_has_two_readings_or_a_wrong_form_is_a_bad_request() {
    let scene = Scene::new("", &[]);
    let good = evaluation("u1", "read", "p1").to_string();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let bodies = [
        ("", "EOF"),
        ("[]", "expected an object"),
        ("null", ""),
        ("{\"subject\": {}}x", ""),
        (
            r#"{"subject":{"type":"user","id":"u3"},"subject":{"type":"user","id":"u1"},"action":{"name":"read"},"resource":{"type":"project","id":"p1"}}"#,
            "a member comes twice",
        ),
        (
            r#"{"subject":{"type":"user","id":"u3","id":"u1"},"action":{"name":"read"},"resource":{"type":"project","id":"p1"}}"#,
            "a member comes twice",
        ),
        (
            r#"{"subject":{"type":"user","id":"u3","\u0069d":"u1"},"action":{"name":"read"},"resource":{"type":"project","id":"p1"}}"#,
            "a member comes twice",
        ),
        (
            r#"{"subject":{"type":"user","id":"\ud800"},"action":{"name":"read"},"resource":{"type":"project","id":"p1"}}"#,
            "",
        ),
    ];
    for (body, expected) in bodies {
        for path in [EVALUATION, EVALUATIONS] {
            let answer = scene.post(path, &[], body.as_bytes());
            assert_eq!(answer.status, 400, "{body}");
            let message = message(&answer);
            assert!(message.contains(expected), "{body}: {message}");
        }
    }
    assert_eq!(scene.post(EVALUATION, &[], b"{\"subject\": \"\xff\"}").status, 400);
    let deep = good.replacen('{', &format!("{{\"x\": {deep}, "), 1);
    assert_eq!(scene.post(EVALUATION, &[], deep.as_bytes()).status, 400);
    let asked = evaluation("u1", "read", "p1");
    for (part, value, expected) in [
        ("subject", json!("u1"), "subject: it has to be an object"),
        ("subject", Value::Null, "subject: it has to be an object"),
        ("subject", json!({"id": "u1"}), "subject.type: it is missing"),
        ("subject", json!({"type": "user", "id": 1}), "subject.id: it has to be a text"),
        ("subject", json!({"type": "user", "id": null}), "subject.id: it has to be a text"),
        (
            "subject",
            json!({"type": "user", "id": "u1", "properties": []}),
            "subject.properties: it has to be an object",
        ),
        ("action", json!({"name": ["read"]}), "action.name: it has to be a text"),
        ("action", json!(["read"]), "action: it has to be an object"),
        ("resource", json!({"type": "project"}), "resource.id: it is missing"),
        ("context", json!("x"), "context: it has to be an object"),
    ] {
        let mut asked = asked.clone();
        asked[part] = value;
        for path in [EVALUATION, EVALUATIONS] {
            let answer = scene.post(path, &[], asked.to_string().as_bytes());
            assert_eq!((answer.status, message(&answer)), (400, expected.to_owned()));
        }
    }
    // Clients write what is not there as null.
    let nulls = json!({"context": null, "evaluations": null, "options": null});
    let mut asked = with(asked, &nulls);
    asked["subject"]["properties"] = Value::Null;
    for path in [EVALUATION, EVALUATIONS] {
        assert_eq!(scene.ask(path, &asked), json!({"decision": true}));
    }
}

#[test]
fn the_content_type_is_json_and_nothing_else() {
    let scene = Scene::new("", &[]);
    let body = evaluation("u1", "read", "p1").to_string();
    let send = |headers: &[(&str, &str)]| {
        crate::harness::http::send(&scene.serving.address, "POST", EVALUATION, headers, body.as_bytes())
            .status
    };
    for good in ["application/json", "application/json; charset=utf-8", "Application/JSON;v=1"] {
        assert_eq!(send(&[("content-type", good)]), 200, "{good}");
    }
    for bad in
        ["text/plain", "application/jsonp", "application/x-www-form-urlencoded", "application/json-seq", ""]
    {
        assert_eq!(send(&[("content-type", bad)]), 400, "{bad}");
    }
    assert_eq!(send(&[]), 400);
    assert_eq!(send(&[("content-type", "application/json"), ("content-type", "text/plain")]), 400);
}

#[test]
fn defaults_are_replaced_as_wholes() {
    let scene = Scene::new("[authzen]\nreasons = true\n", &[]);
    let project = |id: &str| json!({"resource": {"type": "project", "id": id}});
    let asked = json!({
        "subject": {"type": "user", "id": "u2"},
        "action": {"name": "write"},
        "resource": {"type": "project", "id": "p2"},
        "context": {"a": 1},
        "evaluations": [
            {},
            project("p1"),
            {"subject": {"type": "user", "id": "u1"}, "resource": {"type": "project", "id": "p1"}},
            // Nothing of the default's comes into it.
            {"subject": {"id": "u1"}},
            {"action": {}},
            {"resource": null},
            {"context": null},
            {"context": "x"},
            "text",
            null,
            ["subject"],
        ],
    });
    let answer = scene.ask(EVALUATIONS, &asked);
    assert!(answer.get("decision").is_none());
    let items = answer["evaluations"].as_array().unwrap();
    let decisions: Vec<&Value> = items.iter().map(|item| &item["decision"]).collect();
    let first = [true, false, true].map(Value::Bool);
    assert_eq!(decisions[..3], first.iter().collect::<Vec<_>>());
    let errors = [
        "subject.type: it is missing",
        "action.name: it is missing",
        "resource: it has to be an object",
        "context: it has to be an object",
        "context: it has to be an object",
        "an evaluation has to be an object",
        "an evaluation has to be an object",
        "an evaluation has to be an object",
    ];
    assert_eq!(items.len(), 3 + errors.len());
    for (item, error) in items[3..].iter().zip(errors) {
        assert_eq!(
            *item,
            json!({"decision": false, "context": {"error": {"status": 400, "message": error}}})
        );
    }
}

#[test]
fn a_default_that_is_wrong_is_wrong_for_all() {
    let scene = Scene::new("", &[]);
    let mut asked = evaluation("u1", "read", "p1");
    asked["evaluations"] = json!([evaluation("u1", "read", "p1")]);
    for (part, value) in [
        ("subject", json!("u1")),
        ("action", json!({})),
        ("context", json!([])),
        ("resource", json!({"type": "x"})),
    ] {
        let asked = with(asked.clone(), &json!({part: value}));
        assert_eq!(scene.post(EVALUATIONS, &[], asked.to_string().as_bytes()).status, 400, "{asked}");
    }
    for evaluations in [json!({}), json!("x"), json!(1), json!(true)] {
        let asked = with(asked.clone(), &json!({"evaluations": evaluations}));
        let answer = scene.post(EVALUATIONS, &[], asked.to_string().as_bytes());
        assert_eq!((answer.status, message(&answer)), (400, "evaluations: it has to be a list".to_owned()));
    }
}

#[test]
fn a_list_stops_where_it_is_told_to() {
    let scene = Scene::new("", &[]);
    let (yes, no, bad) = (evaluation("u1", "read", "p1"), evaluation("u3", "read", "p1"), json!({}));
    let ask = |semantic: Value, evaluations: &[&Value]| -> Vec<bool> {
        let asked = json!({"evaluations": evaluations, "options": {"evaluations_semantic": semantic}});
        let answer = scene.ask(EVALUATIONS, &asked);
        answer["evaluations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["decision"].as_bool().unwrap())
            .collect()
    };
    for all in [json!("execute_all"), Value::Null] {
        assert_eq!(ask(all, &[&yes, &no, &bad, &yes]), [true, false, false, true]);
    }
    assert_eq!(ask(json!("deny_on_first_deny"), &[&yes, &no, &yes]), [true, false]);
    assert_eq!(ask(json!("deny_on_first_deny"), &[&yes, &bad, &yes]), [true, false]);
    assert_eq!(ask(json!("deny_on_first_deny"), &[&yes, &yes]), [true, true]);
    assert_eq!(ask(json!("permit_on_first_permit"), &[&no, &bad, &yes, &no]), [false, false, true]);
    assert_eq!(ask(json!("permit_on_first_permit"), &[&no, &bad]), [false, false]);
    for unknown in [json!("first_wins"), json!("EXECUTE_ALL"), json!(1), json!(["execute_all"]), json!("")] {
        let asked = json!({"evaluations": [yes], "options": {"evaluations_semantic": unknown}});
        let answer = scene.post(EVALUATIONS, &[], asked.to_string().as_bytes());
        assert_eq!(answer.status, 400, "{asked}");
        assert!(message(&answer).contains("evaluations_semantic"));
    }
    let asked = json!({"evaluations": [yes], "options": "execute_all"});
    assert_eq!(scene.post(EVALUATIONS, &[], asked.to_string().as_bytes()).status, 400);
}

#[test]
fn a_list_and_a_body_have_bounds() {
    let scene = Scene::new("[http]\nmax_batch_length = 3\nmax_body_bytes = 4096\n", &[]);
    let asked =
        |count: usize| json!({"evaluations": vec![evaluation("u1", "read", "p1"); count]}).to_string();
    assert_eq!(scene.post(EVALUATIONS, &[], asked(3).as_bytes()).status, 200);
    let answer = scene.post(EVALUATIONS, &[], asked(4).as_bytes());
    assert_eq!((answer.status, message(&answer).contains("at most 3")), (400, true));
    let large = with(evaluation("u1", "read", "p1"), &json!({"x": "y".repeat(5_000)}));
    let answer = scene.post(EVALUATION, &[("x-request-id", "r1")], large.to_string().as_bytes());
    assert_eq!((answer.status, answer.header("x-request-id")), (413, Some("r1")));
    message(&answer);
}

#[test]
fn what_has_to_be_carried_out_is_told_to_whoever_carries_it_out_and_denied_to_others() {
    let rules = r#"decision := {"allow": true, "reasons": ["a.b"], "headers": {"set": {"X-Role": "reader"}, "remove": ["Cookie"]}} if {
	input.action.name == "read"
}

else := {"allow": false, "status": 403, "scopes": ["write"], "reasons": ["a.c"]}

subjects := data.users"#;
    let scene = Scene::with_policy(rules, "");
    let read = evaluation("u1", "read", "p1");
    assert_eq!(scene.ask(EVALUATION, &read), json!({"decision": false}));
    let told = with(read.clone(), &json!({"options": {"reasons": true}}));
    assert_eq!(scene.ask(EVALUATION, &told)["context"]["reason"], "obligation.unsupported");
    for others in
        [json!([]), json!(["notification"]), json!("custom"), json!({"custom": true}), json!([["custom"]])]
    {
        let asked = with(read.clone(), &json!({"context": {"supported_obligations": others}}));
        assert_eq!(scene.ask(EVALUATION, &asked), json!({"decision": false}), "{asked}");
    }
    let able = json!({"context": {"supported_obligations": ["notification", "custom"]}});
    let properties = json!({"vendor": "regate", "action": "headers", "set": {"x-role": "reader"}, "remove": ["cookie", "x-role"]});
    let obligations = json!([{"id": "headers", "type": "custom", "properties": properties}]);
    let expected = json!({"decision": true, "context": {"obligations": obligations}});
    assert_eq!(scene.ask(EVALUATION, &with(read.clone(), &able)), expected);
    let list =
        with(able.clone(), &json!({"evaluations": [read, with(read.clone(), &json!({"context": {}}))]}));
    assert_eq!(scene.ask(EVALUATIONS, &list)["evaluations"], json!([expected, {"decision": false}]));
    // A denial stays one for everybody; who knows challenges is told how to do better.
    let write = evaluation("u1", "write", "p1");
    assert_eq!(scene.ask(EVALUATION, &write), json!({"decision": false}));
    let answer = scene.ask(EVALUATION, &with(write, &able));
    let challenge = &answer["context"]["obligations"][0];
    assert_eq!(
        (&answer["decision"], &challenge["properties"]["action"]),
        (&json!(false), &json!("challenge"))
    );
    assert_eq!(challenge["properties"]["status"], 403);
    assert!(challenge["properties"]["www_authenticate"].as_str().unwrap().contains("insufficient_scope"));
    // Searches: the same for each result.
    let search = json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "p", "id": "1"}});
    assert_eq!(scene.ask("/access/v1/search/subject", &search), json!({"results": []}));
    let found = scene.ask("/access/v1/search/subject", &with(search, &able));
    let results = found["results"].as_array().unwrap();
    assert_eq!(results.len(), 4);
    assert!(results.iter().all(|result| result["obligations"] == obligations), "{found}");
    let always = Scene::with_policy(rules, "[authzen]\nobligations = true\n");
    assert_eq!(always.ask(EVALUATION, &evaluation("u1", "read", "p1")), expected);
}

#[test]
fn a_bundle_without_rules_for_authzen_denies_and_finds_nothing() {
    let scene = Scene::with_policy("unrelated := 1", "");
    let asked = evaluation("u1", "read", "p1");
    assert_eq!(scene.ask(EVALUATION, &asked), json!({"decision": false}));
    for kind in ["subject", "resource", "action"] {
        assert_eq!(scene.ask(&format!("/access/v1/search/{kind}"), &asked), json!({"results": []}));
    }
}
