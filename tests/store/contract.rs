//! What every database must do: the schema, reading, importing.

use std::collections::BTreeMap;

use regate::{
    decision::facts::{
        Collaborator, CredentialMode, Fact, Grant, Project, ProjectRole, Token, Upstream, User, UserRole,
    },
    store::{ConnectOptions, StoreError, import::ImportError},
    types::{TenantId, TokenKind},
};

use super::database::{TestDatabase, hash, on_both_databases};

on_both_databases![
    migrating_again_does_nothing,
    migrating_from_many_processes_at_once_happens_once,
    a_database_without_tables_says_what_to_do,
    load_gives_what_import_wrote_in_order,
    two_tenants_use_the_same_ids,
    importing_again_changes_nothing,
    an_import_updates_what_differs_and_leaves_the_rest,
    an_import_with_a_problem_writes_nothing,
    an_import_never_revives_a_revoked_token,
    a_revoked_token_keeps_its_hash_so_that_nobody_else_can_take_it,
    a_list_of_tools_is_loaded_and_an_unreadable_one_is_empty,
    a_disabled_user_stays_so_unless_the_document_says_otherwise,
    load_sees_one_moment,
    unreadable_data_is_read_in_the_narrower_direction,
    a_value_that_no_constraint_would_pass_stops_the_load,
    removing_rows_removes_what_refers_to_them,
];

fn tenant(id: &str) -> TenantId {
    TenantId::try_from(id).unwrap()
}

fn full_document() -> String {
    format!(
        r#"{{"tenants": [{{"id": "acme"}}],
             "users": [{{"id": "u1", "role": "admin", "tenant": "acme", "disabled": true}}, {{"id": "u1"}}],
             "projects": [{{"id": "p1", "name": "one", "public": true, "tenant": "acme"}}, {{"id": "p1"}}],
             "collaborators": [{{"project_id": "p1", "user_id": "u1", "role": "developer"}}],
             "tokens": [
               {{"id": "t1", "kind": "global", "name": "ci", "user_id": "u1", "sha256": "{}",
                 "scope_pull": true, "scope_push": true, "allow_trigger": true, "prefix": "rgt_global_a",
                 "projects": {{"p1": "2030-01-01T00:00:00.9Z", "p2": null}},
                 "expires_at": "2031-01-01T02:00:00.999+02:00"}},
               {{"id": "t2", "kind": "gateway", "name": "edge", "tenant": null, "sha256": "{}"}},
               {{"id": "t3", "kind": "project", "name": "old", "tenant": "acme", "project_id": "p1",
                 "sha256": "{}", "projects": [], "revoked_at": "2020-01-01T00:00:00Z"}}],
             "upstreams": [{{"id": "github", "url": "https://mcp.example/github", "credential": "per_user"}}],
             "grants": [{{"token_id": "t1", "upstream_id": "github"}}]}}"#,
        hash(1),
        hash(2).to_uppercase(),
        hash(3)
    )
}

async fn migrating_again_does_nothing(database: TestDatabase) {
    let fresh = if database.is_postgres() {
        crate::harness::postgres::new_database().await
    } else {
        "sqlite::memory:".to_owned()
    };
    let store = regate::store::connect(&fresh, ConnectOptions::default()).await.unwrap();
    assert_eq!(
        store.migrate().await.unwrap(),
        ["0001_decision_data", "0002_live_data", "0003_upstream_credentials", "0004_decision_log"]
    );
    assert_eq!(store.migrate().await.unwrap(), [""; 0]);
    store.ping().await.unwrap();
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
}

async fn migrating_from_many_processes_at_once_happens_once(database: TestDatabase) {
    let url = if database.is_postgres() {
        crate::harness::postgres::new_database().await
    } else {
        database.url.replace("regate.sqlite", "other.sqlite")
    };
    let migrate = |url: String| async move {
        let store = regate::store::connect(&url, ConnectOptions::default()).await.unwrap();
        store.migrate().await.unwrap().len()
    };
    let tasks: Vec<_> = (0..6).map(|_| tokio::spawn(migrate(url.clone()))).collect();
    let mut applied = 0;
    for task in tasks {
        applied += task.await.unwrap();
    }
    assert_eq!(applied, 4);
}

