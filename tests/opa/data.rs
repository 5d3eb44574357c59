//! `/v1/data` and `/v0/data`.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::post;
use crate::{
    harness::{
        http::{Answer, send},
        program::{Serving, run, stderr},
    },
    live::{serve, until},
    store::database::TestDatabase,
};

const RULES: &str = r#"package shop

# Undefined without a user.
answer := {"allow": input.user == "ann", "list": [1, {"x": input.user}]}

size := count(data.users)

has_input if input

tags contains tag if some tag in input.tags

function(x) := x

slow if {
	some a in numbers.range(1, 2000)
	some b in numbers.range(1, 2000)
	a * b == -1
}

both := 1 if input.a

both := 2 if input.b
"#;

const PATHS: &str = r#"["shop/answer", "shop/answer/allow", "shop/answer/list/1/x", "shop/size", "shop/has_input", "shop/tags", "shop/slow",
    "shop/both", "shop", "shop/function", "nowhere/at/all"]"#;

fn write(more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("policy")).unwrap();
    fs::write(folder.path().join("policy/shop.rego"), RULES).unwrap();
    let toml = format!(
        "[policy]\nfolder = \"policy\"\nentrypoint = \"data.shop.answer\"\n{more}\n[opa]\npaths = {PATHS}\n"
    );
    fs::write(folder.path().join("regate.toml"), toml).unwrap();
    folder
}

fn start(more: &str) -> (TempDir, Serving) {
    let folder = write(more);
    let serving =
        Serving::start(folder.path(), &["--config", "regate.toml", "--database-url", "sqlite://data.sqlite"]);
    (folder, serving)
}

/// The status and the body, without the id that each answer has.
fn told(answer: &Answer) -> (u16, Value) {
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let mut body = answer.json();
    if answer.status == 200 {
        let id = body.as_object_mut().and_then(|body| body.remove("decision_id"));
        assert!(id.is_some_and(|id| id.as_str().is_some_and(|id| id.len() == 36)));
    }
    (answer.status, body)
}

fn ask(serving: &Serving, path: &str, body: &Value) -> (u16, Value) {
    told(&post(&serving.address, path, body))
}

fn code(answer: &Answer) -> (u16, Value) {
    let (status, body) = told(answer);
    assert!(body.get("result").is_none() && body["message"].is_string(), "{body}");
    (status, body["code"].clone())
}

#[test]
fn a_rule_is_answered_as_opa_answers_it() {
    for engine in ["", "engine = \"interpreter\""] {
        let (_folder, serving) = start(engine);
        let ann = json!({"input": {"user": "ann"}});
        let answer = json!({"allow": true, "list": [1, {"x": "ann"}]});
        assert_eq!(ask(&serving, "/v1/data/shop/answer", &ann), (200, json!({"result": answer})));
        assert_eq!(ask(&serving, "/v1/data/shop/answer/allow", &ann), (200, json!({"result": true})));
        assert_eq!(ask(&serving, "/v1/data/shop/answer/list/1/x", &ann), (200, json!({"result": "ann"})));
        assert_eq!(
            ask(&serving, "/v1/data/shop/tags", &json!({"input": {"tags": ["b", "a", "b"]}})),
            (200, json!({"result": ["a", "b"]}))
        );
        // Slashes in a row and at the end count for nothing; an escape is read once.
        for path in
            ["/v1/data/shop/answer/allow/", "/v1/data//shop/answer/allow", "/v1/data/shop%2Fanswer/allow"]
        {
            assert_eq!(ask(&serving, path, &ann).1, json!({"result": true}), "{path}");
        }
        // Undefined.
        assert_eq!(ask(&serving, "/v1/data/shop/answer", &json!({"input": {}})), (200, json!({})));
        // No input: `null` and no body are none.
        let warning = json!({"code": "api_usage_warning", "message": "'input' key missing from the request"});
        for body in ["", " ", "{}", "{\"input\":null}", "{\"other\":1}"] {
            let answer = send(&serving.address, "POST", "/v1/data/shop/has_input", &[], body.as_bytes());
            assert_eq!(told(&answer), (200, json!({"warning": warning})), "{body}");
        }
        assert_eq!(
            ask(&serving, "/v1/data/shop/has_input", &json!({"input": {}})),
            (200, json!({"result": true}))
        );
        // By GET the input is a parameter.
        let get = |path: &str| told(&send(&serving.address, "GET", path, &[], b""));
        let path = "/v1/data/shop/answer/allow?input=%7B%22user%22:%22ann%22%7D";
        assert_eq!(get(path), (200, json!({"result": true})));
        assert_eq!(get("/v1/data/shop/has_input"), (200, json!({})));
        // v0: the body is the input, and the answer the bare value.
        let v0 = |path: &str, body: &str| send(&serving.address, "POST", path, &[], body.as_bytes());
        let bare = v0("/v0/data/shop/answer/allow", "{\"user\":\"ann\"}");
        assert_eq!((bare.status, bare.body.as_slice()), (200, b"true\n".as_slice()));
        assert_eq!(code(&v0("/v0/data/shop/answer", "{}")), (404, json!("undefined_document")));
        assert_eq!(v0("/v0/data/shop/has_input", "").body, b"true\n");
    }
}

