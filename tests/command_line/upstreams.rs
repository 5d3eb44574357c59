//! `regate upstream`, `token grants` and `credentials`.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};

use super::{Scene, on_both_databases};
use crate::harness::{
    http::send,
    program::{Serving, run, stderr, stdout},
};

on_both_databases!(
    an_upstream_is_added_changed_shown_listed_and_removed,
    grants_are_whole_lists_from_either_side,
    a_credential_is_given_listed_and_removed,
    keys_are_rotated_and_what_misses_one_is_told,
);

pub const SECRET: &str = "upstream-secret-of-the-command-line";

/// Names a file of keys in `regate.toml`.
pub fn with_keys(scene: &Scene) {
    let made = run(scene.path(), &["credentials", "new-key", "--output", "keys"], "");
    assert!(made.status.success(), "{}", stderr(&made));
    fs::write(scene.path().join("regate.toml"), "[credentials]\nkey_file = \"keys\"\n").unwrap();
}

pub fn configured<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--config", "regate.toml"]].concat()
}

fn an_upstream_is_added_changed_shown_listed_and_removed(scene: &Scene) {
    let url = "https://mcp.example/github";
    assert_eq!(
        scene.said(0, &["upstream", "put", "github", "--url", url]),
        "upstream github was added, revision 1\n"
    );
    let put =
        scene.object(&["upstream", "put", "github", "--credential", "per_user", "--pass-header", "Accept"]);
    let expected = json!({
        "id": "github", "tenant": "default", "url": url, "allow_all": false, "credential": "per_user",
        "header": "Authorization", "format": "Bearer {token}", "value_headers": null, "pass_headers": ["accept"],
        "oauth": null, "has_client_secret": false, "created": false, "changed": true, "revision": 2,
    });
    assert_eq!(put, expected);
    let flags = [
        "upstream",
        "put",
        "github",
        "--pass-all",
        "--authorization-endpoint",
        "https://l.example/a",
        "--token-endpoint",
        "https://l.example/t",
        "--client-id",
        "regate",
        "--scope",
        "read",
    ];
    assert_eq!(scene.object(&flags)["oauth"]["scopes"], json!(["read"]));
    // What is left out of consent stays as well.
    let put = scene.object(&["upstream", "put", "github", "--client-id", "other"]);
    assert_eq!(
        (&put["oauth"]["client_id"], &put["oauth"]["token_endpoint"], &put["pass_headers"]),
        (&json!("other"), &json!("https://l.example/t"), &Value::Null)
    );
    let said = scene.said(0, &["upstream", "show", "github"]);
    assert!(
        said.contains("client id               other\n") && said.contains("client secret           none\n"),
        "{said}"
    );
    assert_eq!(scene.object(&["upstream", "put", "github", "--no-oauth"])["oauth"], Value::Null);
    scene.said(0, &["upstream", "put", "open", "--url", "stdio:npx", "--allow-all"]);
    let ids = |filter: &[&str]| -> Vec<Value> {
        scene.objects(&[&["upstream", "list"], filter].concat()).iter().map(|row| row["id"].clone()).collect()
    };
    assert_eq!(ids(&[]), ["github", "open"]);
    assert_eq!(ids(&["--allow-all"]), ["open"]);
    assert_eq!(ids(&["--credential", "per_user"]), ["github"]);
    for (arguments, expected) in [
        (&["put", "new"][..], "--url: a new upstream needs one"),
        (
            &["put", "open", "--credential", "shared"],
            "--credential: the URL that is stored: it must be an http or https URL; a stdio upstream",
        ),
        (&["put", "github", "--header", "Host"], "--header: Host belongs"),
        (&["put", "github", "--format", "x"], "--format: it must hold {token} once"),
        (&["put", "github", "--value-header", "te"], "--value-header: "),
        (&["put", "github", "--pass-header", "authorization"], "--pass-header: "),
        (
            &["put", "github", "--scope", "x"],
            "--scope: consent needs --authorization-endpoint and --token-endpoint and --client-id as well",
        ),
        (&["put", "github", "--url", "github"], "--url: it must be an http or https URL; a stdio upstream"),
        (&["put", "github", "--credential", "mine"], "per_user"),
        (&["put", "a\nb", "--url", "x"], "UPSTREAM: "),
        (&["grants", "github", "--allow-all"], "--allow-all: give the list as well"),
    ] {
        let said = scene.said(64, &[&["upstream"], arguments].concat());
        assert!(said.contains(expected), "{said}");
    }
    scene.said(0, &["upstream", "remove", "open"]);
    let said = scene.said(1, &["upstream", "remove", "open"]);
    assert!(said.contains("there is no upstream \"open\" in the tenant \"default\""), "{said}");
    assert!(
        scene.said(1, &["upstream", "put", "x", "--url", "y", "--tenant", "nobody"]).contains("no tenant")
    );
}

