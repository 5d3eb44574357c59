//! Those who change the data: SQL as of another program, the management API, and the command line.
//!
//! A change that cannot be told to have happened (the database went away in the middle of it) is looked up afterwards.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::RngExt;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::{
    Soak,
    changes::{By, Turns, expected, first, question, sql, truth, until_seen},
    client::{Client, client},
    model::{Key, Role},
    program,
    world::{self, ADMIN, FIXED_USERS},
};

/// Begins; it ends with the soak.
pub fn begin(soak: &Arc<Soak>, url: &str) {
    tokio::spawn(by_sql(Arc::clone(soak), url.to_owned()));
    tokio::spawn(by_api(Arc::clone(soak), url.to_owned()));
    tokio::spawn(by_command_line(Arc::clone(soak), url.to_owned()));
}

async fn by_sql(soak: Arc<Soak>, url: String) {
    let (mut turns, mut client) = (Turns::new(&soak, By::Sql), client(&soak));
    let mut connection: Option<PgConnection> = None;
    while soak.goes_on() {
        let (key, value) = turns.next(By::Sql, 4);
        soak.model.begin(key, value);
        let changing = async {
            if connection.is_none() {
                connection = Some(PgConnection::connect(&url).await?);
            }
            let connection = connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
            connection.execute(sqlx::raw_sql(AssertSqlSafe(sql(key, value)))).await
        };
        let changed = tokio::time::timeout(Duration::from_secs(60), changing).await;
        if let Ok(Ok(_)) = changed {
            soak.tally.count("changes", "by SQL");
            until_seen(&soak, &mut client, key, Instant::now(), "a change by SQL until it decides").await;
        } else {
            connection = None;
            soak.tally.count("changes", "by SQL, cut off by an outage");
            unknown(&soak, &url, &mut client, &mut turns, key).await;
        }
        tokio::time::sleep(Duration::from_millis(turns.random.random_range(5..200))).await;
    }
}

/// A change of which nobody knows whether it happened.
async fn unknown(soak: &Soak, url: &str, client: &mut Client, turns: &mut Turns, key: Key) {
    let value = truth(soak, url, key).await;
    soak.model.begin(key, value);
    turns.changed.retain(|other| *other != key);
    if value != first(key) {
        turns.changed.push(key);
    }
    until_seen(soak, client, key, Instant::now(), "a change that was cut off until it decides").await;
}

/// What a management call came to.
enum Called {
    Done(Value),
    /// It may have happened or not.
    Unknown,
}

async fn call(soak: &Soak, client: &mut Client, method: &str, path: &str, body: &str) -> Called {
    let asked = Instant::now();
    let exchanged = client.exchange(method, path, ADMIN, body).await;
    let answered = Instant::now();
    match exchanged {
        Ok((200..=299, body)) => Called::Done(serde_json::from_slice(&body).unwrap_or_default()),
        Ok((status, body)) => {
            soak.not_decided(status, &serde_json::from_slice(&body).unwrap_or_default(), asked, answered);
            Called::Unknown
        }
        Err(error) => {
            soak.tally.fail(format!("a management call's connection broke: {error}"));
            Called::Unknown
        }
    }
}

async fn by_api(soak: Arc<Soak>, url: String) {
    let (mut turns, mut client) = (Turns::new(&soak, By::Api), client(&soak));
    while soak.goes_on() {
        if turns.random.random_range(0..3) == 0 {
            mint_and_revoke(&soak, &mut client, &mut turns).await;
        } else {
            let (key, value) = turns.next(By::Api, 2);
            soak.model.begin(key, value);
            let (method, path, body) = match key {
                Key::Role(user, project) => {
                    let method = if value == 0 { "DELETE" } else { "PUT" };
                    let body = if value == 0 {
                        String::new()
                    } else {
                        json!({"role": world::role(user, project).name()}).to_string()
                    };
                    (method, format!("/v1/projects/p{project}/collaborators/u{user}"), body)
                }
                Key::Disabled(user) => {
                    ("PUT", format!("/v1/users/u{user}"), json!({"disabled": value == 1}).to_string())
                }
                other => panic!("{other:?} is not changed by the API"),
            };
            match call(&soak, &mut client, method, &path, &body).await {
                Called::Done(_) => {
                    // In force before it is answered.
                    soak.model.settle(key);
                    soak.tally.count("changes", "by the API");
                    client.ask(&soak, question(key), None).await;
                }
                Called::Unknown => unknown(&soak, &url, &mut client, &mut turns, key).await,
            }
        }
        tokio::time::sleep(Duration::from_millis(turns.random.random_range(20..400))).await;
    }
}

