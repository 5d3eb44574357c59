//! What `regate credentials` says beside what it does, and secrets where they do not belong.

use std::time::Duration;

use regate::types::{Clock, SystemClock};

use super::{
    Scene, on_both_databases,
    upstreams::{SECRET, configured, with_keys},
};
use crate::harness::program::{stderr, stdout};

on_both_databases!(what_there_is_to_know_is_told);

/// A moment that has passed in two seconds.
fn soon() -> String {
    SystemClock.now().later_by(Duration::from_secs(2)).to_string()
}

fn what_there_is_to_know_is_told(scene: &Scene) {
    with_keys(scene);
    scene.said(0, &["user", "put", "ada"]);
    let per_user = ["--url", "https://x.example", "--credential", "per_user"];
    scene.said(0, &[&["upstream", "put", "github"], &per_user[..]].concat());
    let of_headers = ["--value-header", "x-key", "--value-header", "x-a"];
    scene.said(0, &[&["upstream", "put", "headers"], &per_user[..], &of_headers].concat());
    let shown = scene.said(0, &["upstream", "show", "headers"]);
    assert!(shown.contains("x-key, x-a") && !shown.contains("Bearer"), "{shown}");
    let put = |code, arguments: &[&str], input: &str| {
        let output = scene.output(&configured(&[&["credentials", "put"], arguments].concat()), input);
        let said = stdout(&output) + &stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(!said.contains("upstream-secret"), "{arguments:?}");
        said
    };
    let minted = scene.object(&["token", "mint", "--kind", "mcp", "--name", "x"]);
    let token = minted["token"].as_str().unwrap();
    put(0, &["github", "--user", "ada"], SECRET);
    let said = scene.said(2, &["credentials", "check"]);
    assert_eq!(said, "", "what is configured is told on standard output");
    let secret = scene.said(64, &["upstream", "client-secret", "github", "upstream-secret-typed"]);
    assert!(
        secret.contains("a secret is not an argument") && !secret.contains("upstream-secret"),
        "{secret}"
    );
    let with_more = put(0, &["headers", "--user", "ada", "--headers"], "x-key: 1\nx-a: 2\nx-acount: 3");
    assert!(with_more.contains("x-acount: not asked for, and left out"), "{with_more}");
    let id = minted["id"].as_str().unwrap();
    let to_agents = ["--url", "https://x.example", "--credential", "per_token"];
    scene.said(0, &[&["upstream", "put", "agents"], &to_agents[..]].concat());
    let orphaned = put(0, &["agents", "--token", id], SECRET);
    assert!(orphaned.contains(&format!("regate token grants {id}")), "{orphaned}");
    let of_token = scene.said(0, &["credentials", "list", "--token", id]);
    assert!(of_token.contains("orphaned") && of_token.lines().count() == 2, "{of_token}");
    let said = scene.said(64, &["credentials", "list", "--token", token]);
    assert!(!said.contains(token));
    put(0, &["github", "--user", "ada", "--expires-at", &soon()], SECRET);
    std::thread::sleep(Duration::from_millis(2_100));
    assert!(scene.said(0, &["credentials", "list", "--upstream", "github"]).contains("active, expired"));
    scene.said(0, &["upstream", "put", "all", "--url", "https://x.example", "--credential", "shared"]);
    assert!(put(0, &["all", "--shared"], SECRET).starts_with("shared credential for all was added"));
    scene.said(0, &["credentials", "remove", "all", "--shared"]);
    scene.said(0, &["upstream", "remove", "agents"]);
}
