//! A store to test, and a way to write behind its back.

use std::sync::Arc;

use regate::{
    decision::facts::Fact,
    store::{
        ConnectOptions, Store,
        import::{self, ImportError, ImportReport},
    },
    types::DataRevision,
};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool, sqlite::SqliteConnectOptions};

use crate::harness::postgres;

/// A migrated store, in a database of its own.
pub struct TestDatabase {
    pub store: Arc<dyn Store>,
    pub url: String,
    raw: Raw,
    _folder: Option<tempfile::TempDir>,
}

enum Raw {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl TestDatabase {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("regate.sqlite");
        let url = format!("sqlite://{}", file.display());
        let store = regate::store::connect(&url, ConnectOptions::default()).await.unwrap();
        let raw = SqliteConnectOptions::new().filename(&file).foreign_keys(true);
        let raw = Raw::Sqlite(SqlitePool::connect_with(raw).await.unwrap());
        Self { store, url, raw, _folder: Some(folder) }.migrated().await
    }

    pub async fn postgres() -> Self {
        Self::postgres_at(postgres::new_database().await, ConnectOptions::default()).await
    }

    /// In a database that is there, empty so far.
    pub async fn postgres_at(url: String, options: ConnectOptions) -> Self {
        let store = regate::store::connect(&url, options).await.unwrap();
        let raw = Raw::Postgres(PgPool::connect(&url).await.unwrap());
        Self { store, url, raw, _folder: None }.migrated().await
    }

    async fn migrated(self) -> Self {
        self.store.migrate().await.unwrap();
        self
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self.raw, Raw::Postgres(_))
    }

    /// Runs SQL as another program would.
    pub async fn execute(&self, sql: &str) -> Result<u64, sqlx::Error> {
        let sql = AssertSqlSafe(sql);
        Ok(match &self.raw {
            Raw::Sqlite(pool) => sqlx::raw_sql(sql).execute(pool).await?.rows_affected(),
            Raw::Postgres(pool) => sqlx::raw_sql(sql).execute(pool).await?.rows_affected(),
        })
    }

    /// Runs SQL with the constraints of `tokens` out of the way, as they were in an older database.
    pub async fn execute_unchecked(&self, dropped: &str, sql: &str) {
        let prepare = match &self.raw {
            Raw::Sqlite(_) => "pragma ignore_check_constraints = on".to_owned(),
            Raw::Postgres(_) => format!("alter table tokens drop constraint {dropped}"),
        };
        self.execute(&format!("{prepare}; {sql}")).await.unwrap();
    }

    /// The one text that a query gives.
    pub async fn text(&self, sql: &str) -> String {
        let sql = AssertSqlSafe(sql);
        match &self.raw {
            Raw::Sqlite(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
            Raw::Postgres(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
        }
    }

    /// The texts of a query's one column.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql);
        match &self.raw {
            Raw::Sqlite(pool) => sqlx::query_scalar(sql).fetch_all(pool).await.unwrap(),
            Raw::Postgres(pool) => sqlx::query_scalar(sql).fetch_all(pool).await.unwrap(),
        }
    }

    /// Everything that the store loads, and its revision.
    pub async fn facts(&self) -> (Vec<Fact>, DataRevision) {
        let mut facts = Vec::new();
        let revision = self.store.load(&mut |fact| facts.push(fact)).await.unwrap();
        (facts, revision)
    }

    pub async fn revision(&self) -> u64 {
        self.facts().await.1.0
    }

    /// Imports a document that has no problem of its own.
    pub async fn try_import(&self, document: &str) -> Result<ImportReport, ImportError> {
        let document = import::check(&import::parse(document.as_bytes()).unwrap()).unwrap();
        self.store.import(&document, &mut |_| {}).await
    }

    pub async fn import(&self, document: &str) -> ImportReport {
        self.try_import(document).await.unwrap()
    }

    /// The places of the problems that the store finds in a document.
    pub async fn import_problems(&self, document: &str) -> Vec<String> {
        match self.try_import(document).await {
            Err(ImportError::Invalid(problems)) => {
                problems.shown().iter().map(|problem| problem.place.clone()).collect()
            }
            other => panic!("expected problems, got {other:?}"),
        }
    }
}

/// A hash that differs for each number.
pub fn hash(number: u32) -> String {
    format!("{number:064x}")
}

/// Makes each test of a list twice: `sqlite::NAME` and `postgres::NAME`.
macro_rules! on_both_databases {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::store::database::TestDatabase::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::store::database::TestDatabase::postgres().await).await;
            })+
        }
    };
}
pub(crate) use on_both_databases;
