//! Documents from the organisation's own tables.

use std::{fs, path::Path};

use serde_json::json;

use super::{question, ready, serve, until};
use crate::{
    harness::{http::decide, program::Serving},
    store::database::{TestDatabase, on_both_databases},
};

on_both_databases![
    rows_of_ones_own_decide_and_follow_their_table,
    a_query_that_fails_keeps_its_last_rows_and_grows_stale,
    each_tenant_sees_its_own_rows,
];

/// Says why by what it finds in `data`.
const POLICY: &str = r#"package regate

import data.company.teams
import data.infrabox.collaborators.collaborators

default decision := {"allow": false, "reasons": ["nothing"]}

decision := {"allow": true, "reasons": [sprintf("leads.%s.%v", [teams.red.lead, teams.red.size])]} if {
	input.request.path[0] == "teams"
}

decision := {"allow": true, "reasons": [concat(".", [role | some row in collaborators; row.user_id == "u1"; role := row.role])]} if {
	input.request.path[0] == "list"
}

decision := {"allow": true, "reasons": [data.company.members.p1.u1.role]} if input.request.path[0] == "members"
"#;

/// A package above one of the documents, as published bundles have.
const ABOVE: &str =
    "package infrabox.collaborators\n\nallow if data.infrabox.collaborators.collaborators[0]\n";

const TABLES: &str = "
    create table team (name varchar(20) primary key, lead varchar(20), size int, org varchar(20));
    create table member (project_id varchar(20), user_id varchar(20), role varchar(20));
    insert into team values ('red', 'ann', 3, 'default'), ('blue', 'bob', 2, 'acme');
    insert into member values ('p1', 'u1', 'owner'), ('p1', 'u2', 'viewer'), ('p2', 'u1', 'viewer');
    insert into tenants (id) values ('acme');";

fn configuration(interval: &str) -> String {
    format!(
        r#"
[policy]
folder = "policy"
[data]
poll_interval = "50ms"
max_staleness = "1s"
[[documents]]
path = "company.teams"
query = "select name, lead, size from team where name <> 'blue';"
key = "name"
interval = "{interval}"
channel = "team_changed"
[[documents]]
path = "infrabox.collaborators.collaborators"
query = "select user_id, project_id, role from member order by project_id, user_id"
list = true
interval = "{interval}"
[[documents]]
path = "company.members"
query = "select * from member"
key = ["project_id", "user_id"]
interval = "{interval}"
"#
    )
}

fn write_policy(folder: &Path) {
    fs::create_dir_all(folder.join("policy")).unwrap();
    fs::write(folder.join("policy/regate.rego"), POLICY).unwrap();
    fs::write(folder.join("policy/above.rego"), ABOVE).unwrap();
}

fn ask(serving: &Serving, path: &str) -> String {
    let question = json!({"request": {"method": "GET", "path": path}});
    let answer = decide(&serving.address, &question);
    // An anonymous caller's denies begin with `token.missing`.
    if answer["allow"] == true {
        answer["reason"].as_str().unwrap().to_owned()
    } else {
        answer["reasons"].to_string()
    }
}

async fn rows_of_ones_own_decide_and_follow_their_table(database: TestDatabase) {
    database.execute(TABLES).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_policy(folder.path());
    let serving = serve(&database, folder.path(), &configuration("100ms"));
    assert_eq!(ask(&serving, "/teams"), "leads.ann.3");
    assert_eq!(ask(&serving, "/list"), "owner.viewer");
    assert_eq!(ask(&serving, "/members"), "owner");
    let (_, body) = ready(&serving.address);
    let documents = body["documents"].clone();
    assert_eq!(documents[0], json!({"path": "company.teams", "rows": 1, "problem": null}));
    assert_eq!(documents[2]["rows"], json!(3));
    database
        .execute(
            "update team set lead = 'eve' where name = 'red'; delete from member where project_id = 'p2'",
        )
        .await
        .unwrap();
    until(|| ask(&serving, "/teams"), |reason| reason == "leads.eve.3");
    until(|| ask(&serving, "/list"), |reason| reason == "owner");
    // Changes of regate's own tables take nothing away.
    database.execute("insert into users (id) values ('u7')").await.unwrap();
    let revision = json!(database.revision().await);
    until(|| ready(&serving.address).1["data_revision"].clone(), |seen| *seen == revision);
    assert_eq!(ask(&serving, "/teams"), "leads.eve.3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_announces_what_an_interval_would_find_in_an_hour() {
    let database = TestDatabase::postgres().await;
    database.execute(TABLES).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_policy(folder.path());
    let serving = serve(&database, folder.path(), &configuration("3600s"));
    assert_eq!(ask(&serving, "/teams"), "leads.ann.3");
    let mut size = 10;
    until(
        || {
            // Announced again and again: the first may come before the connection listens.
            size += 1;
            let sql = format!("update team set size = {size}; notify team_changed");
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(database.execute(&sql))
            })
            .unwrap();
            ask(&serving, "/teams")
        },
        |reason| reason != "leads.ann.3",
    );
    assert_eq!(ask(&serving, "/list"), "owner.viewer");
}

