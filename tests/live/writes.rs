//! Writes: of this process, which decide before they return; and of others, which decide soon.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use regate::{
    api::{DataState, DecisionPoint, GatewayAuthentication},
    auth,
    decision::{Bundle, CompileOptions, DecisionRules, Document, RegoSource, SnapshotBuilder},
    feed::{Feed, FeedOptions, LiveStore},
    policy::Live,
    store::{NewToken, Store},
    types::{Clock, DataRevision, PolicyRevision, RandomIds, SystemClock, TenantId, Timestamp, TokenKind},
};
use serde_json::json;

use super::{PATIENCE, question, ready, serve, until};
use crate::{
    decisions,
    harness::http::{decide, send},
    store::database::{TestDatabase, on_both_databases},
};

on_both_databases![
    a_write_through_this_process_decides_before_it_returns,
    a_change_by_another_program_decides_and_a_question_may_wait_for_it,
    a_gateway_that_is_revoked_while_it_speaks_is_not_heard,
];

fn new_token(id: &str) -> NewToken {
    NewToken {
        id: id.to_owned(),
        tenant: Some(TenantId::default_tenant()),
        kind: TokenKind::Global,
        name: id.to_owned(),
        sha256: auth::hash(id),
        prefix: None,
        user_id: Some("u1".to_owned()),
        project_id: None,
        scope_pull: true,
        scope_push: false,
        projects: None,
        tools: None,
        expires_at: None,
        created_at: Timestamp::from_unix_seconds(1),
    }
}

async fn a_write_through_this_process_decides_before_it_returns(database: TestDatabase) {
    database.import(r#"{"users": [{"id": "u1"}]}"#).await;
    let source = RegoSource {
        name: "a.rego".into(),
        text: "package regate\ndecision := {\"allow\": input.token.user_id == \"u1\"}".into(),
    };
    let revision = PolicyRevision::from_digest(&[1]);
    let options = CompileOptions { workers: 2, ..CompileOptions::default() };
    let bundle = Arc::new(Bundle::compile(&[source], Document::new_object(), revision, &options).unwrap());
    let live = Arc::new(Live::new(bundle, SnapshotBuilder::default().finish(DataRevision(0))));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let options = FeedOptions::default();
    let store = Arc::clone(&database.store);
    let feed =
        Feed::start(Arc::clone(&store), Arc::clone(&live), Arc::clone(&clock), options, Vec::new()).unwrap();
    feed.loaded().await;
    let point = DecisionPoint::new(
        live,
        DecisionRules::default(),
        clock,
        Arc::new(|| Box::new(RandomIds::new())),
        GatewayAuthentication::Optional,
        Duration::from_secs(60),
    );
    let store = LiveStore::new(store, feed.reach().clone());
    let ask = |id: &str| {
        let decision = point.judge(&decisions::question(Some(id), "/x"));
        (decision.allow, decision.reasons.first.as_str().to_owned(), decision.data_revision)
    };
    for number in 0..60 {
        let id = format!("t{number}");
        assert_eq!(ask(&id).1, "token.unknown");
        let minted = store.mint_token(&new_token(&id), 20).await.unwrap();
        assert_eq!(ask(&id), (true, "policy.allowed".to_owned(), minted));
        let revoked = store.revoke_token(&id, None, Timestamp::from_unix_seconds(2)).await.unwrap();
        assert_eq!(ask(&id), (false, "token.revoked".to_owned(), revoked.revision));
        assert_eq!(revoked.revision.0, minted.0 + 1);
    }
    assert!(matches!(point.data_state(), DataState::Current(age) if age < PATIENCE));
    // One load; all else was applied.
    assert_eq!(feed.reach().status().loads(), 1);
    assert!(feed.reach().status().changes() >= 120);
    feed.stop();
}

async fn a_change_by_another_program_decides_and_a_question_may_wait_for_it(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let sha256 = auth::hash("secret");
    let rows = format!(
        "insert into users (id) values ('u1'); insert into projects (id) values ('p1');
         insert into tokens (id, kind, name, sha256, user_id, scope_pull) values ('t1', 'global', 'n', '{sha256}', 'u1', (1 = 1))"
    );
    database.execute(&rows).await.unwrap();
    let serving = serve(
        &database,
        folder.path(),
        "[http]\nrevision_wait = \"5s\"\n[metrics]\nlisten = \"127.0.0.1:0\"",
    );
    let address = &serving.address;
    let question = question("secret", "/api/v1/projects/p1");
    assert_eq!(decide(address, &question)["reason"], "global_token.not_a_collaborator");
    let now = database.revision().await;
    let waiting = std::thread::spawn({
        let (address, mut question) = (address.clone(), question.clone());
        question["min_revision"] = json!(now + 1);
        move || decide(&address, &question)
    });
    database
        .execute("insert into collaborators (project_id, user_id, role) values ('p1', 'u1', 'viewer')")
        .await
        .unwrap();
    let answer = waiting.join().unwrap();
    assert_eq!(
        (answer["reason"].clone(), answer["data_revision"].clone()),
        (json!("global_token.read"), json!(now + 1))
    );
    database.execute("delete from users").await.unwrap();
    until(|| decide(address, &question)["reason"].clone(), |reason| reason == "token.unknown");
    let (status, body) = ready(address);
    assert_eq!(
        (status, body["state"].clone(), body["feed"]["problem"].clone()),
        (200, json!("current"), json!(null))
    );

    let log = serving.log.lock().unwrap().clone();
    let metrics = log.lines().find(|line| line.contains("metrics at /metrics")).unwrap();
    let metrics = metrics.rsplit("address=").next().unwrap().trim();
    let answer = send(metrics, "GET", "/metrics", &[], b"");
    let text = String::from_utf8(answer.body).unwrap();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    };
    assert!((0.0..30.0).contains(&value("regate_data_age_seconds")));
    assert_eq!(value("regate_data_stale"), 0.0);
    assert_eq!(value("regate_data_revision"), body["data_revision"].as_f64().unwrap());
    assert_eq!(value("regate_feed_loads_total"), 1.0);
    assert!(value("regate_feed_changes_total") >= 2.0);
    // Nothing else is there, and no metrics are where questions are asked.
    assert_eq!(send(metrics, "POST", "/v1/decide", &[], b"{}").status, 404);
    assert_eq!(send(address, "GET", "/metrics", &[], b"").status, 404);
}

