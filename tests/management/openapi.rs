//! The OpenAPI document: valid, in step with the code and the documentation, and what the service does.

use std::{collections::BTreeSet, fs};

use regex::Regex;

use super::scene::Scene;
use crate::harness::{http::send, python};

fn document(scene: &Scene) -> serde_json::Value {
    send(&scene.serving.address, "GET", "/openapi.json", &[], b"").json()
}

/// `METHOD /path`, of all that is described.
fn described() -> BTreeSet<String> {
    let document: serde_json::Value = serde_json::from_str(regate::api::openapi_document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let calls = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    calls.collect()
}

#[test]
fn a_validator_accepts_the_document() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("openapi.json"), regate::api::openapi_document()).unwrap();
    let said = python::run("openapi-spec-validator", &["openapi.json"], folder.path());
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
}

#[test]
fn the_documentation_has_every_call_that_is_described_and_no_other() {
    let page = include_str!("../../docs/api.md");
    let code = Regex::new("`([^`]+)`").unwrap();
    let call = Regex::new("^(GET|POST|PUT|PATCH|DELETE)( (/\\S+))?$").unwrap();
    let mut documented = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| `") || line.starts_with("#")) {
        let cell = if line.starts_with('#') { line } else { line.split('|').nth(1).unwrap() };
        let (mut methods, mut paths): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
        for name in code.captures_iter(cell).map(|found| found.get(1).unwrap().as_str()) {
            match call.captures(name) {
                Some(found) => {
                    // A call after a path is another one: `GET /a`, `POST /b`.
                    if !paths.is_empty() {
                        documented.extend(pairs(&methods, &paths));
                        (methods, paths) = (Vec::new(), Vec::new());
                    }
                    methods.push(found.get(1).unwrap().as_str());
                    paths.extend(found.get(3).map(|path| path.as_str().to_owned()));
                }
                // Another path of the same call: `GET /a`, `/b`.
                None if name.starts_with('/') => paths.push(name.to_owned()),
                None => {}
            }
        }
        documented.extend(pairs(&methods, &paths));
    }
    assert_eq!(documented, described());
}

fn pairs(methods: &[&str], paths: &[String]) -> Vec<String> {
    let each = |path: &String| methods.iter().map(|method| format!("{method} {path}")).collect::<Vec<_>>();
    paths.iter().flat_map(each).collect()
}

#[test]
fn who_may_not_ask_may_not_read_it() {
    let scene = Scene::over("sqlite://regate.sqlite", "[gateways]\nauthentication = \"required\"");
    let read = |credential: &str| {
        let authorization = format!("Bearer {credential}");
        let headers = [("authorization", authorization.as_str())];
        let headers = if credential.is_empty() { &[][..] } else { &headers };
        send(&scene.serving.address, "GET", "/openapi.json", headers, b"").status
    };
    let (_, gateway) = scene.mint(&serde_json::json!({"kind": "gateway", "name": "edge"}));
    let (_, agent) = scene.mint(&serde_json::json!({"kind": "mcp", "name": "agent", "user_id": "u1"}));
    for (credential, status) in [
        (gateway.as_str(), 200),
        (&scene.admin, 200),
        (&scene.session("u3"), 200),
        ("", 401),
        ("nobody", 401),
        (&agent, 403),
    ] {
        assert_eq!(read(credential), status);
    }
}

/// Made-up calls of every described operation, good ones and bad ones: none of them is answered with a 5xx, with a
/// status, a header or a body that is not described, or with success where it is not as it should be.
fn is_as_described(scene: &Scene) {
    // `min_revision` may wait for what does not come, which has a 503 of its own. That a call is as its schema says does
    // not make it one that can be done: ids must be in the data, and fields must go together.
    let settings = "[[operations]]\ninclude-path = [\"/v1/explain\", \"/v1/decide\", \"/v1/decide/batch\"]\n\
        checks.not_a_server_error.expected-statuses = [\"2xx\", \"3xx\", \"4xx\", 503]\n";
    fs::write(scene.folder.path().join("schemathesis.toml"), settings).unwrap();
    let url = format!("http://{}/openapi.json", scene.serving.address);
    let operator = format!("Authorization: Bearer {}", scene.admin);
    let common = [
        "run",
        &url,
        "--no-color",
        "--seed",
        "20261121",
        "--max-examples",
        "25",
        "--suppress-health-check",
        "all",
        "--exclude-checks",
        "positive_data_acceptance,ignored_auth",
    ];
    // As an operator; and as a gateway, which on this listener needs no token.
    let as_operator = ["--header", &operator, "--exclude-path-regex", "^/(v1/decide|access/)"];
    let as_gateway = ["--include-path-regex", "^/(v1/decide|access/)"];
    for more in [&as_operator[..], &as_gateway] {
        let said = python::run("schemathesis", &[&common[..], more].concat(), scene.folder.path());
        let text = String::from_utf8_lossy(&said.stdout);
        assert!(said.status.success(), "{text}\n{}", String::from_utf8_lossy(&said.stderr));
        assert!(text.contains("generated"), "{text}");
    }
    let log = scene.serving.log();
    assert!(!log.contains("panicked") && !log.contains(" ERROR "), "{log}");
    assert_eq!(document(scene)["info"]["title"], "regate");
}

#[test]
fn the_service_on_sqlite_is_as_described() {
    is_as_described(&Scene::sqlite());
}

#[test]
fn the_service_on_postgres_is_as_described() {
    is_as_described(&Scene::postgres());
}
