//! The certification scenario of AuthZEN 1.0 (openid/authzen, `certification/authorization-api-1_0-scenario.md`), level
//! by level, against the real binary over `examples/authzen-certification`. Run with `--nocapture` it prints the table.

use std::{fs, path::Path, sync::Arc};

use serde_json::{Value, json};
use tokio_rustls::rustls::ClientConfig;

use crate::{
    harness::{
        http::{Answer, exchange, request},
        program::{Serving, run, stderr, stdout},
    },
    transport::certificates::{self, Authority, Certified, SETTINGS},
};

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";

/// The example, copied to where it may write its database, started as its page says, over HTTPS.
fn start(folder: &Path, certified: &Certified) -> Serving {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/authzen-certification");
    copy(&example, folder);
    let imported = run(folder, &["import", "import.json"], "");
    assert!(imported.status.success(), "{}", stderr(&imported));
    certified.write(folder);
    fs::write(folder.join("tls.toml"), SETTINGS).unwrap();
    let flags = ["--policies", "policies", "--policy-tests", "policy-tests", "--config", "tls.toml"];
    Serving::start(folder, &flags)
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&path, &target);
        } else if path.extension().is_none_or(|extension| extension != "sqlite") {
            fs::copy(&path, &target).unwrap();
        }
    }
}

struct Harness<'a> {
    address: &'a str,
    client: Arc<ClientConfig>,
    /// The URL that it is asked at.
    base: String,
    /// Level, test of the scenario, what went wrong.
    results: Vec<(&'static str, &'static str, Result<(), String>)>,
}

fn user(id: &str) -> Value {
    json!({"type": "user", "id": id})
}

fn record(id: &str) -> Value {
    json!({"type": "record", "id": id})
}

fn asking(subject: Value, action: Value, resource: Value) -> Value {
    json!({"subject": subject, "action": action, "resource": resource})
}

fn plain(subject: &str, action: &str, resource: &str) -> Value {
    asking(user(subject), json!({"name": action}), record(resource))
}

fn and(mut value: Value, name: &str, more: Value) -> Value {
    value[name] = more;
    value
}

fn without(mut value: Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name);
    value
}

impl Harness<'_> {
    fn send(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.ask("POST", path, headers, body)
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let host = self.base.trim_start_matches("https://");
        let message = request(host, method, path, headers, body.as_bytes());
        exchange(certificates::open(self.address, &self.client), &message)
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(path, &[("content-type", "application/json")], &body.to_string())
    }

    fn note(&mut self, level: &'static str, test: &'static str, problem: Option<String>) {
        self.results.push((level, test, problem.map_or(Ok(()), Err)));
    }

    /// A call that is answered with 200 and JSON which `is_right`.
    fn answered(
        &mut self,
        (level, test): (&'static str, &'static str),
        path: &str,
        body: &Value,
        is_right: impl Fn(&Value) -> bool,
    ) {
        let answer = self.post(path, body);
        let json = answer.header("content-type") == Some("application/json");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let right = answer.status == 200 && json && serde_json::from_str(&text).is_ok_and(|v| is_right(&v));
        self.note(level, test, (!right).then(|| format!("{} {text}", answer.status)));
    }

    /// A single evaluation, whose answer is compared as a whole.
    fn decides(&mut self, name: (&'static str, &'static str), body: &Value, decision: bool) {
        self.answered(name, EVALUATION, body, |answer| *answer == json!({"decision": decision}));
    }

    fn refused(&mut self, (level, test): (&'static str, &'static str), path: &str, body: &str) {
        let answer = self.send(path, &[("content-type", "application/json")], body);
        self.note(level, test, (answer.status != 400).then(|| answer.status.to_string()));
    }

    /// Several evaluations, whose answer is compared as a whole.
    fn several(&mut self, name: (&'static str, &'static str), body: &Value, decisions: &[bool]) {
        let expected: Vec<Value> = decisions.iter().map(|decision| json!({"decision": decision})).collect();
        self.answered(name, EVALUATIONS, body, |answer| *answer == json!({"evaluations": expected}));
    }

    /// A search whose results have these among them, all of the right form.
    fn finds(&mut self, name: (&'static str, &'static str), kind: &str, body: &Value, expected: &[Value]) {
        self.answered(name, &format!("/access/v1/search/{kind}"), body, |answer| {
            let Some(results) = answer["results"].as_array() else { return false };
            let of_the_type = |result: &Value| match kind {
                "action" => result["name"].is_string(),
                kind => result["type"] == body[kind]["type"] && result["id"].is_string(),
            };
            expected.iter().all(|one| results.contains(one)) && results.iter().all(of_the_type)
        });
    }
}