async fn a_query_that_fails_keeps_its_last_rows_and_grows_stale(database: TestDatabase) {
    database.execute(TABLES).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_policy(folder.path());
    let serving = serve(&database, folder.path(), &configuration("100ms"));
    assert_eq!(ask(&serving, "/teams"), "leads.ann.3");
    database.execute("alter table team rename to squad").await.unwrap();
    let failing = until(|| ready(&serving.address).1, |body| body["documents"][0]["problem"] != json!(null));
    assert_eq!(failing["documents"][1]["problem"], json!(null));
    // The last rows, and then none that could be wrong.
    until(
        || decide(&serving.address, &question("x", "/teams"))["reason"].clone(),
        |reason| reason == "data.stale",
    );
    let (status, body) = ready(&serving.address);
    assert_eq!((status, body["state"].clone()), (503, json!("stale")));
    let words = "the document's query ([[documents]]) failed";
    let log = serving.wait_for_log(words);
    let failed = log.lines().find(|line| line.contains(words)).unwrap();
    // It is the table's name that helps; regate's own tables are all there.
    assert!(failed.contains("team") && !failed.contains("regate migrate"), "{failed}");
    // A row that does not fit is a failure as well: it may be the one that matters.
    database.execute("create table team as select name, lead, size from squad").await.unwrap();
    until(|| ask(&serving, "/teams"), |reason| reason == "leads.ann.3");
    database.execute("insert into team values ('red', 'mallory', 9)").await.unwrap();
    until(
        || ready(&serving.address).1["documents"][0]["problem"].clone(),
        |problem| *problem == json!("unusable_row"),
    );
    database.execute("delete from team where lead = 'mallory'").await.unwrap();
    until(|| ask(&serving, "/teams"), |reason| reason == "leads.ann.3");
    assert!(serving.log.lock().unwrap().contains("the document's query works again"));
}

async fn each_tenant_sees_its_own_rows(database: TestDatabase) {
    database.execute(TABLES).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("policy")).unwrap();
    let policy = "package regate\n\ndecision := {\"allow\": true, \"reasons\": [concat(\".\", object.keys(data.teams))]}";
    fs::write(folder.path().join("policy/regate.rego"), policy).unwrap();
    let sha256 = regate::auth::hash("acme-secret");
    let token = format!(
        "insert into tokens (id, tenant, kind, name, sha256) values ('t', 'acme', 'mcp', 'n', '{sha256}')"
    );
    database.execute(&token).await.unwrap();
    let toml = "[policy]\nfolder = \"policy\"\n[[documents]]\npath = \"teams\"\nquery = \"select * from team\"\nkey = \"name\"\ntenant_column = \"org\"";
    let serving = serve(&database, folder.path(), toml);
    assert_eq!(ask(&serving, "/x"), "red");
    assert_eq!(decide(&serving.address, &question("acme-secret", "/x"))["reason"], "blue");
}

#[test]
fn what_cannot_be_a_document_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let start = |section: &str| {
        fs::write(folder.path().join("c.toml"), format!("[[documents]]\n{section}")).unwrap();
        Serving::try_start(folder.path(), &["--demo", "--config", "c.toml"]).err().expect("it was accepted")
    };
    let query = "query = \"select 1 as a\"\n";
    for (section, code, part) in [
        ("path = \"regate.global_token\"\nlist = true", 3, "collides with the rule data.regate.global_token"),
        ("path = \"regate\"\nlist = true", 3, "collides"),
        ("path = \"users\"\nlist = true", 1, "regate's own tables"),
        ("path = \"a b\"\nlist = true", 1, "names with dots between"),
        ("path = \"a\"", 1, "either key = [\"column\", …] or list = true"),
        ("path = \"a\"\nlist = true\nkey = \"x\"", 1, "either key"),
        (
            "path = \"a\"\nlist = true\ntenant = \"t\"\ntenant_column = \"x\"",
            1,
            "either tenant or tenant_column",
        ),
        ("path = \"a\"\nlist = true\nintervall = \"5s\"", 1, "intervall"),
        ("path = \"a\"\nlist = true\ninterval = \"0s\"", 1, "not a time"),
    ] {
        let (exit, log) = start(&format!("{query}{section}"));
        assert_eq!(exit, Some(code), "{section}: {log}");
        assert!(log.contains(part), "{section}: {log}");
    }
}
