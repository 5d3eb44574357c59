//! The command line as people and scripts use it.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::harness::{
    http::decide,
    program::{Serving, run, stderr, stdout},
};

const URL: &[&str] = &["--database-url", "sqlite://data.sqlite"];

fn with_url<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, URL].concat()
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn a_token_is_shown_once_and_works_until_it_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let document = json!({
        "users": [{"id": "u1"}], "projects": [{"id": "p1", "name": "one"}],
        "collaborators": [{"project_id": "p1", "user_id": "u1", "role": "owner"}],
    });
    assert!(run(folder, &with_url(&["import", "-"]), &document.to_string()).status.success());
    let minted =
        run(folder, &with_url(&["token", "mint", "--kind", "global", "--name", "ci", "--user", "u1"]), "");
    let token = stdout(&minted);
    assert!(minted.status.success(), "{}", stderr(&minted));
    // Nothing else is in the output, so that a script can take it as it is.
    let token = token.strip_suffix('\n').unwrap().to_owned();
    assert!(token.starts_with("rgt_global_") && !token.contains(char::is_whitespace));
    let question = json!({"token": token, "request": {"method": "GET", "path": "/api/v1/projects/p1"}});
    let serving = Serving::start(folder, URL);
    let answer = decide(&serving.address, &question);
    assert_eq!(answer["allow"], true);
    let id = answer["subject"]["token_id"].as_str().unwrap().to_owned();
    drop(serving);

    let list = run(folder, &with_url(&["token", "list", "--json"]), "");
    let row: Value = serde_json::from_str(stdout(&list).trim()).unwrap();
    assert_eq!(
        (&row["id"], &row["state"], &row["prefix"]),
        (&json!(id), &json!("live"), &json!(token[..12]))
    );
    let table = stdout(&run(folder, &with_url(&["token", "list"]), ""));
    assert!(table.contains(&id) && table.contains("live"));
    let hash = regate::auth::hash(&token).to_string();
    for text in [&stdout(&list), &table] {
        assert!(!text.contains(&token) && !text.contains(&hash));
    }

    for expected in ["revoked", "was revoked already"] {
        let revoked = run(folder, &with_url(&["token", "revoke", &id]), "");
        assert!(revoked.status.success() && stdout(&revoked).contains(expected), "{}", stdout(&revoked));
    }
    let unknown = run(folder, &with_url(&["token", "revoke", "nobody"]), "");
    assert_eq!(unknown.status.code(), Some(1));
    let serving = Serving::start(folder, URL);
    assert_eq!(decide(&serving.address, &question)["reason"], "token.revoked");
}

#[test]
fn a_token_that_cannot_be_is_not_minted() {
    let folder = tempfile::tempdir().unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--kind", "global", "--name", "x"], 64, "user"),
        (&["--kind", "global", "--name", "x", "--user", "nobody"], 1, "user"),
        (&["--kind", "project", "--name", "x"], 64, "project"),
        (&["--kind", "mcp", "--name", ""], 64, "--name: it must have 1 to 128 characters"),
        (&["--kind", "mcp", "--name", "a\tb"], 64, "--name: it must not hold control characters"),
        (&["--kind", "mcp", "--name", "a\u{202e}b"], 64, "direction of writing"),
        (
            &["--kind", "mcp", "--name", "x", "--user", "a\nb"],
            64,
            "--user: it must not hold control characters",
        ),
        (
            &["--kind", "mcp", "--name", "x", "--only-project", ""],
            64,
            "--only-project: it must have 1 to 256",
        ),
        (&["--kind", "mcp", "--name", "x", "--tenant", "_x"], 64, "tenant id"),
        (&["--kind", "mcp", "--name", "x", "--tenant", "nobody"], 1, "tenant"),
        (&["--kind", "mcp", "--name", "x", "--all-tenants"], 64, "gateway"),
        (&["--kind", "root", "--name", "x"], 64, "global, project, mcp, admin, gateway"),
        (&["--kind", "mcp", "--name", "x", "--expires-in-days", "0"], 64, "1..=365"),
        (&["--kind", "mcp", "--name", "x", "--expires-in-days", "366"], 64, "1..=365"),
    ];
    for (arguments, code, expected) in cases {
        let output = run(folder.path(), &with_url(&[&["token", "mint"], *arguments].concat()), "");
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn a_user_with_as_many_live_tokens_as_may_be_gets_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let token = |n: u32| json!({"id": format!("t{n}"), "kind": "mcp", "name": "n", "user_id": "u", "sha256": format!("{n:064x}")});
    let document = json!({"users": [{"id": "u"}], "tokens": (0..20).map(token).collect::<Vec<_>>()});
    write(folder.path(), "data.json", &document.to_string());
    assert!(run(folder.path(), &with_url(&["import", "data.json"]), "").status.success());
    let mint = ["token", "mint", "--kind", "mcp", "--name", "n", "--user", "u"];
    let refused = run(folder.path(), &with_url(&mint), "");
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(1), ""));
    assert!(stderr(&refused).contains("20 live tokens already; revoke one"), "{}", stderr(&refused));
    assert!(run(folder.path(), &with_url(&["token", "revoke", "t7"]), "").status.success());
    assert!(run(folder.path(), &with_url(&mint), "").status.success());
}