fn basic(harness: &mut Harness<'_>) {
    const CORE: &str = "Basic Core";
    const PROPERTIES: &str = "Basic Properties";
    let context = json!({"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"});
    let read = plain("alice", "read", "record-1");
    harness.decides((CORE, "3.2.1 permit"), &read, true);
    harness.decides((CORE, "3.2.2 deny"), &plain("bob", "write", "record-1"), false);
    harness.decides((CORE, "rule 2"), &plain("alice", "write", "record-1"), true);
    harness.decides((CORE, "rule 3"), &plain("bob", "read", "record-1"), true);
    harness.decides((CORE, "3.2.3 context"), &and(read.clone(), "context", context), true);
    let archived = and(record("record-2"), "properties", json!({"status": "archived"}));
    let write = json!({"name": "write"});
    harness.decides(
        (PROPERTIES, "3.2.4 resource properties"),
        &asking(user("alice"), write.clone(), archived.clone()),
        false,
    );
    let admin = and(user("bob"), "properties", json!({"role": "admin"}));
    harness.decides((PROPERTIES, "3.2.5 subject properties"), &asking(admin, write, archived), true);
    for (test, soft) in [("3.2.6 soft delete", true), ("3.2.7 hard delete", false)] {
        let delete = json!({"name": "delete", "properties": {"soft": soft}});
        harness.decides((PROPERTIES, test), &asking(user("alice"), delete, record("record-1")), soft);
    }
    let more = asking(
        and(user("alice"), "properties", json!({"department": "Sales", "role": "manager"})),
        json!({"name": "read", "properties": {"method": "GET"}}),
        and(record("record-1"), "properties", json!({"owner": "alice"})),
    );
    harness
        .answered((CORE, "3.2.8 additional properties"), EVALUATION, &more, |a| a["decision"].is_boolean());
    let unknown = and(and(read.clone(), "foo", json!("bar")), "futureField", json!({"nested": true}));
    harness.decides((CORE, "3.2.9 unknown fields"), &unknown, true);
    for part in ["subject", "action", "resource"] {
        harness.refused((CORE, "3.4.1 missing field"), EVALUATION, &without(read.clone(), part).to_string());
    }
    for (part, field) in
        [("subject", "type"), ("subject", "id"), ("action", "name"), ("resource", "type"), ("resource", "id")]
    {
        let body = and(read.clone(), part, without(read[part].clone(), field));
        harness.refused((CORE, "3.4.2 missing sub-field"), EVALUATION, &body.to_string());
    }
    let answer = harness.send(EVALUATION, &[("content-type", "text/plain")], &read.to_string());
    harness.note(CORE, "3.4.3 content type", (answer.status != 400).then(|| answer.status.to_string()));
    harness.refused((CORE, "3.4.4 malformed JSON"), EVALUATION, "{\"subject\": ");
    harness.refused((CORE, "3.4.5 empty body"), EVALUATION, "");
    for (part, value) in [("subject", json!("alice")), ("action", json!({"name": 123}))] {
        harness.refused((CORE, "3.4.6 field types"), EVALUATION, &and(read.clone(), part, value).to_string());
    }
    let json_type = ("content-type", "application/json");
    let echoed = harness.send(EVALUATION, &[json_type, ("x-request-id", "bfe9eb29")], &read.to_string());
    let right = echoed.status == 200 && echoed.header("x-request-id") == Some("bfe9eb29");
    harness.note(CORE, "3.5.1 request id", (!right).then(|| format!("{:?}", echoed.headers)));
    harness.decides((CORE, "3.5.2 no request id"), &read, true);
    for _ in 0..5 {
        harness.decides((CORE, "3.6 idempotency"), &read, true);
    }
}

