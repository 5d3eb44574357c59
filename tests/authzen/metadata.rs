//! Where the endpoints are.

use serde_json::json;

use super::scene::Scene;
use crate::harness::{
    http::{raw, send},
    program::Serving,
};

const PATH: &str = "/.well-known/authzen-configuration";

#[test]
fn the_endpoints_are_where_the_call_came_to() {
    let scene = Scene::new("", &[]);
    let address = &scene.serving.address;
    let answer = send(address, "GET", PATH, &[], b"");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let base = format!("http://{address}");
    assert_eq!(
        answer.json(),
        json!({
            "policy_decision_point": base,
            "access_evaluation_endpoint": format!("{base}/access/v1/evaluation"),
            "access_evaluations_endpoint": format!("{base}/access/v1/evaluations"),
            "search_subject_endpoint": format!("{base}/access/v1/search/subject"),
            "search_resource_endpoint": format!("{base}/access/v1/search/resource"),
            "search_action_endpoint": format!("{base}/access/v1/search/action"),
            "supported_obligations": ["custom"],
        })
    );
}

#[test]
fn a_host_that_is_none_is_not_repeated() {
    let scene = Scene::new("", &[]);
    let ask =
        |lines: &str| raw(&scene.serving.address, format!("GET {PATH} HTTP/1.1\r\n{lines}\r\n").as_bytes());
    for host in ["pdp.example", "pdp.example:8443", "[::1]:8181", "a_b.internal"] {
        let answer = ask(&format!("host: {host}\r\n"));
        assert_eq!(answer.json()["policy_decision_point"], format!("http://{host}"));
    }
    for lines in [
        "",
        "host: \r\n",
        "host: a b\r\n",
        "host: a/b\r\n",
        "host: me@pdp.example\r\n",
        "host: pdp.example:\r\n",
        "host: pdp.example:99999\r\n",
        "host: pdp.example?x\r\n",
        "host: a\"b\r\n",
        "host: a.example, b.example\r\n",
        "host: a.example\r\nhost: b.example\r\n",
    ] {
        let answer = ask(lines);
        assert_eq!(answer.status, 400, "{lines}");
        let text = String::from_utf8_lossy(&answer.body);
        assert!(!text.contains("example"), "{text}");
    }
}

#[test]
fn the_configuration_says_where_they_are_once_and_for_all() {
    let scene = Scene::new("[authzen]\nbase_url = \"https://pdp.example/authz\"\n", &[]);
    let answer = send(&scene.serving.address, "GET", PATH, &[("x-request-id", "r1")], b"");
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(answer.header("x-request-id"), Some("r1"));
    let document = answer.json();
    assert_eq!(document["policy_decision_point"], "https://pdp.example/authz");
    assert_eq!(document["access_evaluation_endpoint"], "https://pdp.example/authz/access/v1/evaluation");
}

#[test]
fn a_value_that_cannot_be_used_ends_the_start() {
    for (line, expected) in [
        ("base_url = \"http://pdp.example\"", "authzen.base_url"),
        ("base_url = \"https://pdp.example/\"", "authzen.base_url"),
        ("max_page_results = 0", "authzen.max_page_results"),
        ("max_page_evaluations = 0", "authzen.max_page_evaluations"),
        ("base = \"https://pdp.example\"", "base"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("regate.toml"), format!("[authzen]\n{line}\n")).unwrap();
        let arguments = ["--config", "regate.toml", "--database-url", "sqlite::memory:"];
        let (code, log) = Serving::try_start(folder.path(), &arguments).err().unwrap();
        assert_eq!(code, Some(1), "{line}");
        assert!(log.contains(expected), "{log}");
    }
}

#[test]
fn another_method_is_refused_as_every_call_here_is() {
    let scene = Scene::new("", &[]);
    for (path, allowed) in [
        ("/access/v1/evaluation", "POST"),
        ("/access/v1/evaluations", "POST"),
        ("/access/v1/search/subject", "POST"),
        ("/access/v1/search/resource", "POST"),
        ("/access/v1/search/action", "POST"),
        (PATH, "GET,HEAD"),
    ] {
        let answer = send(&scene.serving.address, "DELETE", path, &[("x-request-id", "r1")], b"");
        assert_eq!((answer.status, answer.header("x-request-id")), (405, Some("r1")), "{path}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{path}");
        assert_eq!(answer.header("allow"), Some(allowed), "{path}");
    }
}