fn grants_are_whole_lists_from_either_side(scene: &Scene) {
    for id in ["github", "gitlab"] {
        scene.said(0, &["upstream", "put", id, "--url", "https://x.example"]);
    }
    let minted = scene.object(&["token", "mint", "--kind", "mcp", "--name", "x"]);
    let id = minted["id"].as_str().unwrap();
    let put = scene.object(&["token", "grants", id, "--upstream", "gitlab", "--upstream", "github"]);
    let expected = json!({
        "token_id": id, "upstreams": ["github", "gitlab"], "changed": true, "revision": put["revision"],
    });
    assert_eq!(put, expected);
    assert_eq!(scene.object(&["token", "grants", id])["changed"], false);
    let put = scene.object(&["upstream", "grants", "github", "--none", "--allow-all"]);
    assert_eq!(
        (&put["tokens"], &put["allow_all"], &put["changed"]),
        (&json!([]), &json!(true), &json!(true))
    );
    assert_eq!(scene.object(&["token", "grants", id])["upstreams"], json!(["gitlab"]));
    assert!(scene.said(0, &["upstream", "grants", "gitlab"]).starts_with(id));
    assert_eq!(scene.object(&["token", "grants", id, "--none"])["upstreams"], json!([]));
    for (arguments, expected) in [
        (
            &["token", "grants", id, "--upstream", "nowhere"][..],
            "there is no upstream \"nowhere\" in the tenant \"default\": see regate upstream list",
        ),
        (&["token", "grants", "nothing", "--none"], "there is no token \"nothing\""),
        (&["upstream", "grants", "gitlab", "--token", "nothing"], "there is no token \"nothing\" in"),
        (&["upstream", "grants", "nowhere"], "there is no upstream \"nowhere\""),
    ] {
        let said = scene.said(1, arguments);
        assert!(said.contains(expected), "{said}");
    }
    scene.said(64, &["token", "grants", id, "--none", "--upstream", "github"]);
    let all = scene.object(&["token", "mint", "--kind", "gateway", "--name", "edge", "--all-tenants"]);
    let said = scene.said(1, &["token", "grants", all["id"].as_str().unwrap()]);
    assert!(said.contains("a token of all tenants has no grants"), "{said}");
}