async fn a_database_without_tables_says_what_to_do(database: TestDatabase) {
    let url = if database.is_postgres() {
        crate::harness::postgres::new_database().await
    } else {
        "sqlite::memory:".to_owned()
    };
    let store = regate::store::connect(&url, ConnectOptions::default()).await.unwrap();
    let error = store.load(&mut |_| {}).await.unwrap_err();
    assert!(matches!(error, StoreError::NotMigrated(_)), "{error:?}");
}

async fn load_gives_what_import_wrote_in_order(database: TestDatabase) {
    let report = database.import(&full_document()).await;
    assert_eq!(report.changed(), 11);
    let (facts, revision) = database.facts().await;
    assert_eq!(revision, report.revision);
    assert_eq!(revision.0, 1);

    let place = |fact: &Fact| match fact {
        Fact::Tenant(_) => 0,
        Fact::User(_) => 1,
        Fact::Project(_) => 2,
        Fact::Collaborator(_) => 3,
        Fact::Token(_) => 4,
        Fact::Upstream(_) => 5,
        Fact::Grant(_) => 6,
        Fact::Credential(_) => 7,
    };
    assert!(facts.is_sorted_by_key(place));

    let default = TenantId::default_tenant;
    let token = |id: &str, kind, number| Token {
        id: id.into(),
        tenant: None,
        kind,
        sha256: hash(number).parse().unwrap(),
        user_id: None,
        project_id: None,
        scope_pull: false,
        scope_push: false,
        allow_trigger: false,
        projects: None,
        tools: None,
        expires_at: None,
        revoked: false,
    };
    let expected = [
        Fact::Tenant(tenant("acme")),
        Fact::Tenant(default()),
        Fact::User(User { tenant: tenant("acme"), id: "u1".into(), role: UserRole::Admin, disabled: true }),
        Fact::User(User { tenant: default(), id: "u1".into(), role: UserRole::User, disabled: false }),
        Fact::Project(Project { tenant: tenant("acme"), id: "p1".into(), name: "one".into(), public: true }),
        Fact::Project(Project { tenant: default(), id: "p1".into(), name: "p1".into(), public: false }),
        Fact::Collaborator(Collaborator {
            tenant: default(),
            project_id: "p1".into(),
            user_id: "u1".into(),
            role: ProjectRole::Developer,
        }),
        Fact::Token(Token {
            tenant: Some(default()),
            user_id: Some("u1".into()),
            scope_pull: true,
            scope_push: true,
            allow_trigger: true,
            projects: Some(BTreeMap::from([("p1".into(), Some(1_893_456_000)), ("p2".into(), None)])),
            expires_at: Some(1_924_992_000),
            ..token("t1", TokenKind::Global, 1)
        }),
        Fact::Token(token("t2", TokenKind::Gateway, 2)),
        Fact::Token(Token {
            tenant: Some(tenant("acme")),
            project_id: Some("p1".into()),
            // Of a dead token no decision reads it.
            projects: None,
            revoked: true,
            ..token("t3", TokenKind::Project, 3)
        }),
        Fact::Upstream(Upstream {
            credential: CredentialMode::PerUser,
            ..Upstream::new(default(), "github")
        }),
        Fact::Grant(Grant { tenant: default(), token_id: "t1".into(), upstream_id: "github".into() }),
    ];
    for fact in &expected {
        assert!(facts.contains(fact), "missing {fact:?} in {facts:#?}");
    }
    assert_eq!(facts.len(), expected.len());
}

async fn two_tenants_use_the_same_ids(database: TestDatabase) {
    let document = r#"{"tenants": [{"id": "a"}, {"id": "b"}],
        "users": [{"id": "u", "tenant": "a"}, {"id": "u", "tenant": "b"}],
        "projects": [{"id": "p", "tenant": "a"}, {"id": "p", "tenant": "b"}],
        "collaborators": [{"tenant": "a", "project_id": "p", "user_id": "u", "role": "viewer"},
                          {"tenant": "b", "project_id": "p", "user_id": "u", "role": "owner"}],
        "upstreams": [{"id": "x", "url": "https://a", "tenant": "a"}, {"id": "x", "url": "https://b", "tenant": "b"}]}"#;
    assert_eq!(database.import(document).await.changed(), 10);
    let (facts, _) = database.facts().await;
    for (id, role) in [("a", ProjectRole::Viewer), ("b", ProjectRole::Owner)] {
        assert!(facts.contains(&Fact::Collaborator(Collaborator {
            tenant: tenant(id),
            project_id: "p".into(),
            user_id: "u".into(),
            role,
        })));
    }
}