/// A token that is minted lets its user in at once, and nobody as soon as it is revoked.
async fn mint_and_revoke(soak: &Soak, client: &mut Client, turns: &mut Turns) {
    let user = turns.random.random_range(0..FIXED_USERS);
    let body = json!({"kind": "global", "name": "soak", "user_id": format!("u{user}"), "scope_pull": true});
    let Called::Done(minted) = call(soak, client, "POST", "/v1/tokens", &body.to_string()).await else {
        return;
    };
    let (token, id) =
        (minted["token"].as_str().unwrap_or_default(), minted["id"].as_str().unwrap_or_default());
    let project = world::projects_of(user).next().unwrap_or(0);
    let path = format!("/api/v1/projects/p{project}/builds");
    let question = json!({"token": token, "request": {"method": "GET", "path": path}}).to_string();
    ask_about(soak, client, &question, "global_token.read").await;
    loop {
        let begun = Instant::now();
        if let Called::Done(_) = call(soak, client, "DELETE", &format!("/v1/tokens/{id}"), "").await {
            soak.tally.delay("a revocation by the API", begun.elapsed());
            break;
        }
        if !soak.goes_on() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    ask_about(soak, client, &question, "token.revoked").await;
    soak.tally.count("changes", "minted, revoked and asked about at once");
}

async fn ask_about(soak: &Soak, client: &mut Client, question: &str, expected: &str) {
    let asked = Instant::now();
    let exchanged = client.exchange("POST", "/v1/decide", "", question).await;
    let Ok((200, body)) = exchanged else {
        soak.tally.fail("a question about a minted token was not answered".to_owned());
        return;
    };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (reason, allow) = (body["reason"].as_str().unwrap_or_default(), body["allow"] == true);
    let id = body["decision_id"].as_str().and_then(|id| uuid::Uuid::parse_str(id).ok());
    soak.tally.answered(id.unwrap_or_default().as_u128(), allow, reason);
    if reason == expected && allow == (expected == "global_token.read") {
        soak.tally.count("reasons", reason);
    } else if !allow && soak.is_stated(reason, asked, Instant::now()) {
        soak.tally.refused(reason);
    } else {
        soak.tally.count("wrong", "of a minted token");
        soak.tally.fail(format!("a minted token was answered {reason}, allow {allow}, and not {expected}"));
    }
}

async fn by_command_line(soak: Arc<Soak>, url: String) {
    let (mut turns, mut client) = (Turns::new(&soak, By::CommandLine), client(&soak));
    while soak.goes_on() {
        let (key, value) = turns.next(By::CommandLine, 1);
        let Key::Role(user, project) = key else { continue };
        soak.model.begin(key, value);
        let (user, project) = (format!("u{user}"), format!("p{project}"));
        let (own, begun) = (Arc::clone(&soak), Instant::now());
        let ran = tokio::task::spawn_blocking(move || {
            let role = if value == Role::Viewer as u8 { Role::Viewer } else { Role::Developer }.name();
            let put = ["collaborator", "put", &project, &user, "--role", role, "--json"];
            let remove = ["collaborator", "remove", &project, &user, "--json"];
            program::run(&own.program, &own.folder, if value == 0 { &remove } else { &put })
        });
        let ran = ran.await.expect("a command");
        let written: Option<Value> = serde_json::from_slice(&ran.stdout).ok();
        match written.and_then(|written| written["revision"].as_u64()) {
            Some(revision) if ran.status.success() => {
                soak.tally.count("changes", "by the command line");
                // Whoever waits for the revision sees the change.
                let seen = client.ask(&soak, question(key), Some(revision)).await;
                if seen.is_some_and(|answer| answer.reason != expected(&soak, key)) {
                    soak.tally.count("wrong", "older than min_revision");
                    soak.tally.fail(format!("{key:?} was answered from before revision {revision}"));
                }
                until_seen(
                    &soak,
                    &mut client,
                    key,
                    Instant::now(),
                    "a change by a command, asked about again",
                )
                .await;
            }
            _ => {
                let error = String::from_utf8_lossy(&ran.stderr).into_owned();
                if !soak.outages.overlap("Postgres", begun, Instant::now()) {
                    soak.tally.fail(format!("a command failed: {error}"));
                }
                soak.tally.count("changes", "by the command line, cut off by an outage");
                unknown(&soak, &url, &mut client, &mut turns, key).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(turns.random.random_range(1_000..4_000))).await;
    }
}
