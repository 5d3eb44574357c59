//! What commands print for programs is what HTTP answers: the same fields, in the same order.

use super::Scene;
use crate::harness::{http::send, program::Serving};

/// The names of an object's fields in the order in which they stand.
fn names(json: &str) -> Vec<String> {
    let pattern = regex::Regex::new("\"([a-z_0-9]+)\":").unwrap();
    pattern.captures_iter(json).map(|found| found[1].to_owned()).collect()
}

#[test]
fn fields_and_their_order_are_those_of_http() {
    let scene = Scene::sqlite();
    let admin = scene.object(&["token", "mint", "--kind", "admin", "--name", "first"]);
    scene.said_without_store(&["credentials", "new-key", "--output", "keys"]);
    std::fs::write(scene.path().join("regate.toml"), "[credentials]\nkey_file = \"keys\"\n").unwrap();
    let serving = Serving::start(scene.path(), &["--config", "regate.toml", "--database-url", &scene.url]);
    let authorization = format!("Bearer {}", admin["token"].as_str().unwrap());
    let http = |method: &str, path: &str, body: &str| {
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let answer = send(&serving.address, method, path, &headers, body.as_bytes());
        assert!(answer.status < 300, "{method} {path}: {}", answer.status);
        names(&String::from_utf8(answer.body).unwrap())
    };
    let command = |arguments: &[&str]| names(&scene.said(0, &[arguments, &["--json"]].concat()));
    // `created` is what HTTP says with 201.
    let put = |arguments: &[&str]| -> Vec<String> {
        let names = command(arguments);
        assert!(names.contains(&"created".to_owned()), "{names:?}");
        names.into_iter().filter(|name| name != "created").collect()
    };
    for _ in 0..2 {
        assert_eq!(put(&["user", "put", "u1"]), http("PUT", "/v1/users/u1", "{}"));
        assert_eq!(put(&["project", "put", "p1"]), http("PUT", "/v1/projects/p1", "{}"));
        let path = "/v1/projects/p1/collaborators/u1";
        let role = "{\"role\": \"owner\"}";
        assert_eq!(put(&["collaborator", "put", "p1", "u1", "--role", "viewer"]), http("PUT", path, role));
    }
    assert_eq!(command(&["user", "show", "u1"]), http("GET", "/v1/users/u1", ""));
    assert_eq!(command(&["project", "show", "p1"]), http("GET", "/v1/projects/p1", ""));
    let collaborator = "/v1/projects/p1/collaborators/u1";
    assert_eq!(command(&["collaborator", "show", "p1", "u1"]), http("GET", collaborator, ""));
    let flags = ["token", "mint", "--kind", "mcp", "--name", "x"];
    assert_eq!(command(&flags), http("POST", "/v1/tokens", "{\"kind\": \"mcp\", \"name\": \"x\"}"));
    let minted = scene.object(&flags);
    let id = minted["id"].as_str().unwrap();
    let path = format!("/v1/tokens/{id}");
    let trigger = format!("{path}/trigger");
    assert_eq!(command(&["token", "show", id]), http("GET", &path, ""));
    assert_eq!(command(&["token", "change", id, "--name", "y"]), http("PATCH", &path, "{\"name\": \"z\"}"));
    assert_eq!(command(&["token", "trigger", "grant", id]), http("PUT", &trigger, ""));
    let upstream = "{\"url\": \"https://x.example\", \"credential\": \"per_user\"}";
    let flags = [
        "upstream",
        "put",
        "github",
        "--url",
        "https://x.example",
        "--credential",
        "per_user",
        "--authorization-endpoint",
        "https://x.example/a",
        "--token-endpoint",
        "https://x.example/t",
        "--client-id",
        "x",
    ];
    let made = put(&flags);
    assert_eq!(made, http("PUT", "/v1/upstreams/github", upstream));
    assert_eq!(command(&["upstream", "show", "github"]), http("GET", "/v1/upstreams/github", ""));
    let grants = format!("{path}/grants");
    assert_eq!(command(&["token", "grants", id]), http("GET", &grants, ""));
    let granted = http("PUT", &grants, "{\"upstreams\": [\"github\"]}");
    assert_eq!(command(&["token", "grants", id, "--upstream", "github"]), granted);
    let of_upstream = "/v1/upstreams/github/grants";
    assert_eq!(command(&["upstream", "grants", "github"]), http("GET", of_upstream, ""));
    let granted = http("PUT", of_upstream, "{\"tokens\": []}");
    assert_eq!(command(&["upstream", "grants", "github", "--none"]), granted);
    let credential = "/v1/upstreams/github/credentials/user/u1";
    let given = http("PUT", credential, "{\"token\": \"x\"}");
    let output = scene
        .output(&["credentials", "put", "github", "--user", "u1", "--json", "--config", "regate.toml"], "x");
    let names = names(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(names.into_iter().filter(|name| name != "created").collect::<Vec<_>>(), given);
    let listed = command(&["credentials", "list"]);
    assert_eq!(listed, given[..given.len() - 1]);
    let secret = http("PUT", "/v1/upstreams/github/oauth/client-secret", "{\"client_secret\": \"x\"}");
    assert_eq!(command(&["upstream", "client-secret", "github", "--remove"]), secret);
    assert_eq!(command(&["credentials", "remove", "github", "--user", "u1"]), ["revision"]);
    assert_eq!(command(&["token", "revoke", id]), http("DELETE", &path, ""));
    assert_eq!(command(&["collaborator", "remove", "p1", "u1"]), ["revision"]);
    assert_eq!(put(&["collaborator", "put", "p1", "u1", "--role", "viewer"]).len(), 6);
    assert_eq!(http("DELETE", collaborator, ""), ["revision"]);
}