fn batch(harness: &mut Harness<'_>) {
    const CORE: &str = "Batch Core";
    const PROPERTIES: &str = "Batch Properties";
    let named = |name: &str| json!({"action": {"name": name}});
    let (one, two) = (json!({"resource": record("record-1")}), json!({"resource": record("record-2")}));
    let defaults = json!({"subject": user("alice"), "action": {"name": "read"}});
    harness.several(
        (CORE, "4.2.1 list"),
        &and(defaults.clone(), "evaluations", json!([one, two])),
        &[true, true],
    );
    let bob = json!({"subject": user("bob"), "resource": record("record-1")});
    harness.several(
        (CORE, "4.2.2 decisions"),
        &and(bob, "evaluations", json!([named("read"), named("write")])),
        &[true, false],
    );
    let archived = and(record("record-2"), "properties", json!({"status": "archived"}));
    let writing = json!({"subject": user("alice"), "action": {"name": "write"}});
    harness.several(
        (PROPERTIES, "4.2.3 resource properties"),
        &and(writing, "evaluations", json!([one, {"resource": archived}])),
        &[true, false],
    );
    let admin = and(user("bob"), "properties", json!({"role": "admin"}));
    harness.several(
        (PROPERTIES, "4.2.4 subject properties"),
        &json!({
            "action": {"name": "write"}, "resource": archived,
            "evaluations": [{"subject": user("alice")}, {"subject": admin}],
        }),
        &[false, true],
    );
    let full = [plain("alice", "read", "record-1"), plain("bob", "write", "record-1")];
    harness.several((CORE, "4.2.5 no defaults"), &json!({"evaluations": full}), &[true, false]);
    let context = json!({"time": "2025-06-27T18:03-07:00"});
    let inherited = and(
        and(defaults.clone(), "context", context.clone()),
        "evaluations",
        json!([one, and(two.clone(), "context", context)]),
    );
    harness.several((CORE, "4.2.6 context"), &inherited, &[true, true]);
    // The whole object is replaced: alice's role does not stay.
    harness.several(
        (PROPERTIES, "4.2.7 defaults"),
        &json!({
            "subject": and(user("alice"), "properties", json!({"role": "admin"})),
            "action": {"name": "write"}, "resource": archived,
            "evaluations": [{}, {"subject": user("alice")}, {"resource": record("record-1")}],
        }),
        &[true, false, false],
    );
    let failing = and(
        and(defaults, "options", json!({"evaluations_semantic": "execute_all"})),
        "evaluations",
        json!([one, {}]),
    );
    harness.answered((CORE, "4.4.1 item errors"), EVALUATIONS, &failing, |answer| {
        let [first, second] = answer["evaluations"].as_array().unwrap().as_slice() else { return false };
        first == &json!({"decision": true}) && second["decision"] == false && second["context"].is_object()
    });
    let read = plain("alice", "read", "record-1");
    let single = |answer: &Value| *answer == json!({"decision": true});
    harness.answered((CORE, "4.4.2 no list"), EVALUATIONS, &read, single);
    harness.answered((CORE, "4.4.3 empty list"), EVALUATIONS, &and(read, "evaluations", json!([])), single);
}

fn search(harness: &mut Harness<'_>) {
    const CORE: &str = "Search Core";
    const PROPERTIES: &str = "Search Properties";
    let context = json!({"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"});
    let readers = asking(json!({"type": "user"}), json!({"name": "read"}), record("record-1"));
    let both = [user("alice"), user("bob")];
    harness.finds((CORE, "5.2.1 subjects"), "subject", &readers, &both);
    harness.finds(
        (CORE, "5.2.2 context"),
        "subject",
        &and(readers.clone(), "context", context.clone()),
        &both,
    );
    harness.finds(
        (CORE, "5.2.3 id ignored"),
        "subject",
        &and(readers.clone(), "subject", user("alice")),
        &both,
    );
    let archived = and(record("record-2"), "properties", json!({"status": "archived"}));
    let writers = asking(json!({"type": "user"}), json!({"name": "write"}), archived.clone());
    harness.finds((PROPERTIES, "5.2.4 subjects"), "subject", &writers, &[user("bob")]);
    let readable = asking(user("alice"), json!({"name": "read"}), json!({"type": "record"}));
    let one = [record("record-1")];
    harness.finds((CORE, "5.3.1 resources"), "resource", &readable, &one);
    harness.finds(
        (CORE, "5.3.2 context"),
        "resource",
        &and(readable.clone(), "context", context.clone()),
        &one,
    );
    harness.finds(
        (CORE, "5.3.3 id ignored"),
        "resource",
        &and(readable, "resource", record("record-1")),
        &one,
    );
    let admin = and(user("bob"), "properties", json!({"role": "admin"}));
    let writable = asking(admin.clone(), json!({"name": "write"}), json!({"type": "record"}));
    harness.finds((PROPERTIES, "5.3.4 resources"), "resource", &writable, &[record("record-2")]);
    let doable = json!({"subject": user("alice"), "resource": record("record-1")});
    let two = [json!({"name": "read"}), json!({"name": "write"})];
    harness.finds((CORE, "5.4.1 actions"), "action", &doable, &two);
    harness.finds((CORE, "5.4.2 context"), "action", &and(doable, "context", context), &two);
    let with_properties = json!({"subject": admin, "resource": archived});
    harness.finds((PROPERTIES, "5.4.3 actions"), "action", &with_properties, &[json!({"name": "write"})]);
    let paged = and(readers.clone(), "page", json!({"limit": 1}));
    harness.answered((CORE, "5.5.1 page limit"), "/access/v1/search/subject", &paged, |answer| {
        answer["results"].as_array().is_some_and(|results| results.len() == 1)
            && answer["page"]["next_token"].as_str().is_some_and(|token| !token.is_empty())
    });
    // Without the limit, as the harness sends it.
    let token = harness.post("/access/v1/search/subject", &paged).json()["page"]["next_token"].clone();
    let next = and(readers.clone(), "page", json!({"token": token}));
    harness.answered((CORE, "5.5.2 page token"), "/access/v1/search/subject", &next, |answer| {
        answer["results"] == json!([user("bob")]) && answer["page"]["next_token"] == ""
    });
    let nobody = json!({"subject": user("nonexistent-user"), "resource": record("record-1")});
    let empty = |answer: &Value| *answer == json!({"results": []});
    harness.answered((CORE, "5.6.1 unknown id"), "/access/v1/search/action", &nobody, empty);
    let ships = and(readers.clone(), "subject", json!({"type": "spaceship"}));
    harness.answered((CORE, "5.6.2 unknown type"), "/access/v1/search/subject", &ships, empty);
    let typed = and(readers.clone(), "resource", json!({"type": "record"}));
    for (path, body) in [
        ("subject", without(readers.clone(), "action")),
        ("resource", without(typed.clone(), "subject")),
        ("action", json!({"subject": user("alice")})),
    ] {
        harness.refused(
            (CORE, "5.7.1 missing field"),
            &format!("/access/v1/search/{path}"),
            &body.to_string(),
        );
    }
    for (path, body) in [("subject", &typed), ("resource", &typed), ("action", &without(readers, "action"))] {
        harness.refused(
            (CORE, "5.7.2 missing sub-field"),
            &format!("/access/v1/search/{path}"),
            &body.to_string(),
        );
    }
}

