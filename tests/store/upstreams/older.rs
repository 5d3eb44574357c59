//! A database with rows that are older than the rules of credentials.

use regate::store::{ConnectOptions, StoreError, upstreams::UpstreamChange};
use sqlx::{Connection, PgConnection, SqliteConnection};

use super::tenant;
use crate::harness::postgres;

const ROWS: &str =
    "insert into upstreams (id, url, credential, allow_all) values ('old', 'stdio:x', 'shared', true)";

/// The tables as they were before, with a row that the new rules refuse.
async fn migrate_old(url: &str) {
    let old = |name: &str, kind: &str| {
        let path = format!("{}/migrations/{kind}/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    if url.starts_with("postgres") {
        let mut connection = PgConnection::connect(url).await.unwrap();
        for name in ["0001_decision_data.sql", "0002_live_data.sql"] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(old(name, "postgres"))).execute(&mut connection).await.unwrap();
        }
        sqlx::raw_sql(ROWS).execute(&mut connection).await.unwrap();
    } else {
        let mut connection = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.unwrap();
        for name in ["0001_decision_data.sql", "0002_live_data.sql"] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(old(name, "sqlite"))).execute(&mut connection).await.unwrap();
        }
        sqlx::raw_sql(ROWS).execute(&mut connection).await.unwrap();
        let new = old("0003_upstream_credentials.sql", "sqlite");
        sqlx::raw_sql(sqlx::AssertSqlSafe(new)).execute(&mut connection).await.unwrap();
        return;
    }
    let mut connection = PgConnection::connect(url).await.unwrap();
    let new = old("0003_upstream_credentials.sql", "postgres");
    sqlx::raw_sql(sqlx::AssertSqlSafe(new)).execute(&mut connection).await.unwrap();
}

/// It is taken over as it is, loaded, and set right by whoever changes it.
#[tokio::test]
async fn an_upstream_that_is_older_than_the_rule_stays_until_it_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}", folder.path().join("old.sqlite").display());
    for url in [file, postgres::new_database().await] {
        migrate_old(&url).await;
        let store = regate::store::connect(&url, ConnectOptions::default()).await.unwrap();
        let row = store.upstream(&tenant("default"), "old").await.unwrap().value;
        assert_eq!((row.url.as_str(), row.value_headers, row.has_client_secret), ("stdio:x", None, false));
        let change = |url: &str| UpstreamChange { url: Some(url.to_owned()), ..UpstreamChange::default() };
        let refused = store.put_upstream(&tenant("default"), "old", &change("stdio:y")).await.unwrap_err();
        assert!(
            matches!(&refused, StoreError::Rejected { rule } if rule.ends_with("is_reached_by_http")),
            "{refused:?}"
        );
        assert!(store.put_upstream(&tenant("default"), "old", &change("https://x")).await.unwrap().changed);
        store.close().await;
    }
}