#[test]
fn an_import_with_a_mistake_names_the_place_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let good = json!({"users": [{"id": "u1"}]});
    let mut bad = good.clone();
    bad["tokens"] =
        json!([{"id": "t1", "kind": "mcp", "name": "n", "sha256": "0".repeat(64), "expires_at": "soon"}]);
    write(folder, "bad.json", &bad.to_string());
    let output = run(folder, &with_url(&["import", "bad.json"]), "");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("tokens[0].expires_at"), "{}", stderr(&output));
    write(folder, "good.json", &good.to_string());
    let first = stdout(&run(folder, &with_url(&["import", "good.json"]), ""));
    assert!(
        first.contains("users: 1 new, 0 changed, 0 unchanged") && first.contains("revision 1"),
        "{first}"
    );
    let again = stdout(&run(folder, &with_url(&["import", "good.json"]), ""));
    assert!(
        again.contains("users: 0 new, 0 changed, 1 unchanged") && again.contains("revision 1"),
        "{again}"
    );
    let report = stdout(&run(folder, &with_url(&["import", "good.json", "--json"]), ""));
    assert_eq!(serde_json::from_str::<Value>(&report).unwrap()["revision"], 1);
    let missing = run(folder, &with_url(&["import", "nowhere.json"]), "");
    assert!(stderr(&missing).contains("nowhere.json cannot be read"), "{}", stderr(&missing));
}

#[test]
fn a_large_import_shows_its_progress() {
    let folder = tempfile::tempdir().unwrap();
    let users: Vec<Value> = (0..30_000).map(|n| json!({"id": format!("u{n}")})).collect();
    let output = run(folder.path(), &with_url(&["import", "-"]), &json!({"users": users}).to_string());
    assert!(stderr(&output).contains("users: 30000 of 30000"), "{}", stderr(&output));
}

#[test]
fn migrate_says_what_it_did_and_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    assert!(stdout(&run(folder.path(), &with_url(&["migrate"]), "")).starts_with("applied "));
    assert!(stdout(&run(folder.path(), &with_url(&["migrate"]), "")).starts_with("nothing to do"));
    let nowhere =
        run(folder.path(), &["migrate", "--database-url", "postgres://u:hunter2@127.0.0.1:1/x"], "");
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(!stderr(&nowhere).contains("hunter2"), "{}", stderr(&nowhere));
}

#[test]
fn a_broken_policy_folder_ends_the_start_with_the_compilers_message() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "empty/notes.txt", "");
    write(folder, "syntax/a.rego", "package regate\n\ndecision := {\n");
    write(folder, "unknown/a.rego", "package regate\n\ndecision := nosuch(input)\n");
    write(folder, "entrypoint/a.rego", "package other\n\ndecision := true\n");
    write(folder, "utf8/a.rego", "package regate\n");
    fs::write(folder.join("utf8/b.rego"), b"package b\n# \xff\n").unwrap();
    let cases = [
        ("empty", "no .rego file"),
        ("syntax", "syntax/a.rego:4:"),
        ("unknown", "unknown/a.rego:3:"),
        ("entrypoint", "data.regate.decision"),
        ("utf8", "b.rego: is not UTF-8"),
        ("nowhere", "nowhere"),
    ];
    for (policies, expected) in cases {
        let (code, log) = Serving::try_start(folder, &["--demo", "--policies", policies]).err().unwrap();
        assert_eq!(code, Some(3), "{policies}: {log}");
        assert!(log.contains(expected), "{policies}: {log}");
        let output = run(
            folder,
            &["decide", "--policies", policies],
            r#"{"request": {"method": "GET", "path": "/"}}"#,
        );
        assert_eq!(output.status.code(), Some(3), "{policies}");
    }
}

