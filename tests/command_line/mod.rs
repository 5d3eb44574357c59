//! The command line as people and scripts use it. What touches the store is asked of both databases.

mod giving;
mod identify;
mod imports;
mod leaks;
mod missing;
mod rows;
mod same_as_http;
mod tokens;
mod upstreams;

use std::{fs, path::Path, process::Output};

use serde_json::{Value, json};

use crate::harness::{
    postgres,
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

/// A folder and an empty database.
struct Scene {
    folder: tempfile::TempDir,
    url: String,
}

impl Scene {
    fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), url: "sqlite://data.sqlite".to_owned() }
    }

    fn postgres() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let url = runtime.block_on(postgres::new_database());
        Self { folder: tempfile::tempdir().unwrap(), url }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn output(&self, arguments: &[&str], input: &str) -> Output {
        run(self.path(), &[arguments, &["--database-url", &self.url]].concat(), input)
    }

    /// A command that must end with this exit code; gives what it said, where it said it.
    fn said(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.output(arguments, "");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("never-shown"), "the database's password was shown");
        if code == 0 { stdout(&output) } else { stderr(&output) }
    }

    /// A command that touches no store, and must succeed.
    fn said_without_store(&self, arguments: &[&str]) -> String {
        let output = run(self.path(), arguments, "");
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    }

    /// The same of a command that succeeds and prints one object a line.
    fn objects(&self, arguments: &[&str]) -> Vec<Value> {
        let text = self.said(0, &[arguments, &["--json"]].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one object that a command prints.
    fn object(&self, arguments: &[&str]) -> Value {
        let objects = self.objects(arguments);
        assert_eq!(objects.len(), 1, "{arguments:?}");
        objects[0].clone()
    }

    fn import(&self, document: &Value) {
        let output = self.output(&["import", "-"], &document.to_string());
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

/// Makes each test of a list twice: `sqlite::NAME` and `postgres::NAME`.
macro_rules! on_both_databases {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test(&crate::command_line::Scene::sqlite());
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                super::$test(&crate::command_line::Scene::postgres());
            })+
        }
    };
}
use on_both_databases;

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