fn a_credential_is_given_listed_and_removed(scene: &Scene) {
    with_keys(scene);
    scene.said(0, &["user", "put", "ada"]);
    scene.said(0, &["upstream", "put", "github", "--url", "https://x.example", "--credential", "per_user"]);
    let flags = [
        "--url",
        "https://x.example",
        "--credential",
        "per_user",
        "--value-header",
        "x-key",
        "--value-header",
        "x-a",
    ];
    scene.said(0, &[&["upstream", "put", "headers"], &flags[..]].concat());
    let put = |code, arguments: &[&str], input: &str| {
        let output = scene.output(&configured(&[&["credentials", "put"], arguments].concat()), input);
        let said = stdout(&output) + &stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(!said.contains("upstream-secret"));
        said
    };
    let of_ada = ["github", "--user", "ada"];
    assert!(
        put(0, &of_ada, &format!("{SECRET}\n")).starts_with("credential of user ada for github was added")
    );
    fs::write(scene.path().join("token"), SECRET).unwrap();
    let told = put(
        0,
        &["github", "--user", "ada", "--file", "token", "--json", "--expires-at", "2100-01-01T00:00:00Z"],
        "",
    );
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["created"], &told["state"], &told["expires_at"]),
        (&json!(false), &json!("active"), &json!("2100-01-01T00:00:00.000Z"))
    );
    put(
        0,
        &["headers", "--user", "ada", "--headers"],
        &format!("X-Key: {SECRET}\nX-A: 7\nX-Other: dropped\n"),
    );
    let minted = scene.object(&["token", "mint", "--kind", "mcp", "--name", "x"]);
    let token = minted["token"].as_str().unwrap();
    for (arguments, input, code, expected) in [
        (&of_ada[..], "\n", 64, "standard input is empty: write the token there, on one line"),
        (&of_ada, "a\nb", 64, "standard input has several lines"),
        (&of_ada, " a", 64, "the token begins or ends with a space"),
        (&of_ada, "bearer a", 64, "token: it begins with \"Bearer \""),
        (&["github", "--user", "ada", SECRET], "", 64, "a secret is not an argument"),
        (&["github", "--shared=upstream-secret"], "", 64, "unexpected value"),
        (&of_ada, "é", 64, "token: it holds a line break or another"),
        (
            &["headers", "--user", "ada"],
            SECRET,
            64,
            "give --headers, and a line \"Name: value\" for each of x-key, x-a",
        ),
        (&["headers", "--user", "ada", "--headers"], "no header", 64, "line 1 is no header"),
        (&["headers", "--user", "ada", "--headers"], "x-key: 1", 64, "headers: x-a is missing"),
        (
            &["headers", "--user", "ada", "--headers"],
            "x-key: 1\nX-B: 2",
            64,
            "headers: x-a is missing; not asked for: x-b",
        ),
        (
            &["github", "--user", "ada", "--expires-at", "2001-01-01T00:00:00Z"],
            SECRET,
            64,
            "--expires-at: it has passed",
        ),
        (&["github", "--user", "ada", "--file", "nowhere"], "", 1, "nowhere cannot be read"),
        (&["github", "--user", "bob"], SECRET, 1, "there is no such user"),
        (&["github", "--token", "t1"], SECRET, 1, "is per_user: give each user theirs, with --user"),
        (&["nowhere", "--user", "ada"], SECRET, 1, "there is no upstream \"nowhere\""),
        (&["github"], SECRET, 64, "--user"),
        (&["agents", "--token", token], SECRET, 64, "--token: that is a token itself"),
        (&["github", "--user", "ada", "--shared"], SECRET, 64, "cannot be used with"),
    ] {
        let said = put(code, arguments, input);
        assert!(said.contains(expected) && !said.contains(token), "{expected}: {said}");
    }
    let without = scene.output(&["credentials", "put", "github", "--user", "ada"], SECRET);
    assert_eq!(without.status.code(), Some(1));
    let said = stderr(&without);
    assert!(said.contains("no configuration was given") && said.contains("--config FILE"), "{said}");
    let listed = |filter: &[&str]| -> Vec<Value> {
        let rows = scene.objects(&[&["credentials", "list"], filter].concat());
        rows.iter().map(|row| row["upstream_id"].clone()).collect()
    };
    assert_eq!(listed(&[]), ["github", "headers"]);
    assert_eq!(
        listed(&["--upstream", "headers", "--user", "ada", "--holder", "user", "--state", "active"]),
        ["headers"]
    );
    assert_eq!(listed(&["--search", "GITH"]), ["github"]);
    let page = scene.said(0, &["credentials", "list", "--limit", "1"]);
    let after = page.lines().last().unwrap().strip_prefix("There are more: --after ").unwrap();
    assert_eq!(listed(&["--after", after]), ["headers"]);
    scene.said(64, &["credentials", "list", "--after", "x"]);
    scene.said(0, &["credentials", "remove", "github", "--user", "ada"]);
    let said = scene.said(1, &["credentials", "remove", "github", "--user", "ada"]);
    assert!(said.contains("there is no credential of user ada for \"github\""), "{said}");
}

