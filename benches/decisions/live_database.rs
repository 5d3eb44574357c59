//! The database of the benchmark: a Postgres of its own, filled by SQL as another program would.

use std::time::Instant;

use regate::store::{self, ConnectOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{postgres::Server, world::PROJECT_SIZE};

/// What a server of this size is given. What makes a commit last (fsync, synchronous_commit) stays on,
/// as it is by default.
const SETTINGS: [&str; 3] = ["shared_buffers=512MB", "max_wal_size=8GB", "checkpoint_timeout=30min"];

/// Starts the Postgres. It ends with this, or with this process.
pub fn start() -> Server {
    Server::start(&SETTINGS)
}

/// Makes a database with regate's tables and the rows of `world::snapshot(rows)`, triggers on. Gives its
/// URL, and how long each table took.
pub async fn filled(server: &Server, name: &str, rows: usize) -> (String, String) {
    let url = empty(server, name).await;
    let projects = rows.div_ceil(PROJECT_SIZE);
    let middle = rows / 2;
    let series = |count: usize| format!("from generate_series(0, {count} - 1) as n");
    // The hash of a token whose secret is this SQL text.
    let hash = |secret: &str| format!("encode(sha256(convert_to({secret}, 'UTF8')), 'hex')");
    let fill = async |into: &str, rows: usize, what: String| {
        let table = into.split(' ').next().unwrap_or(into);
        let begun = Instant::now();
        let mut connection = PgConnection::connect(&url).await.expect("a connection");
        let sql = AssertSqlSafe(format!("insert into {into} {what}"));
        let done = connection.execute(sql).await.expect("to fill a table");
        assert_eq!(done.rows_affected(), rows as u64, "{table}");
        connection.close().await.expect("to close");
        format!("{rows} {table} in {:.1} s", begun.elapsed().as_secs_f64())
    };
    let users = fill("users (id)", rows, format!("select 'user-' || n {}", series(rows))).await;
    let select = format!("select 'project-' || n, 'project-' || n {}", series(projects));
    let projects = fill("projects (id, name)", projects, select).await;
    let collaborators =
        format!("select 'project-' || n / {PROJECT_SIZE}, 'user-' || n, 'developer' {}", series(rows));
    let tokens = format!(
        "select 'global-' || n, 'global', 'benchmark', {}, 'user-' || n, true {}",
        hash("'global-token-' || n"),
        series(rows)
    );
    let token = format!(
        "values ('mcp-{middle}', 'mcp', 'benchmark', {}, 'user-{middle}', true)",
        hash(&format!("'mcp-token-{middle}'"))
    );
    let columns = "tokens (id, kind, name, sha256, user_id, scope_pull)";
    let (collaborators, tokens, _) = tokio::join!(
        fill("collaborators (project_id, user_id, role)", rows, collaborators),
        fill(columns, rows, tokens),
        fill(columns, 1, token)
    );
    let mut connection = PgConnection::connect(&url).await.expect("a connection");
    // Now, and not at some time during what is measured.
    connection.execute("vacuum analyze").await.expect("to vacuum");
    connection.execute("checkpoint").await.expect("a checkpoint");
    connection.close().await.expect("to close");
    (url, [users, projects, collaborators, tokens].join(", "))
}

/// Makes a database with regate's tables and no rows.
pub async fn empty(server: &Server, name: &str) -> String {
    let url = server.new_database(name).await;
    let store = store::connect(&url, ConnectOptions::default()).await.expect("a store");
    store.migrate().await.expect("the tables");
    store.close().await;
    url
}

/// Notifications, switched off for as long as it takes: what a pooler does to them that loses them.
pub struct Silenced {
    url: String,
    function: String,
}

impl Silenced {
    /// Replaces the function that commits call by one that announces nothing.
    pub async fn new(url: &str) -> Self {
        let mut connection = PgConnection::connect(url).await.expect("a connection");
        let function: String =
            sqlx::query_scalar("select pg_get_functiondef(cast('take_data_revision' as regproc))")
                .fetch_one(&mut connection)
                .await
                .expect("the function");
        let announcement = "perform pg_notify('regate_data', number::text);";
        assert!(function.contains(announcement), "the function announces in another way: {function}");
        let silent = function.replace(announcement, "");
        connection.execute(AssertSqlSafe(silent)).await.expect("to replace the function");
        Self { url: url.to_owned(), function }
    }

    /// Puts the function back.
    pub async fn end(self) {
        let mut connection = PgConnection::connect(&self.url).await.expect("a connection");
        connection.execute(AssertSqlSafe(self.function)).await.expect("to put the function back");
    }
}