#[test]
fn what_is_said_beside_the_result() {
    let (_folder, serving) = start("");
    let body = json!({"input": {"user": "ann"}});
    let pretty = post(&serving.address, "/v1/data/shop/answer/allow?pretty", &body);
    assert!(String::from_utf8(pretty.body).unwrap().contains("\n  \"result\": true"));
    for parameter in ["metrics", "instrument=true"] {
        let (_, told) = ask(&serving, &format!("/v1/data/shop/size?{parameter}"), &body);
        for timer in ["timer_rego_input_parse_ns", "timer_rego_query_eval_ns", "timer_server_handler_ns"] {
            assert!(told["metrics"][timer].is_u64(), "{told}");
        }
        assert_eq!(told["result"], 0);
    }
    let (_, told) = ask(&serving, "/v1/data/shop/size?provenance", &body);
    assert_eq!(told["provenance"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["provenance"]["revision"].as_str().map(str::len), Some(64));
    for parameter in ["explain=full", "strict-builtin-errors"] {
        let answer = post(&serving.address, &format!("/v1/data/shop/size?{parameter}"), &body);
        assert_eq!(code(&answer), (400, json!("invalid_parameter")));
    }
}

#[test]
fn what_is_not_listed_is_not_there_whether_it_is_or_not() {
    let (_folder, serving) = start("");
    let ask = |path: &str| post(&serving.address, path, &json!({"input": {"user": "ann"}}));
    let first = ask("/v1/data/shop/nothing");
    assert_eq!(code(&first), (404, json!("resource_not_found")));
    for path in [
        "/v1/data",
        "/v1/data/",
        "/v1/data/users",
        "/v1/data/shop/answer/list",
        "/v1/data/shop.answer",
        "/v1/data/shop/answer/../size",
        "/v1/data/Shop/answer",
        "/v1/data/regate/decision",
        "/v1/data/shop/answer%00",
        "/v1/data/%ff",
        "/v0/data/users",
        "/v0/data",
    ] {
        assert_eq!(ask(path).body, first.body, "{path}");
    }
    for path in ["/v1/query", "/v1/compile", "/v1/compile/filters", "/v1/config", "/v1/status"] {
        assert_eq!(code(&ask(path)), (404, json!("resource_not_found")), "{path}");
    }
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS"] {
        for path in ["/v1/data/shop/answer", "/v1/data", "/v0/data/shop/answer", "/v1/data/regate/kong"] {
            let answer = send(&serving.address, method, path, &[], b"{}");
            assert_eq!(code(&answer), (405, json!("invalid_operation")), "{method} {path}");
        }
    }
    // Listed, and without a rule: undefined, and told at the start.
    for path in ["shop", "shop/function", "nowhere/at/all"] {
        assert_eq!(told(&ask(&format!("/v1/data/{path}"))), (200, json!({})), "{path}");
    }
    for words in [
        "it is a package: list the paths of its rules instead (shop/answer,",
        "it is a function: list a rule that calls it",
        "the policy has no rule there",
    ] {
        serving.wait_for_log(words);
    }
}

#[test]
fn what_cannot_be_read_is_no_question() {
    let (_folder, serving) = start("[http]\nmax_body_bytes = 2048");
    let send = |headers: &[(&str, &str)], body: &[u8]| {
        send(&serving.address, "POST", "/v1/data/shop/answer", headers, body)
    };
    let deep = format!("{{\"input\":{}{}}}", "[".repeat(100), "]".repeat(100));
    for body in [
        &b"{"[..],
        b"[]",
        b"null",
        b"true",
        b"{\"input\":{}",
        b"{\"input\":{}} {}",
        b"{\"input\":1,\"input\":2}",
        b"{\"input\":1e999}",
        b"{\"input\":\"\xff\"}",
        b"input: {user: ann}",
        b"{'input': 1}",
        b"\x1f\x8b\x08\x00",
        deep.as_bytes(),
    ] {
        assert_eq!(code(&send(&[], body)), (400, json!("invalid_parameter")), "{body:?}");
    }
    let good = b"{\"input\":{\"user\":\"ann\"}}";
    for header in [
        ("content-encoding", "gzip"),
        ("content-encoding", "br"),
        ("content-type", "application/x-yaml"),
        ("content-type", "text/YAML"),
    ] {
        assert_eq!(code(&send(&[header], good)), (400, json!("invalid_parameter")), "{header:?}");
    }
    let large = format!("{{\"input\":\"{}\"}}", "x".repeat(4096));
    assert_eq!(code(&send(&[], large.as_bytes())), (413, json!("invalid_parameter")));
    for query in ["input=%7B", "input=", "input=%FF", "input=%7B%7D%7B%7D"] {
        let path = format!("/v1/data/shop/answer?{query}");
        let answer = crate::harness::http::send(&serving.address, "GET", &path, &[], b"");
        assert_eq!(code(&answer), (400, json!("invalid_parameter")), "{query}");
    }
    let v0 = crate::harness::http::send(&serving.address, "POST", "/v0/data/shop/answer", &[], b"{");
    assert_eq!(code(&v0), (400, json!("invalid_parameter")));
}

