//! `regate token`: minted, shown once, listed, changed, given the right to trigger, revoked.

use std::{
    fs::OpenOptions,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{Scene, on_both_databases};
use crate::harness::{
    http::decide,
    program::{REGATE, Serving, stderr, stdout},
};

on_both_databases!(
    a_token_is_shown_once_and_works_until_it_is_revoked,
    a_token_is_never_wider_than_its_flags_say_and_a_mistake_is_told,
    a_token_is_changed_and_what_is_left_out_stays,
    the_right_to_trigger_is_granted_and_withdrawn,
    tokens_are_listed_by_what_they_are,
    the_limits_are_those_of_the_configuration,
);

/// Rows that tokens may refer to.
fn people(scene: &Scene) {
    scene.import(&json!({
        "tenants": [{"id": "acme"}],
        "users": [{"id": "u1"}, {"id": "u2"}], "projects": [{"id": "p1", "name": "one"}, {"id": "p2"}],
        "collaborators": [{"project_id": "p1", "user_id": "u1", "role": "owner"}],
    }));
}

/// Mints, and gives the answer with the secret.
fn mint(scene: &Scene, flags: &[&str]) -> Value {
    scene.object(&[&["token", "mint"], flags].concat())
}

fn id(answer: &Value) -> &str {
    answer["id"].as_str().unwrap()
}

fn a_token_is_shown_once_and_works_until_it_is_revoked(scene: &Scene) {
    people(scene);
    let minted = scene.output(&["token", "mint", "--kind", "global", "--name", "ci", "--user", "u1"], "");
    let token = stdout(&minted);
    assert!(minted.status.success(), "{}", stderr(&minted));
    // Nothing else is in the output, so that a script can take it as it is.
    let token = token.strip_suffix('\n').unwrap().to_owned();
    assert!(token.starts_with("rgt_global_") && !token.contains(char::is_whitespace));
    assert_eq!(stderr(&minted), "");
    let question = json!({"token": token, "request": {"method": "GET", "path": "/api/v1/projects/p1"}});
    let serving = Serving::start(scene.path(), &["--database-url", &scene.url]);
    let answer = decide(&serving.address, &question);
    assert_eq!(answer["allow"], true);
    let id = answer["subject"]["token_id"].as_str().unwrap().to_owned();

    let row = scene.object(&["token", "list"]);
    assert_eq!(
        (&row["id"], &row["state"], &row["prefix"]),
        (&json!(id), &json!("live"), &json!(token[..12]))
    );
    let shown = [
        row.to_string(),
        scene.said(0, &["token", "list"]),
        scene.said(0, &["token", "show", &id]),
        scene.object(&["token", "show", &id]).to_string(),
    ];
    let hash = regate::auth::hash(&token).to_string();
    for text in &shown {
        assert!(text.contains(&id) && text.contains("live"));
        assert!(!text.contains(&token) && !text.contains(&hash));
    }

    for expected in ["revoked", "was revoked already"] {
        let revoked = scene.said(0, &["token", "revoke", &id]);
        assert!(revoked.contains(expected), "{revoked}");
    }
    let again = scene.object(&["token", "revoke", &id]);
    assert_eq!((&again["changed"], &again["state"]), (&json!(false), &json!("revoked")));
    let revision = again["revision"].as_u64().unwrap();
    let mut after = question.clone();
    after["min_revision"] = json!(revision);
    assert_eq!(decide(&serving.address, &after)["reason"], "token.revoked");
}

#[test]
fn a_token_that_cannot_be_shown_is_not_kept() {
    let scene = Scene::sqlite();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let minted = Command::new(REGATE)
        .args(["token", "mint", "--kind", "mcp", "--name", "x", "--database-url", &scene.url])
        .current_dir(scene.path())
        .env_clear()
        .stdout(Stdio::from(full))
        .output()
        .unwrap();
    assert_eq!(minted.status.code(), Some(1));
    assert!(stderr(&minted).contains("could not be shown"), "{}", stderr(&minted));
    assert_eq!(scene.said(0, &["token", "list"]), "no tokens\n");
}

#[test]
fn a_token_is_not_made_where_nothing_is_kept() {
    let scene = Scene { url: "sqlite::memory:".to_owned(), ..Scene::sqlite() };
    assert!(scene.said(64, &["token", "mint", "--kind", "mcp", "--name", "x"]).contains("keeps nothing"));
}

fn a_token_is_never_wider_than_its_flags_say_and_a_mistake_is_told(scene: &Scene) {
    people(scene);
    for (flags, code, said) in [
        (
            "global --user u1 --project p1",
            64,
            "--project: it is for project tokens; to confine a token of kind global",
        ),
        ("mcp --project p1", 64, "give --only-project"),
        ("global", 64, "--user: a global token needs"),
        ("project --scope-pull", 64, "--project: a project token needs its project"),
        ("project --project p1", 64, "--scope-pull, --scope-push or both"),
        ("gateway --user u1", 64, "--user: a user has no effect on a token of kind gateway"),
        ("gateway --scope-push", 64, "--scope-push has no effect on a token of kind gateway"),
        ("gateway --only-project p1", 64, "--only-project: a list of projects has no effect"),
        (
            "admin --only-project p1",
            64,
            "--only-project: a list of projects does not confine what a token of kind",
        ),
        ("admin --tool a", 64, "--tool: a list of tools has no effect"),
        ("mcp --all-tenants", 64, "--all-tenants: only a gateway can be of all tenants"),
        ("mcp --tenant _x", 64, "tenant id"),
        ("root", 64, "global, project, mcp, admin, gateway"),
        ("mcp --expires-in-days 0", 64, "--expires-in-days: it must be 1 to 365"),
        ("mcp --expires-in-days 366", 64, "--expires-in-days: it must be 1 to 365"),
        ("mcp --expires-in-days -1", 64, "--expires-in-days: it must be 1 to 365"),
        ("mcp --only-project p1=", 64, "leave out the ="),
        ("mcp --only-project p1=soon", 64, "the expiry must be a time"),
        (
            "mcp --only-project p1 --only-project p2=2001-01-01T00:00:00Z",
            64,
            "--only-project \"p2\": the expiry has passed",
        ),
        ("mcp --only-project p1 --only-project p1=never", 64, "names \"p1\" twice"),
        ("mcp --only-project p1 --no-projects", 64, "cannot be used with"),
        (
            "global --user bobby",
            1,
            "there is no user \"bobby\" in the tenant \"default\": add it with regate user put",
        ),
        ("project --scope-pull --project p9", 1, "there is no project \"p9\""),
        ("mcp --tenant foo", 1, "there is no tenant \"foo\""),
    ] {
        let arguments: Vec<&str> =
            ["token", "mint", "--name", "x", "--kind"].into_iter().chain(flags.split(' ')).collect();
        let minted = scene.output(&arguments, "");
        assert_eq!(minted.status.code(), Some(code), "{flags}: {}", stderr(&minted));
        assert!(stderr(&minted).contains(said), "{flags}: {}", stderr(&minted));
        assert_eq!(stdout(&minted), "");
    }
    scene.said(64, &["token", "mint", "--kind", "admin", "--name", ""]);
    assert_eq!(scene.said(0, &["token", "list"]), "no tokens\n");
    for action in [&["revoke"][..], &["show"], &["trigger", "grant"], &["trigger", "withdraw"]] {
        let said = scene.said(1, &[&["token"], action, &["nosuch"]].concat());
        assert!(said.contains("\n  there is no token \"nosuch\": see regate token list"), "{said}");
    }
    // A secret that is pasted in place of an id is not repeated.
    let secret = mint(scene, &["--kind", "mcp", "--name", "m"])["token"].as_str().unwrap().to_owned();
    for action in ["revoke", "show"] {
        let output = scene.output(&["token", action, &secret], "");
        assert_eq!(output.status.code(), Some(64), "{action}");
        assert!(!stderr(&output).contains(&secret[12..]), "{action}");
    }
}

fn a_token_is_changed_and_what_is_left_out_stays(scene: &Scene) {
    people(scene);
    let minted = mint(
        scene,
        &["--kind", "mcp", "--name", "m", "--user", "u1", "--only-project", "p1", "--expires-in-days", "30"],
    );
    let change = |flags: &[&str]| scene.object(&[&["token", "change", id(&minted)], flags].concat());
    let changed = change(&["--name", "new"]);
    assert_eq!(
        (&changed["name"], &changed["projects"], &changed["expires_at"], &changed["changed"]),
        (&json!("new"), &json!({"p1": null}), &minted["expires_at"], &json!(true))
    );
    assert_eq!(change(&["--name", "new"])["changed"], false);
    let day = "2027-01-01T00:00:00.000Z";
    let soon = days_ahead(20);
    let changed =
        change(&["--only-project", &format!("p1={soon}"), "--only-project", "p2", "--tool", "read"]);
    assert_eq!((&changed["projects"]["p2"], &changed["tools"]), (&Value::Null, &json!(["read"])));
    assert_eq!(changed["projects"]["p1"].as_str().unwrap().len(), day.len());
    let changed = change(&["--any-project", "--any-tool", "--never-expires"]);
    assert_eq!(
        (&changed["projects"], &changed["tools"], &changed["expires_at"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    // An empty list allows none.
    assert_eq!(change(&["--no-projects", "--no-tools"])["projects"], json!({}));
    let shown = scene.said(0, &["token", "show", id(&minted)]);
    assert!(shown.contains("only projects  none (an empty list)\n"), "{shown}");
    assert!(change(&["--expires-in-days", "365"])["expires_at"].is_string());
    for (flags, expected) in [
        (&[][..], "required"),
        (&["--name", ""], "--name"),
        (&["--expires-in-days", "366"], "1 to 365; --never-expires takes"),
        (&["--any-tool", "--tool", "x"], "cannot be used with"),
        (&["--only-project", "p1=yesterday"], "the expiry must be a time"),
    ] {
        let said = scene.said(64, &[&["token", "change", id(&minted)], flags].concat());
        assert!(said.contains(expected), "{said}");
    }
    let elsewhere = ["token", "change", id(&minted), "--name", "x", "--tenant", "acme"];
    assert!(scene.said(1, &elsewhere).contains("there is no token"));
    let said = scene.said(64, &["token", "change", id(&minted), "--scope-push"]);
    assert!(
        said.contains("tip: what a token is and may do never changes") && !said.contains("-- --"),
        "{said}"
    );
    scene.said(0, &["token", "revoke", id(&minted)]);
    let said = scene.said(1, &["token", "change", id(&minted), "--name", "x"]);
    assert!(said.contains("nothing was changed\n  the token is revoked"), "{said}");
    let gateway = mint(scene, &["--kind", "gateway", "--name", "g", "--all-tenants"]);
    let said = scene.said(64, &["token", "change", id(&gateway), "--no-projects"]);
    assert!(said.contains("no effect on a token of kind gateway"), "{said}");
    // A gateway of all tenants is nobody's own.
    scene.said(1, &["token", "show", id(&gateway), "--tenant", "default"]);
}

/// RFC 3339, so many days from now.
fn days_ahead(days: i64) -> String {
    use regate::types::{Clock, SystemClock, Timestamp};
    Timestamp::from_unix_seconds(SystemClock.now().unix_seconds() + days * 24 * 60 * 60).to_string()
}

fn the_right_to_trigger_is_granted_and_withdrawn(scene: &Scene) {
    people(scene);
    let minted = mint(scene, &["--kind", "mcp", "--name", "m", "--user", "u1"]);
    let trigger = |action: &str| scene.object(&["token", "trigger", action, id(&minted)]);
    for (action, allowed, changed) in
        [("withdraw", false, false), ("grant", true, true), ("grant", true, false), ("withdraw", false, true)]
    {
        let answer = trigger(action);
        assert_eq!(
            (&answer["allow_trigger"], &answer["changed"]),
            (&json!(allowed), &json!(changed)),
            "{action}"
        );
    }
    let global = mint(scene, &["--kind", "global", "--name", "g", "--user", "u1"]);
    let said = scene.said(1, &["token", "trigger", "grant", id(&global)]);
    assert!(said.contains("for tokens of kind mcp, and this one is of kind global"), "{said}");
    scene.said(1, &["token", "trigger", "grant", id(&minted), "--tenant", "acme"]);
    scene.said(0, &["token", "revoke", id(&minted)]);
    assert!(scene.said(1, &["token", "trigger", "grant", id(&minted)]).contains("the token is revoked"));
    trigger("withdraw");
}

fn tokens_are_listed_by_what_they_are(scene: &Scene) {
    people(scene);
    let flags = ["--kind", "mcp", "--user", "u1", "--name"];
    let minted: Vec<Value> =
        ["a", "b"].iter().map(|name| mint(scene, &[&flags[..], &[name]].concat())).collect();
    mint(scene, &["--kind", "project", "--name", "c", "--project", "p1", "--scope-pull"]);
    scene.import(&json!({"tokens": [
        {"id": "old", "kind": "admin", "name": "d", "sha256": "ab".repeat(32), "expires_at": "2001-01-01T00:00:00Z",
         "created_at": "2000-01-01T00:00:00Z"},
    ]}));
    scene.said(0, &["token", "revoke", id(&minted[1])]);
    let names = |filter: &[&str]| -> Vec<String> {
        let rows = scene.objects(&[&["token", "list"], filter].concat());
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&[]), ["d", "a", "b", "c"]);
    assert_eq!(names(&["--state", "live"]), ["a", "c"]);
    assert_eq!(names(&["--state", "expired"]), ["d"]);
    assert_eq!(names(&["--state", "revoked"]), ["b"]);
    assert_eq!(names(&["--unrevoked"]), ["d", "a", "c"]);
    assert_eq!(names(&["--project", "p1"]), ["c"]);
    assert_eq!(names(&["--user", "u1", "--kind", "mcp", "--state", "live"]), ["a"]);
    // Those that were never used count from when they were made.
    assert_eq!(names(&["--unused-days", "1", "--tenant", "default"]), ["d"]);
    assert_eq!(names(&["--tenant", "acme"]), [] as [&str; 0]);
    assert_eq!(names(&["--limit", "2", "--after", "old"]), ["a", "b"]);
    let table = scene.said(0, &["token", "list", "--limit", "1"]);
    assert!(table.contains("STATE") && table.ends_with("There are more: --after old\n"), "{table}");
    // Columns in which nothing stands are left out, and the tenant where all are of one.
    assert!(!table.contains("LAST USED") && !table.contains("USER") && !table.contains("TENANT"), "{table}");
    mint(scene, &["--kind", "mcp", "--name", "e", "--tenant", "acme", "--only-project", "p1", "--no-tools"]);
    let table = scene.said(0, &["token", "list"]);
    assert!(table.contains("TENANT") && table.contains("1 project, no tool"), "{table}");
    assert!(scene.said(1, &["token", "list", "--after", "nobody"]).contains("no such token to go on after"));
    for wrong in [
        &["--state", "dead"][..],
        &["--unused-days", "0"],
        &["--state", "live", "--unrevoked"],
        &["--limit", "0"],
    ] {
        scene.said(64, &[&["token", "list"], wrong].concat());
    }
}

fn the_limits_are_those_of_the_configuration(scene: &Scene) {
    people(scene);
    super::write(scene.path(), "regate.toml", "[tokens]\nmax_live_per_user = 2\nmax_days = 7\n");
    let mint = |code, user: &str, days: &str| {
        let flags = ["--kind", "mcp", "--name", "m", "--user", user, "--expires-in-days", days];
        scene.said(code, &[&["token", "mint", "--config", "regate.toml"], &flags[..]].concat())
    };
    assert!(mint(64, "u1", "8").contains("1 to 7"));
    let first = mint(0, "u1", "7");
    mint(0, "u1", "7");
    let said = mint(1, "u1", "7");
    assert!(said.starts_with("regate: no token was made\n  the user has 2 live tokens already"), "{said}");
    mint(0, "u2", "7");
    // Room is made by revoking one.
    let rows = scene.objects(&["token", "list", "--user", "u1"]);
    let row = rows.iter().find(|row| first.starts_with(row["prefix"].as_str().unwrap())).unwrap();
    scene.said(0, &["token", "revoke", id(row)]);
    mint(0, "u1", "7");
}
