//! The disk is full under a SQLite file that another process serves from.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
    time::Instant,
};

use serde_json::json;

use super::scene::{ALLOWED, REVOKED, SETTINGS, Scene, arguments};
use crate::harness::program::{REGATE, run, stderr, stdout};

/// Runs a command that can write no file beyond this place, in units of 512 bytes: there its writes fail, as
/// on a full disk.
fn run_on_a_full_disk(scene: &Scene, limit: &str, command: &[&str], input: &str) -> Output {
    let script = "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"";
    let mut child = Command::new("/bin/sh")
        .args(["-c", script, "sh", limit, REGATE])
        .args(command)
        .args(arguments(&scene.url))
        .current_dir(scene.folder.path())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn a_full_disk_refuses_the_write_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("data.sqlite").display());
    let scene = Scene::with(&url, &url, SETTINGS);
    scene.until_told("reader", ALLOWED);
    let secret = "never-shown";
    let hash = regate::auth::hash(secret).to_string();
    let users: Vec<_> = (0..2_000).map(|number| json!({"id": format!("new{number}")})).collect();
    let token = json!({"id": "new", "kind": "global", "name": "new", "user_id": "new0", "sha256": hash});
    let document = json!({"users": users, "tokens": [token]}).to_string();
    let watch = scene.watch("reader");
    // The one cannot begin to write, the other stops in the middle.
    let commands: [(&str, &[&str], &str); 2] =
        [("1", &["token", "revoke", "reader"], ""), ("64", &["import", "-"], &document)];
    for (limit, command, input) in commands {
        let refused = run_on_a_full_disk(&scene, limit, command, input);
        let said = stderr(&refused);
        assert_eq!(refused.status.code(), Some(1), "{command:?}: {said}");
        eprintln!("{said}");
        assert!(said.contains("full") || said.contains("I/O"), "{command:?}: {said}");
        assert!(!said.contains(&hash) && !said.contains(secret), "{said}");
        assert_eq!(stdout(&refused), "");
    }
    // Nothing of it is there, for those who serve and for those who come.
    let list = stdout(&run(scene.folder.path(), &[&["token", "list"], &arguments(&url)[..]].concat(), ""));
    assert!(!list.contains("new") && !list.contains("revoked"), "{list}");
    scene.until_told(secret, "token.unknown");
    watch.end().assert_all_allowed();

    let watch = scene.watch("reader");
    for (_, command, input) in commands {
        let done = run(scene.folder.path(), &[command, &arguments(&url)[..]].concat(), input);
        assert!(done.status.success(), "{}", stderr(&done));
    }
    let revoked = Instant::now();
    scene.until_told("reader", REVOKED);
    scene.until_told(secret, "global_token.not_a_collaborator");
    watch.end().assert_no_allow_beyond_the_bound(revoked);
}
