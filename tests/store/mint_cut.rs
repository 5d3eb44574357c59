//! The database goes away in the middle of a mint: the token exists and the answer said so, or it does not exist, or
//! the answer said that nobody knows.

use std::collections::BTreeMap;

use regate::{
    store::{ConnectOptions, NewToken, StoreError, TokenFilter},
    types::{TenantId, Timestamp, TokenKind},
};

use super::database::hash;
use crate::harness::postgres::Postgres;

fn token(number: u32) -> NewToken {
    NewToken {
        id: format!("t{number}"),
        tenant: Some(TenantId::default_tenant()),
        kind: TokenKind::Mcp,
        name: "agent".into(),
        sha256: hash(number).parse().unwrap(),
        prefix: None,
        user_id: Some(format!("u{}", number % 4)),
        project_id: None,
        scope_pull: false,
        scope_push: false,
        projects: None,
        tools: None,
        expires_at: None,
        created_at: Timestamp::from_unix_seconds(0),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_exists_if_its_mint_said_so_whenever_the_database_is_killed() {
    let mut postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let url = postgres.new_database("mints").await;
    let options = ConnectOptions {
        max_connections: 4,
        acquire_timeout: std::time::Duration::from_secs(2),
        ..ConnectOptions::default()
    };
    let store = regate::store::connect(&url, options).await.unwrap();
    store.migrate().await.unwrap();
    let users = regate::store::import::parse(
        br#"{"users": [{"id": "u0"}, {"id": "u1"}, {"id": "u2"}, {"id": "u3"}]}"#,
    );
    let users = regate::store::import::check(&users.unwrap()).unwrap();
    store.import(&users, &mut |_| {}).await.unwrap();

    let mut answers = BTreeMap::new();
    let mut next = 0;
    for round in 0..3 {
        // Four at a time, without end, until the database is gone under them.
        let minting: Vec<_> = (0..4)
            .map(|lane| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut answers = Vec::new();
                    for number in (next + lane..).step_by(4) {
                        let answer = store.mint_token(&token(number), u32::MAX).await;
                        let failed = answer.is_err();
                        answers.push((number, answer));
                        if failed {
                            break;
                        }
                    }
                    answers
                })
            })
            .collect();
        let filter = TokenFilter { limit: 10_000, ..TokenFilter::default() };
        while store.list_tokens(&filter).await.unwrap().value.len() <= 40 * (round + 1) {
            assert!(!minting.iter().any(tokio::task::JoinHandle::is_finished), "a mint failed by itself");
        }
        postgres = tokio::task::spawn_blocking(move || {
            postgres.kill();
            postgres
        })
        .await
        .unwrap();
        for lane in minting {
            answers.extend(lane.await.unwrap());
        }
        next = answers.keys().max().unwrap() / 4 * 4 + 4;
        postgres = tokio::task::spawn_blocking(move || {
            postgres.start_again();
            postgres
        })
        .await
        .unwrap();
    }

    let filter = TokenFilter { limit: 100_000, ..TokenFilter::default() };
    let mut found = store.list_tokens(&filter).await;
    while matches!(found, Err(StoreError::Unavailable(_))) {
        found = store.list_tokens(&filter).await;
    }
    let found = found.unwrap();
    let mut revisions = Vec::new();
    for (number, answer) in &answers {
        let exists = found.value.iter().any(|row| row.id == format!("t{number}"));
        match answer {
            Ok(revision) => {
                assert!(exists, "t{number} was answered and is not there");
                revisions.push(revision.0);
            }
            // Who is told so may ask for it by its id, or mint another.
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => panic!("t{number}: {error:?}"),
        }
    }
    // Whole or not at all: each token has the one revision of its own, answered or not.
    assert_eq!(found.revision.0, 1 + u64::try_from(found.value.len()).unwrap());
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), answers.values().filter(|answer| answer.is_ok()).count());
    assert!(answers.values().filter(|answer| answer.is_err()).count() >= 3, "nothing was cut");
    store.close().await;
}
