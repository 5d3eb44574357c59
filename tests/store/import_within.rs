//! Documents of one tenant's operator.

use regate::{
    store::import::{self, ImportError, Problems},
    types::TenantId,
};
use sqlx::Connection;

use super::database::{TestDatabase, hash, on_both_databases};

on_both_databases![
    rows_that_leave_the_tenant_out_are_of_the_one_who_imports,
    what_another_tenant_has_looks_like_what_ones_own_tenant_has,
    a_token_that_another_tenant_makes_meanwhile_is_left_as_it_is,
];

fn acme() -> TenantId {
    TenantId::try_from("acme").unwrap()
}

fn check(document: &str) -> Result<import::CheckedDocument, Problems> {
    import::check_within(import::parse(document.as_bytes()).unwrap(), &acme())
}

async fn import_within(database: &TestDatabase, document: &str) -> Result<usize, Problems> {
    let document = check(document).unwrap();
    match database.store.import(&document, &mut |_| {}).await {
        Ok(report) => Ok(report.changed()),
        Err(ImportError::Invalid(problems)) => Err(problems),
        Err(error) => panic!("{error:?}"),
    }
}

/// A document of one admin token with `fields` besides.
fn token(id: &str, number: u32, fields: &str) -> String {
    format!(
        r#"{{"tokens": [{{"id": "{id}", "kind": "admin", "name": "n", "sha256": "{}"{fields}}}]}}"#,
        hash(number)
    )
}