#[test]
fn a_rule_that_fails_or_takes_too_long_has_no_result() {
    for engine in ["", "engine = \"interpreter\"\nmax_time = \"20ms\""] {
        let (_folder, serving) = start(engine);
        for (api, body) in [("v1", json!({"input": {}})), ("v0", json!({}))] {
            let answer = post(&serving.address, &format!("/{api}/data/shop/slow"), &body);
            assert_eq!(code(&answer), (500, json!("internal_error")), "{api}");
        }
        // Two values at once: to the interpreter an error as to OPA, to the machine no value. Either way there is none.
        let both = post(&serving.address, "/v1/data/shop/both", &json!({"input": {"a": 1, "b": 1}}));
        assert!([200, 500].contains(&both.status) && both.json().get("result").is_none(), "{}", both.json());
        let both = post(&serving.address, "/v0/data/shop/both", &json!({"a": 1, "b": 1}));
        assert!([404, 500].contains(&both.status), "{}", both.json());
        serving.wait_for_log("the policy gave no usable result: no answer");
        assert_eq!(ask(&serving, "/v1/data/shop/both", &json!({"input": {"b": 1}})).1, json!({"result": 2}));
    }
}

#[test]
fn who_asks_is_a_gateway_and_sees_its_tenant() {
    let folder = write("[gateways]\nauthentication = \"required\"");
    let row = |id: &str, kind: &str, tenant: &str| {
        let sha256 = regate::auth::hash(id).to_string();
        json!({"id": id, "kind": kind, "name": id, "tenant": tenant, "sha256": sha256})
    };
    let rows = json!({
        "tenants": [{"id": "acme"}],
        "users": [{"id": "u1"}, {"id": "u2"}, {"id": "u1", "tenant": "acme"}],
        "tokens": [row("g-own", "gateway", "default"), row("g-acme", "gateway", "acme"), row("agent", "mcp", "default")],
    });
    let imported =
        run(folder.path(), &["import", "-", "--database-url", "sqlite://data.sqlite"], &rows.to_string());
    assert!(imported.status.success(), "{}", stderr(&imported));
    let arguments = ["--config", "regate.toml", "--database-url", "sqlite://data.sqlite"];
    let serving = Serving::start(folder.path(), &arguments);
    let ask = |credential: &str, path: &str| {
        let headers = [("authorization", credential)];
        let headers = if credential.is_empty() { &[][..] } else { &headers };
        send(&serving.address, "POST", path, headers, b"{\"input\":{}}")
    };
    for credential in ["", "Bearer nobody", "Bearer agent", "g-own", "Basic g-own"] {
        // Before anything is said about paths.
        for path in ["/v1/data/shop/size", "/v1/data/shop/nothing", "/v0/data/shop/size"] {
            let answer = ask(credential, path);
            assert_eq!(code(&answer), (401, json!("unauthorized")), "{credential}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    assert_eq!(told(&ask("Bearer g-own", "/v1/data/shop/size")).1, json!({"result": 2}));
    assert_eq!(told(&ask("Bearer g-acme", "/v1/data/shop/size")).1, json!({"result": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_data_answers_nothing() {
    let database = TestDatabase::sqlite().await;
    database.execute("create table thing (name text); insert into thing values ('a')").await.unwrap();
    let folder = write("[data]\npoll_interval = \"50ms\"\nmax_staleness = \"1s\"");
    let toml = fs::read_to_string(folder.path().join("regate.toml")).unwrap();
    let document = "[[documents]]\npath = \"things\"\nquery = \"select name from thing\"\nlist = true\ninterval = \"50ms\"\n";
    let serving = serve(&database, folder.path(), &format!("{toml}{document}"));
    let path = "/v1/data/shop/size";
    assert_eq!(ask(&serving, path, &json!({"input": {}})), (200, json!({"result": 0})));
    database.execute("drop table thing").await.unwrap();
    let answer = until(|| post(&serving.address, path, &json!({"input": {}})), |answer| answer.status != 200);
    assert_eq!(code(&answer), (503, json!("internal_error")));
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[test]
fn a_path_that_cannot_be_one_ends_the_start() {
    for (path, words) in [
        ("data.shop.answer", "is not a path such as"),
        ("/shop/answer", "is not a path such as"),
        ("regate/kong", "it is answered without being listed"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("regate.toml"), format!("[opa]\npaths = [{path:?}]\n")).unwrap();
        let arguments = ["--config", "regate.toml", "--database-url", "sqlite::memory:"];
        let (code, log) = Serving::try_start(folder.path(), &arguments).err().unwrap();
        assert!(code == Some(1) && log.contains("opa.paths") && log.contains(words), "{code:?}: {log}");
    }
}