#[test]
fn decide_answers_from_files_and_says_so_in_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let data = json!({
        "users": [{"id": "u1"}], "projects": [{"id": "p1", "name": "one"}],
        "collaborators": [{"project_id": "p1", "user_id": "u1", "role": "viewer"}],
        "tokens": [{"id": "t1", "kind": "global", "name": "n", "user_id": "u1", "sha256": regate::auth::hash("k1").to_string()}],
    });
    write(folder, "data.json", &data.to_string());
    let question =
        |path: &str| json!({"token": "k1", "request": {"method": "GET", "path": path}}).to_string();
    let decide = |question: &str, more: &[&str]| {
        let output = run(folder, &[&["decide", "--data", "data.json"], more].concat(), question);
        (output.status.code(), stdout(&output), stderr(&output))
    };
    let (code, answer, _) = decide(&question("/api/v1/projects/p1"), &[]);
    assert_eq!(code, Some(0), "{answer}");
    assert!(answer.contains("global_token.read") && !answer.contains("explanation"));
    let (code, answer, _) = decide(&question("/api/v1/projects/p2"), &["--explain"]);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(code, Some(2));
    assert_eq!(answer["explanation"]["input"]["user"]["id"], "u1");
    assert_eq!(answer["explanation"]["result"]["reasons"], json!(["global_token.not_a_collaborator"]));
    let (code, _, error) = decide("{\"request\": {}}", &[]);
    assert_eq!(code, Some(1));
    assert!(error.contains("not a valid question: request"), "{error}");
}

#[test]
fn policy_tests_are_run_named_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(
        folder,
        "good/a.rego",
        "package a\n\np := 1\n\ntest_one if p == 1\n\ntest_with if p == 1 with input as {}\n",
    );
    write(
        folder,
        "bad/a.rego",
        "package a\n\ntest_good if 1 == 1\n\ntest_bad if 1 == 2\n\ntest_undefined if input.nope\n",
    );
    write(folder, "broken/a.rego", "package a\n\ntest_one if {\n");
    write(folder, "none/a.rego", "package a\n\np := 1\n");
    write(folder, "old/a.rego", "package a\n\ntest_one { 1 == 1 }\n");
    let test = |arguments: &[&str]| {
        let output = run(folder, &[&["test"], arguments].concat(), "");
        (output.status.code(), stdout(&output), stderr(&output))
    };
    let (code, out, _) = test(&["good", "--verbose"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.contains("pass good/a.rego:5 data.a.test_one") && out.contains("2 passed, 0 failed"),
        "{out}"
    );
    let (code, out, _) = test(&["bad"]);
    assert_eq!(code, Some(2));
    assert!(
        out.contains("FAIL bad/a.rego:5 data.a.test_bad") && out.contains("data.a.test_undefined"),
        "{out}"
    );
    assert!(!out.contains("test_good") && out.contains("1 passed, 2 failed"), "{out}");
    assert_eq!(test(&["bad", "--run", "good$"]).0, Some(0));
    for (arguments, expected) in [
        (&["broken"][..], "broken/a.rego:"),
        (&["none"], "no test to run"),
        (&["good", "--run", "nothing"], "no test to run"),
        (&["nowhere"], "nowhere"),
        (&["old"], "old/a.rego:"),
    ] {
        let (code, out, error) = test(arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {out}{error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    assert_eq!(test(&["old", "--rego-version", "v0"]).0, Some(0));
}

#[test]
fn help_teaches_and_wrong_usage_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["--help"][..], &["serve", "--help"], &["token", "mint", "--help"], &["--version"]] {
        let output = run(folder.path(), arguments, "");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!stdout(&output).is_empty());
    }
    for arguments in [&[][..], &["serv"], &["serve", "--lisen", "x"], &["import"]] {
        assert_eq!(run(folder.path(), arguments, "").status.code(), Some(64), "{arguments:?}");
    }
    let output = run(folder.path(), &["serve", "--config", "nowhere.toml"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nowhere.toml"));
}

#[test]
fn the_demo_does_not_take_the_place_of_real_rows() {
    let folder = tempfile::tempdir().unwrap();
    let document = json!({"users": [{"id": "alice", "role": "admin"}, {"id": "carol"}]}).to_string();
    assert!(run(folder.path(), &with_url(&["import", "-"]), &document).status.success());
    let (code, log) = Serving::try_start(folder.path(), &with_url(&["--demo"])).err().unwrap();
    assert_eq!(code, Some(1));
    assert!(log.contains("leave out --database-url"), "{log}");
}

#[test]
fn variables_that_are_not_text_do_not_stop_a_command() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt, process::Command};
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(crate::harness::program::REGATE);
    command.args(with_url(&["migrate"])).current_dir(folder.path()).env_clear();
    command.env("OTHER", OsStr::from_bytes(b"\xff"));
    assert_eq!(command.output().unwrap().status.code(), Some(0));
}