fn discovery(harness: &mut Harness<'_>) {
    let answer = harness.ask("GET", "/.well-known/authzen-configuration", &[], "");
    let base = harness.base.clone();
    let document = answer.json();
    let right = answer.status == 200
        && answer.header("content-type") == Some("application/json")
        && document["policy_decision_point"] == base
        && document["access_evaluation_endpoint"] == format!("{base}{EVALUATION}");
    harness.note("Discovery", "7.5 metadata", (!right).then(|| document.to_string()));
    for name in ["access_evaluations", "search_subject", "search_resource", "search_action"] {
        let url = document[format!("{name}_endpoint")].as_str().unwrap_or_default().to_owned();
        // It is there: an empty body is a bad request, and no unknown path.
        let path = url.strip_prefix(base.as_str()).unwrap_or("/nothing").to_owned();
        harness.refused(("Discovery", "7.4 endpoint"), &path, "");
    }
}

#[test]
fn every_level_of_the_certification_scenario_passes() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("certification");
    let serving = start(folder.path(), &authority.certify());
    let port = serving.address.rsplit_once(':').unwrap().1;
    let mut harness = Harness {
        address: &serving.address,
        client: authority.client(None),
        base: format!("https://localhost:{port}"),
        results: Vec::new(),
    };
    basic(&mut harness);
    batch(&mut harness);
    search(&mut harness);
    discovery(&mut harness);
    let levels = [
        "Basic Core",
        "Basic Properties",
        "Batch Core",
        "Batch Properties",
        "Search Core",
        "Search Properties",
        "Discovery",
    ];
    let mut failures = Vec::new();
    println!("| level | checks | passed |\n|---|---|---|");
    for level in levels {
        let of_level: Vec<_> = harness.results.iter().filter(|(of, ..)| *of == level).collect();
        let passed = of_level.iter().filter(|(.., result)| result.is_ok()).count();
        println!("| {level} | {} | {passed} |", of_level.len());
        assert!(!of_level.is_empty(), "{level}");
        failures.extend(of_level.into_iter().filter(|(.., result)| result.is_err()));
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn the_policies_of_the_example_pass_their_tests_and_the_check() {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/authzen-certification"), folder.path());
    let checked = run(folder.path(), &["check", "policies", "policy-tests", "--deny-warnings"], "");
    assert!(checked.status.success(), "{}", stdout(&checked));
    let tested = run(folder.path(), &["test", "policies", "policy-tests", "--threshold", "99"], "");
    assert!(tested.status.success(), "{}", stdout(&tested));
}