fn keys_are_rotated_and_what_misses_one_is_told(scene: &Scene) {
    with_keys(scene);
    scene.said(0, &["user", "put", "ada"]);
    scene.said(0, &["upstream", "put", "github", "--url", "https://x.example", "--credential", "per_user"]);
    let output = scene.output(&configured(&["credentials", "put", "github", "--user", "ada"]), SECRET);
    assert!(output.status.success());
    let used = |code| -> Value {
        let said = scene.output(&configured(&["credentials", "check", "--json"]), "");
        assert_eq!(said.status.code(), Some(code), "{}", stderr(&said));
        serde_json::from_str(&stdout(&said)).unwrap()
    };
    let first = used(0);
    assert_eq!(first["used"], json!([{"key": first["sealing"], "secrets": 1, "configured": true}]));
    let keys = scene.path().join("keys");
    let old = fs::read_to_string(&keys).unwrap();
    let new = stdout(&run(scene.path(), &["credentials", "new-key"], ""));
    assert!(new.lines().count() == 1 && new != old);
    // A new key alone: what is stored does not open, and the service does not start.
    fs::write(&keys, &new).unwrap();
    assert_eq!(used(2)["used"][0]["configured"], false);
    let (code, log) =
        Serving::try_start(scene.path(), &configured(&["--database-url", &scene.url])).err().unwrap();
    assert_eq!(code, Some(1));
    let missing = first["sealing"].as_str().unwrap();
    assert!(log.contains(missing) && log.contains("does not hold"), "{log}");
    let rekey = |code| -> Value {
        let said = scene.output(&configured(&["credentials", "rekey", "--json"]), "");
        assert_eq!(said.status.code(), Some(code), "{}", stderr(&said));
        serde_json::from_str(&stdout(&said)).unwrap()
    };
    let left = rekey(2);
    let place = json!({
        "what": "credential", "tenant": "default", "upstream_id": "github", "holder": {"id": "ada", "kind": "user"},
    });
    assert_eq!(
        (&left["sealed_anew"], &left["remaining"], &left["cannot_open"]),
        (&json!(0), &json!(1), &json!([place]))
    );
    // Above the old one it is right.
    fs::write(&keys, format!("{new}{old}")).unwrap();
    let done = rekey(0);
    assert_eq!((&done["sealed_anew"], &done["remaining"]), (&json!(1), &json!(0)));
    assert_eq!(used(0)["used"][0]["key"], done["key"]);
    assert_eq!(rekey(0)["sealed_anew"], 0);
    // A file that others may read is none, and a key that is there is not written over.
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    let said = scene.output(&configured(&["credentials", "check"]), "");
    assert_eq!(said.status.code(), Some(1));
    assert!(stderr(&said).contains("may be read or changed by others"), "{}", stderr(&said));
    let (code, log) =
        Serving::try_start(scene.path(), &configured(&["--database-url", &scene.url])).err().unwrap();
    assert!(code == Some(1) && log.contains("credentials.key_file: "), "{log}");
    let said = run(scene.path(), &["credentials", "new-key", "--output", "keys"], "");
    assert_eq!(said.status.code(), Some(1));
    assert!(stderr(&said).contains("is there already: nothing was written"), "{}", stderr(&said));
    assert_eq!(fs::read_to_string(&keys).unwrap(), format!("{new}{old}"));
    let unconfigured = scene.output(&["credentials", "rekey"], "");
    assert_eq!(unconfigured.status.code(), Some(1));
}

#[test]
fn a_service_goes_on_with_its_keys_while_their_file_is_broken() {
    let scene = Scene::sqlite();
    with_keys(&scene);
    let settings = "[credentials]\nkey_file = \"keys\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n";
    fs::write(scene.path().join("regate.toml"), settings).unwrap();
    let serving = Serving::start(scene.path(), &configured(&["--database-url", &scene.url]));
    let metrics = serving.metrics_address();
    let shows = |line: &str| {
        for _ in 0..1_000 {
            let text = String::from_utf8(send(&metrics, "GET", "/metrics", &[], b"").body).unwrap();
            if text.contains(line) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{line} is not shown: {}", serving.log());
    };
    shows("regate_credential_keys_failing 0");
    for outcome in ["renewed", "refused", "failed"] {
        shows(&format!("regate_credential_renewals_total{{outcome=\"{outcome}\"}} 0"));
    }
    let keys = scene.path().join("keys");
    let good = fs::read_to_string(&keys).unwrap();
    fs::write(&keys, "nonsense").unwrap();
    shows("regate_credential_keys_failing 1");
    fs::write(&keys, good).unwrap();
    shows("regate_credential_keys_failing 0");
    assert_eq!(serving.stop(), Some(0));
}
