//! A team that has its rules in OPA keeps them: the same files, v0 syntax and all, over rows of its own tables.

use std::fs;

use serde_json::json;

use super::post;
use crate::{
    live::{serve, until},
    store::database::TestDatabase,
};

/// In the manner of a published bundle: v0, documents above and below packages, scans of lists.
const RULES: &str = r#"package infrabox

import data.infrabox.collaborators.collaborators
import data.infrabox.projects.projects
import input as api

default authz = false

authz {
	api.method = "GET"
	api.path = ["api", "v1", "projects", project_id, "builds"]
	api.token.type = "user"
	collaborators[i].project_id = project_id
	collaborators[i].user_id = api.token.user.id
}

authz {
	api.method = "GET"
	api.path = ["api", "v1", "projects", project_id, "builds"]
	projects[i].id = project_id
	projects[i].public = 1
}
"#;

const CONFIGURATION: &str = r#"
[policy]
folder = "policy"
entrypoint = "data.infrabox.authz"
rego_version = "v0"

[opa]
paths = ["infrabox/authz"]

[[documents]]
path = "infrabox.collaborators.collaborators"
query = "select user_id, project_id, role from collaborator"
list = true
interval = "50ms"

[[documents]]
path = "infrabox.projects.projects"
query = "select id, name, public from project"
list = true
interval = "50ms"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_files_and_the_same_question_over_rows_of_ones_own() {
    let database = TestDatabase::sqlite().await;
    let tables = "create table collaborator (user_id text, project_id text, role text);
        create table project (id text, name text, public int);
        insert into collaborator values ('u1', 'p1', 'Developer');
        insert into project values ('p1', 'one', 0), ('p2', 'two', 0);";
    database.execute(tables).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("policy")).unwrap();
    fs::write(folder.path().join("policy/infrabox.rego"), RULES).unwrap();
    let serving = serve(&database, folder.path(), CONFIGURATION);
    let ask = |user: &str, project: &str| {
        let token = json!({"type": "user", "user": {"id": user}});
        let path = ["api", "v1", "projects", project, "builds"];
        let question = json!({"input": {"method": "GET", "path": path, "token": token}});
        let answer = post(&serving.address, "/v1/data/infrabox/authz", &question);
        assert_eq!(answer.status, 200);
        answer.json()["result"].clone()
    };
    assert_eq!(ask("u1", "p1"), json!(true));
    assert_eq!(ask("u1", "p2"), json!(false));
    assert_eq!(ask("u2", "p1"), json!(false));
    database.execute("delete from collaborator where user_id = 'u1'").await.unwrap();
    database.execute("insert into collaborator values ('u2', 'p1', 'Owner')").await.unwrap();
    until(|| (ask("u1", "p1"), ask("u2", "p1")), |told| *told == (json!(false), json!(true)));
    database.execute("update project set public = 1 where id = 'p2'").await.unwrap();
    until(|| ask("u1", "p2"), |told| *told == json!(true));
    // The rows themselves are nobody's business.
    for path in ["infrabox", "infrabox/collaborators/collaborators", "infrabox/collaborators"] {
        let answer = post(&serving.address, &format!("/v1/data/{path}"), &json!({"input": {}}));
        assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("resource_not_found")), "{path}");
    }
    // What is asked has nothing to do with who asks: the input is all that the rule sees.
    let forged = json!({"input": {"method": "GET", "path": ["api", "v1", "projects", "p1", "builds"],
        "token": {"type": "user", "user": {"id": "u2"}}}});
    let headers = [("authorization", "Bearer nobody")];
    let answer = crate::harness::http::send(
        &serving.address,
        "POST",
        "/v1/data/infrabox/authz",
        &headers,
        forged.to_string().as_bytes(),
    );
    assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("unauthorized")));
}

/// The fixture has its own tests beside it, which `with` needs the interpreter for.
#[test]
fn a_bundle_of_v0_is_asked_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = format!("{}/tests/fixtures/v0", env!("CARGO_MANIFEST_DIR"));
    let configuration = format!(
        "[policy]\nfolder = {bundle:?}\nentrypoint = \"data.infrabox.authz\"\nrego_version = \"v0\"\n\
         [opa]\npaths = [\"infrabox/authz\", \"infrabox/blocked\"]\n"
    );
    fs::write(folder.path().join("regate.toml"), configuration).unwrap();
    let arguments = ["--config", "regate.toml", "--database-url", "sqlite::memory:"];
    let serving = crate::harness::program::Serving::start(folder.path(), &arguments);
    let ask = |path: &str, input: serde_json::Value| {
        post(&serving.address, path, &json!({"input": input})).json()["result"].clone()
    };
    assert_eq!(ask("/v1/data/infrabox/authz", json!({"user": "root", "method": "DELETE"})), json!(true));
    assert_eq!(ask("/v1/data/infrabox/authz", json!({"user": "eve", "method": "GET"})), json!(false));
    assert_eq!(ask("/v1/data/infrabox/blocked", json!({})), json!([]));
}