#[test]
fn a_row_of_another_tenant_is_a_problem_with_its_place() {
    let user = r#""user_id": "u""#;
    let table = [
        (r#"{"tenants": [{"id": "acme"}, {"id": "other"}]}"#.to_owned(), "tenants[1].id"),
        (r#"{"users": [{"id": "u"}, {"id": "u", "tenant": "default"}]}"#.to_owned(), "users[1].tenant"),
        (r#"{"projects": [{"id": "p", "tenant": "other"}]}"#.to_owned(), "projects[0].tenant"),
        (
            format!(
                r#"{{"collaborators": [{{"tenant": "other", "project_id": "p", {user}, "role": "viewer"}}]}}"#
            ),
            "collaborators[0].tenant",
        ),
        (token("t", 1, r#", "tenant": "other""#), "tokens[0].tenant"),
        (token("t", 1, r#", "tenant": null"#), "tokens[0].tenant"),
        (
            token("t", 1, "").replace("admin", "gateway").replace("}]", r#", "tenant": null}]"#),
            "tokens[0].tenant",
        ),
        (r#"{"upstreams": [{"id": "x", "url": "u", "tenant": "other"}]}"#.to_owned(), "upstreams[0].tenant"),
        (
            r#"{"grants": [{"token_id": "t", "upstream_id": "x", "tenant": "other"}]}"#.to_owned(),
            "grants[0].tenant",
        ),
        // Not a tenant's id, and the same row twice: as in any import.
        (r#"{"users": [{"id": "u", "tenant": "?"}]}"#.to_owned(), "users[0].tenant"),
        (r#"{"tenants": [{"id": "_a"}]}"#.to_owned(), "tenants[0].id"),
        (r#"{"users": [{"id": "u"}, {"id": "u", "tenant": "acme"}]}"#.to_owned(), "users[1].id"),
    ];
    for (document, place) in table {
        let problems = check(&document).unwrap_err();
        let shown: Vec<_> = problems.shown().iter().map(|problem| problem.place.as_str()).collect();
        assert_eq!(shown, [place], "{document}\n{problems}");
    }
    // What else is wrong is found as well.
    let both = check(r#"{"users": [{"id": "u", "tenant": "other", "role": "x"}]}"#).unwrap_err();
    assert_eq!(both.count(), 2, "{both}");
    assert!(check(&token("t", 1, r#", "tenant": "acme""#)).is_ok());
}

async fn rows_that_leave_the_tenant_out_are_of_the_one_who_imports(database: TestDatabase) {
    database.import(r#"{"tenants": [{"id": "acme"}]}"#).await;
    let document = format!(
        r#"{{"tenants": [{{"id": "acme"}}], "users": [{{"id": "u"}}], "projects": [{{"id": "p"}}],
             "collaborators": [{{"project_id": "p", "user_id": "u", "role": "viewer"}}],
             "tokens": [{{"id": "g", "kind": "gateway", "name": "n", "sha256": "{}"}},
                        {{"id": "t", "kind": "mcp", "name": "n", "sha256": "{}", "tenant": "acme"}}],
             "upstreams": [{{"id": "x", "url": "u"}}], "grants": [{{"token_id": "t", "upstream_id": "x"}}]}}"#,
        hash(1),
        hash(2)
    );
    assert_eq!(import_within(&database, &document).await, Ok(7));
    for table in ["users", "projects", "collaborators", "tokens", "upstreams", "grants"] {
        let tenants = format!("select min(tenant) || ' ' || max(tenant) from {table}");
        assert_eq!(database.text(&tenants).await, "acme acme", "{table}");
    }
    assert_eq!(import_within(&database, &document).await, Ok(0));
    // A user of the default tenant is nobody here.
    database.import(r#"{"users": [{"id": "v"}], "projects": [{"id": "q"}]}"#).await;
    let references = r#"{"collaborators": [{"project_id": "q", "user_id": "v", "role": "viewer"}]}"#;
    assert_eq!(import_within(&database, references).await.unwrap_err().count(), 2);
}

async fn what_another_tenant_has_looks_like_what_ones_own_tenant_has(database: TestDatabase) {
    database.import(r#"{"tenants": [{"id": "acme"}, {"id": "other"}]}"#).await;
    database.import(&token("theirs", 1, r#", "tenant": "other""#)).await;
    database.import(&token("gateway", 2, r#", "tenant": null"#).replace("admin", "gateway")).await;
    database.import(&token("ours", 3, r#", "tenant": "acme""#)).await;
    let before = database.facts().await;
    let refused = async |id, number| import_within(&database, &token(id, number, "")).await.unwrap_err();
    let by_hash = refused("new", 3).await;
    assert_eq!(by_hash, refused("new", 1).await);
    assert_eq!(by_hash, refused("new", 2).await);
    let by_id = refused("theirs", 9).await;
    assert_eq!(by_id, refused("gateway", 9).await);
    for problems in [by_hash, by_id] {
        let said = problems.to_string();
        assert!(!said.contains("tenant") && !said.contains("gateway") && problems.count() == 1, "{said}");
    }
    assert_eq!(database.facts().await, before);
}

async fn a_token_that_another_tenant_makes_meanwhile_is_left_as_it_is(database: TestDatabase) {
    if !database.is_postgres() {
        // SQLite has one writer at a time.
        return;
    }
    database.import(r#"{"tenants": [{"id": "acme"}, {"id": "other"}]}"#).await;
    let mut other = sqlx::PgConnection::connect(&database.url).await.unwrap();
    let insert = format!(
        "begin; insert into tokens (id, tenant, kind, name, sha256) values ('t', 'other', 'admin', 'n', '{}')",
        hash(1)
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(insert)).execute(&mut other).await.unwrap();
    let importing = {
        let (store, document) = (database.store.clone(), check(&token("t", 2, "")).unwrap());
        tokio::spawn(async move { store.import(&document, &mut |_| {}).await })
    };
    let waiting = "select cast(count(*) as text) from pg_locks where not granted \
                   and pid in (select pid from pg_stat_activity where datname = current_database())";
    while database.text(waiting).await == "0" {
        tokio::task::yield_now().await;
    }
    sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    let refused = importing.await.unwrap();
    assert!(matches!(&refused, Err(ImportError::Invalid(problems)) if problems.count() == 1), "{refused:?}");
    assert_eq!(
        database.text("select tenant || ' ' || sha256 from tokens").await,
        format!("other {}", hash(1))
    );
}
