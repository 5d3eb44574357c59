//! A SQLite file that is not there: whoever only looks does not make it.

use super::{URL, write};
use crate::harness::program::{run, stderr, stdout};

#[test]
fn who_looks_makes_no_database_and_who_adds_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["token", "list"][..],
        &["token", "show", "t1"],
        &["token", "revoke", "t1"],
        &["token", "change", "t1", "--name", "x"],
        &["token", "trigger", "grant", "t1"],
        &["user", "list"],
        &["user", "show", "u1"],
        &["user", "remove", "u1"],
        &["project", "list"],
        &["project", "show", "p1"],
        &["collaborator", "list", "p1"],
        &["collaborator", "show", "p1", "u1"],
        &["token", "grants", "t1"],
        &["token", "grants", "t1", "--none"],
        &["upstream", "list"],
        &["upstream", "show", "x"],
        &["upstream", "remove", "x"],
        &["upstream", "grants", "x", "--none"],
        &["upstream", "client-secret", "x", "--remove"],
        &["credentials", "list"],
        &["credentials", "remove", "x", "--shared"],
        &["credentials", "check"],
    ] {
        let output = run(folder.path(), &[arguments, URL].concat(), "");
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()), "{arguments:?}");
        let said = stderr(&output);
        assert!(said.contains("there is no database at data.sqlite: name another"), "{arguments:?}: {said}");
        assert!(folder.path().read_dir().unwrap().next().is_none(), "{arguments:?} made a file");
    }
    let told = "regate: there was no database at data.sqlite: it was made\n";
    for expected in [told, ""] {
        let output = run(folder.path(), &[&["user", "put", "u1"], URL].concat(), "");
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), expected));
    }
    let minted = ["token", "mint", "--kind", "mcp", "--name", "x", "--database-url", "sqlite://other.sqlite"];
    let output = run(folder.path(), &minted, "");
    assert!(stdout(&output).starts_with("rgt_mcp_") && stdout(&output).lines().count() == 1);
    assert!(stderr(&output).contains("there was no database at other.sqlite"));
}

#[test]
fn a_file_that_cannot_be_opened_is_named_and_a_url_is_not() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "text.sqlite", &"this is no database. ".repeat(100));
    for (url, expected) in [
        ("sqlite://nowhere/data.sqlite", "nowhere/data.sqlite cannot be opened"),
        ("sqlite://text.sqlite", "text.sqlite cannot be opened"),
        ("postgres://u:hunter2@127.0.0.1:1/x", "127.0.0.1"),
    ] {
        let output = run(folder.path(), &["user", "put", "u1", "--database-url", url], "");
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected) && !said.contains("hunter2"), "{said}");
    }
}