async fn importing_again_changes_nothing(database: TestDatabase) {
    let first = database.import(&full_document()).await;
    let before = database.facts().await;
    let second = database.import(&full_document()).await;
    assert_eq!(second.changed(), 0);
    assert_eq!(second.tables.iter().map(|table| table.unchanged).sum::<usize>(), 11);
    assert_eq!(second.revision, first.revision);
    assert_eq!(database.facts().await, before);
}

async fn an_import_updates_what_differs_and_leaves_the_rest(database: TestDatabase) {
    database.import(&full_document()).await;
    let document = format!(
        r#"{{"users": [{{"id": "u1", "role": "viewer"}}, {{"id": "u2"}}],
             "tokens": [{{"id": "t1", "kind": "mcp", "name": "renamed", "sha256": "{}"}}],
             "grants": [{{"token_id": "t1", "upstream_id": "github"}}]}}"#,
        hash(9)
    );
    let report = database.import(&document).await;
    let counts: Vec<_> = report
        .tables
        .iter()
        .map(|table| (table.table, table.inserted, table.updated, table.unchanged))
        .collect();
    assert_eq!(
        counts,
        [
            ("tenants", 0, 0, 0),
            ("users", 1, 1, 0),
            ("projects", 0, 0, 0),
            ("collaborators", 0, 0, 0),
            ("tokens", 0, 1, 0),
            ("upstreams", 0, 0, 0),
            ("grants", 0, 0, 1),
        ]
    );
    assert_eq!(report.revision.0, 2);
    // A prefix that is left out is kept; a limit that is left out is lifted, as the document says.
    assert_eq!(database.text("select prefix from tokens where id = 't1'").await, "rgt_global_a");
    assert_eq!(
        database
            .text("select kind from tokens where id = 't1' and projects is null and user_id is null")
            .await,
        "mcp"
    );
    assert_eq!(database.facts().await.0.len(), 13);
}

async fn an_import_with_a_problem_writes_nothing(database: TestDatabase) {
    database.import(&full_document()).await;
    let before = database.facts().await;
    let (fresh, moved, taken) = (hash(7), hash(8), hash(1));
    let document = format!(
        r#"{{"tenants": [{{"id": "new"}}],
             "users": [{{"id": "u9"}}, {{"id": "u8", "tenant": "nowhere"}}],
             "collaborators": [{{"project_id": "p1", "user_id": "u9", "role": "viewer"}},
                               {{"project_id": "p9", "user_id": "u1", "role": "viewer"}},
                               {{"project_id": "p1", "user_id": "u1", "role": "viewer", "tenant": "new"}}],
             "tokens": [{{"id": "t7", "kind": "global", "name": "n", "user_id": "u404", "sha256": "{fresh}"}},
                        {{"id": "t3", "kind": "admin", "name": "n", "sha256": "{moved}"}},
                        {{"id": "t8", "kind": "admin", "name": "n", "sha256": "{taken}"}}],
             "grants": [{{"token_id": "t2", "upstream_id": "github"}}, {{"token_id": "t1", "upstream_id": "x"}}]}}"#
    );
    let mut places = database.import_problems(&document).await;
    places.sort();
    assert_eq!(
        places,
        [
            "collaborators[1].project_id",
            "collaborators[2].project_id",
            "collaborators[2].user_id",
            "grants[0].token_id",
            "grants[1].upstream_id",
            "tokens[0].user_id",
            "tokens[1].id",
            "tokens[2].sha256",
            "users[1].tenant",
        ]
    );
    assert_eq!(database.facts().await, before);
    let Err(ImportError::Invalid(problems)) = database.try_import(&document).await else { panic!() };
    let shown = format!("{problems} {problems:?}");
    assert!(!shown.contains(&taken), "{shown}");
}