#[test]
fn an_error_about_the_configuration_does_not_show_the_database_url() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, text) in [
        ("quote", "[database]\nurl = \"postgres://u:hunter2@h/d\n"),
        ("type", "[database]\nmax_connections = \"postgres://u:hunter2@h/d\"\n"),
        ("list", "[database]\nurl = [\"postgres://u:hunter2@h/d\"]\n"),
        ("range", "[http]\nmax_connections = 0\n"),
        ("zero", "[database]\nmax_connections = 0\n"),
    ] {
        write(folder, "regate.toml", text);
        let output = run(folder, &["migrate", "--config", "regate.toml"], "");
        assert_eq!(output.status.code(), Some(1), "{name}: {}", stderr(&output));
        assert!(!stderr(&output).contains("hunter2"), "{name}: {}", stderr(&output));
        assert!(stderr(&output).lines().count() > 1, "{name}: {}", stderr(&output));
    }
}

#[test]
fn a_token_is_never_wider_than_its_flags_say_and_a_mistake_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rows = json!({"users": [{"id": "u1"}], "projects": [{"id": "p1"}]});
    assert!(run(folder, &with_url(&["import", "-"]), &rows.to_string()).status.success());
    for (flags, code, said) in [
        (
            "global --name x --user u1 --project p1",
            64,
            "to confine a token of kind global: --only-project p1",
        ),
        ("mcp --name x --project p1", 64, "--only-project p1"),
        ("global --name x", 64, "a global token needs --user"),
        ("project --name x --scope-pull", 64, "a project token needs --project"),
        ("project --name x --project p1", 64, "--scope-pull, --scope-push or both"),
        ("gateway --name x --user u1", 64, "a gateway token takes no --user"),
        ("gateway --name x --scope-push", 64, "no effect on a token of kind gateway"),
        ("mcp --name x --all-tenants", 64, "--all-tenants is for gateway tokens"),
        (
            "global --name x --user bobby",
            1,
            "there is no user \"bobby\" in the tenant \"default\": add it with",
        ),
        ("mcp --name x --tenant foo", 1, "there is no tenant \"foo\""),
    ] {
        let arguments: Vec<&str> = ["token", "mint", "--kind"].into_iter().chain(flags.split(' ')).collect();
        let minted = run(folder, &with_url(&arguments), "");
        assert_eq!(minted.status.code(), Some(code), "{flags}: {}", stderr(&minted));
        assert!(stderr(&minted).contains(said), "{flags}: {}", stderr(&minted));
        assert_eq!(stdout(&minted), "");
    }
    let nameless = run(folder, &with_url(&["token", "mint", "--kind", "admin", "--name", ""]), "");
    assert_eq!((nameless.status.code(), stderr(&nameless).contains("1 to 128 characters")), (Some(64), true));
    let revoked = run(folder, &with_url(&["token", "revoke", "nosuch"]), "");
    assert_eq!(revoked.status.code(), Some(1));
    assert!(
        stderr(&revoked)
            .contains("nothing was revoked\n  there is no token \"nosuch\": see regate token list")
    );
    assert_eq!(stdout(&run(folder, &with_url(&["token", "list"]), "")), "no tokens\n");
    assert_eq!(run(folder, &with_url(&["token", "list", "--limit", "0"]), "").status.code(), Some(64));
}

#[test]
fn a_decision_is_explained_in_words() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let question = r#"{"token": "demo-key-of-alice", "request": {"method": "POST", "path": "/api/v1/projects/website/builds",
        "headers": {"cookie": "session=5up3r5ecret"}}}"#;
    let arguments = [
        "decide",
        "-",
        "--policies",
        "policies",
        "--data",
        "examples/decide.json",
        "--explain",
        "--format",
        "pretty",
    ];
    let output = run(root, &arguments, question);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output));
    // What regate refuses itself needs no rules to be explained.
    let question = r#"{"token": "demo-key-of-nobody", "request": {"method": "GET", "path": "/"}}"#;
    let output = run(root, &arguments, question);
    assert_eq!(stdout(&output), "DENY 401 token.unknown\n  the credential is not valid\n");
}