#[test]
fn a_question_that_waits_in_vain_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.toml"), "[http]\nrevision_wait = \"50ms\"").unwrap();
    let serving = crate::harness::program::Serving::start(folder.path(), &["--demo", "--config", "c.toml"]);
    let mut question = question("x", "/x");
    question["min_revision"] = json!(1_000_000);
    let answer = send(&serving.address, "POST", "/v1/decide", &[], question.to_string().as_bytes());
    assert_eq!((answer.status, answer.json()["code"].clone()), (503, json!("data.revision_not_reached")));
    assert_eq!(answer.json()["allow"], json!(false));
}

/// A gateway may take ten seconds to send a question, and the question may wait for a revision.
async fn a_gateway_that_is_revoked_while_it_speaks_is_not_heard(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let sha256 = auth::hash("gateway");
    let row = format!("insert into tokens (id, kind, name, sha256) values ('g', 'gateway', 'g', '{sha256}')");
    database.execute(&row).await.unwrap();
    let serving = serve(&database, folder.path(), "[gateways]\nauthentication = \"required\"");
    let question = json!({"request": {"method": "GET", "path": "/health"}}).to_string();
    let whole = || {
        let headers = [("authorization", "Bearer gateway")];
        send(&serving.address, "POST", "/v1/decide", &headers, question.as_bytes()).status
    };
    assert_eq!(whole(), 200);
    let mut slow = TcpStream::connect(&serving.address).unwrap();
    let head = format!(
        "POST /v1/decide HTTP/1.1\r\nhost: x\r\nauthorization: Bearer gateway\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        question.len()
    );
    slow.write_all(head.as_bytes()).unwrap();
    slow.write_all(&question.as_bytes()[..5]).unwrap();
    slow.flush().unwrap();
    database.execute("update tokens set revoked_at = '2026-01-01T00:00:00Z'").await.unwrap();
    until(whole, |status| *status == 401);
    slow.write_all(&question.as_bytes()[5..]).unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

/// A file announces nothing: it is looked at between the times when it is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_another_processes_change_decides_long_before_the_next_poll() {
    let database = TestDatabase::sqlite().await;
    database.import(r#"{"users": [{"id": "u1"}]}"#).await;
    database.store.mint_token(&new_token("t1"), 20).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let serving = serve(&database, folder.path(), "[data]\npoll_interval = \"9s\"");
    let reason = || decide(&serving.address, &question("t1", "/x"))["reason"].clone();
    assert_ne!(reason(), "token.revoked");
    let url = ["--database-url", &database.url];
    let begun = std::time::Instant::now();
    let revoked =
        crate::harness::program::run(folder.path(), &[&["token", "revoke", "t1"][..], &url].concat(), "");
    assert!(revoked.status.success());
    let told = std::time::Instant::now();
    until(reason, |reason| reason == "token.revoked");
    println!("decided {:?} after the command had ended", told.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