async fn a_revoked_token_keeps_its_hash_so_that_nobody_else_can_take_it(database: TestDatabase) {
    let token = |id: &str, number, revoked: &str| {
        format!(
            r#"{{"tokens": [{{"id": "{id}", "kind": "admin", "name": "n", "sha256": "{}", "revoked_at": {revoked}}}]}}"#,
            hash(number)
        )
    };
    database.import(&token("t1", 1, r#""2020-01-01T00:00:00Z""#)).await;
    assert_eq!(database.import(&token("t1", 2, "null")).await.changed(), 0);
    assert_eq!(database.import_problems(&token("t2", 1, "null")).await, ["tokens[0].sha256"]);
    // A live token may be given another one.
    database.import(&token("t3", 3, "null")).await;
    assert_eq!(database.import(&token("t3", 4, "null")).await.changed(), 1);
}

async fn a_list_of_tools_is_loaded_and_an_unreadable_one_is_empty(database: TestDatabase) {
    let token = |id: &str, number, tools: &str| {
        format!(
            r#"{{"id": "{id}", "kind": "mcp", "name": "n", "sha256": "{}", "tools": {tools}}}"#,
            hash(number)
        )
    };
    let tokens = [
        token("t1", 1, "null"),
        token("t2", 2, r#"["search", "read"]"#),
        token("t3", 3, "[]"),
        token("t4", 4, "[]"),
    ];
    database.import(&format!(r#"{{"tokens": [{}]}}"#, tokens.join(","))).await;
    database.execute(r#"update tokens set tools = '["search", 5]' where id = 't4'"#).await.unwrap();
    let mut loaded: Vec<_> = database
        .facts()
        .await
        .0
        .into_iter()
        .filter_map(|fact| match fact {
            Fact::Token(token) => Some((token.id, token.tools, token.revoked)),
            _ => None,
        })
        .collect();
    loaded.sort();
    let list = |tools: &[&str]| Some(tools.iter().map(|tool| (*tool).to_owned()).collect());
    let expected = [("t1", None), ("t2", list(&["search", "read"])), ("t3", list(&[])), ("t4", list(&[]))];
    assert_eq!(loaded, expected.map(|(id, tools)| (id.to_owned(), tools, false)));
}

async fn an_import_never_revives_a_revoked_token(database: TestDatabase) {
    let document = |revoked: &str| {
        format!(
            r#"{{"tokens": [{{"id": "t", "kind": "admin", "name": "n", "sha256": "{}", "revoked_at": {revoked}}}]}}"#,
            hash(1)
        )
    };
    let revoked_at = "select cast(revoked_at as text) from tokens";
    database.import(&document("null")).await;
    assert_eq!(database.import(&document(r#""2020-01-01T00:00:00Z""#)).await.changed(), 1);
    let first = database.text(revoked_at).await;
    assert_eq!(database.import(&document("null")).await.changed(), 0);
    assert_eq!(database.import(&document(r#""2025-01-01T00:00:00Z""#)).await.changed(), 0);
    assert_eq!(database.text(revoked_at).await, first);
    assert_eq!(database.revision().await, 2);
}

async fn a_disabled_user_stays_so_unless_the_document_says_otherwise(database: TestDatabase) {
    let role = "select role from users where disabled";
    database.import(r#"{"users": [{"id": "u", "disabled": true}]}"#).await;
    database.import(r#"{"users": [{"id": "u", "role": "viewer"}]}"#).await;
    assert_eq!(database.text(role).await, "viewer");
    assert_eq!(database.import(r#"{"users": [{"id": "u", "role": "viewer"}]}"#).await.changed(), 0);
    database.import(r#"{"users": [{"id": "u", "role": "admin", "disabled": false}]}"#).await;
    assert_eq!(database.text("select role from users where not disabled").await, "admin");
}

async fn load_sees_one_moment(database: TestDatabase) {
    database.import(&full_document()).await;
    let TestDatabase { store, .. } = &database;
    let (sender, receiver) = std::sync::mpsc::channel();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let loading = tokio::spawn({
        let store = store.clone();
        async move {
            let mut grants = 0;
            let mut told = false;
            let revision = store
                .load(&mut |fact| {
                    if !told {
                        told = true;
                        sender.send(()).unwrap();
                        tokio::task::block_in_place(|| wait.lock().unwrap().recv()).unwrap();
                    }
                    grants += usize::from(matches!(fact, Fact::Grant(_)));
                })
                .await
                .unwrap();
            (grants, revision)
        }
    });
    tokio::task::block_in_place(|| receiver.recv()).unwrap();
    database.execute("delete from grants").await.unwrap();
    go_on.send(()).unwrap();
    let (grants, revision) = loading.await.unwrap();
    assert_eq!((grants, revision.0), (1, 1));
    assert_eq!(database.revision().await, 2);
}

async fn unreadable_data_is_read_in_the_narrower_direction(database: TestDatabase) {
    let insert = |number: u32, projects: &str| {
        format!(
            "insert into tokens (id, kind, name, sha256, projects) \
             values ('t{number}', 'mcp', 'n', '{}', '{projects}')",
            hash(number)
        )
    };
    // What the constraints let pass.
    database.execute(&insert(1, r#"{"a": "soon", "b": 4102444800, "c": null}"#)).await.unwrap();
    database.execute(&insert(2, r#"["a", 5, null]"#)).await.unwrap();
    database.execute(&insert(3, "{}")).await.unwrap();
    // What they do not.
    database.execute_unchecked("tokens_projects_is_an_array_or_an_object", &insert(4, r#""a""#)).await;
    database.execute_unchecked("tokens_expires_at_is_finite", "select 1").await;
    let never = if database.is_postgres() { "-infinity" } else { "when pigs fly" };
    database
        .execute_unchecked(
            "tokens_created_at_is_finite",
            &format!("update tokens set expires_at = '{never}' where id = 't3'"),
        )
        .await;

    let (facts, _) = database.facts().await;
    let tokens: BTreeMap<_, _> = facts
        .into_iter()
        .filter_map(|fact| match fact {
            Fact::Token(token) => Some((token.id.clone(), token)),
            _ => None,
        })
        .collect();
    let list = |entries: &[(&str, Option<i64>)]| {
        Some(entries.iter().map(|(id, expiry)| ((*id).to_owned(), *expiry)).collect::<BTreeMap<_, _>>())
    };
    assert_eq!(tokens["t1"].projects, list(&[("a", Some(0)), ("b", Some(0)), ("c", None)]));
    assert_eq!(tokens["t2"].projects, list(&[("a", None)]));
    assert_eq!(tokens["t3"].projects, list(&[]));
    assert_eq!(tokens["t4"].projects, list(&[]));
    assert!(tokens["t3"].expires_at.unwrap() <= 0);
    assert_eq!(tokens["t1"].expires_at, None);
}

async fn a_value_that_no_constraint_would_pass_stops_the_load(database: TestDatabase) {
    let secret = format!("{}Z", &hash(5)[1..]);
    let insert = |kind: &str| {
        format!("insert into tokens (id, kind, name, sha256) values ('t', '{kind}', 'n', '{secret}')")
    };
    database.execute_unchecked("tokens_sha256_is_64_lower_case_hex_digits", &insert("admin")).await;
    let error = database.store.load(&mut |_| {}).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { table: "tokens", .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains(&secret));
}

async fn removing_rows_removes_what_refers_to_them(database: TestDatabase) {
    database.import(&full_document()).await;
    database.execute("delete from users where tenant = 'default'").await.unwrap();
    let (facts, _) = database.facts().await;
    let gone = |fact: &Fact| {
        matches!(fact, Fact::Collaborator(_) | Fact::Grant(_))
            || matches!(fact, Fact::Token(token) if token.id == "t1")
    };
    assert!(!facts.iter().any(gone), "{facts:#?}");
    database.execute("delete from tenants where id = 'acme'").await.unwrap();
    let (facts, _) = database.facts().await;
    // The default tenant, its project and upstream, the gateway of all tenants.
    assert_eq!(facts.len(), 4, "{facts:#?}");
}
