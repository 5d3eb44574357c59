//! Users, projects and collaborators one at a time.

use regate::{
    decision::facts::{Collaborator, Fact, Project, ProjectRole, User, UserRole},
    store::{
        CollaboratorFilter, ProjectChange, ProjectFilter, Store, StoreError, UserChange, UserFilter, Written,
    },
    types::{DataRevision, TenantId},
};

use super::database::{TestDatabase, on_both_databases};

on_both_databases![
    a_user_is_made_changed_read_and_removed,
    a_project_is_made_changed_read_and_removed,
    a_collaborator_is_made_changed_read_and_removed,
    rows_that_refer_nowhere_are_refused_and_say_which,
    lists_are_filtered,
    lists_are_paged_without_a_gap_and_without_a_double,
    a_row_that_goes_while_another_refers_to_it_is_missed_by_its_name,
    removing_from_both_ends_at_once_succeeds,
];

fn tenant(id: &str) -> TenantId {
    TenantId::try_from(id).unwrap()
}

/// Puts all that a user is.
async fn put_user(store: &dyn Store, user: &User) -> Result<Written, StoreError> {
    let change = UserChange { role: Some(user.role), disabled: Some(user.disabled) };
    store.put_user(&user.tenant, &user.id, &change).await
}

/// Puts all that a project is.
async fn put_project(store: &dyn Store, project: &Project) -> Result<Written, StoreError> {
    let change = ProjectChange { name: Some(project.name.clone()), public: Some(project.public) };
    store.put_project(&project.tenant, &project.id, &change).await
}

fn user(id: &str) -> User {
    User { tenant: tenant("a"), id: id.into(), role: UserRole::User, disabled: false }
}

fn project(id: &str) -> Project {
    Project { tenant: tenant("a"), id: id.into(), name: "one".into(), public: false }
}

fn member(project_id: &str, user_id: &str) -> Collaborator {
    Collaborator {
        tenant: tenant("a"),
        project_id: project_id.into(),
        user_id: user_id.into(),
        role: ProjectRole::Viewer,
    }
}

/// What a write that made, changed, or left a row gives.
fn made(revision: u64) -> Written {
    Written { revision: DataRevision(revision), created: true, changed: true }
}

fn changed(revision: u64) -> Written {
    Written { created: false, ..made(revision) }
}

fn same(revision: u64) -> Written {
    Written { changed: false, ..changed(revision) }
}

async fn with_tenants(database: &TestDatabase) {
    database.import(r#"{"tenants": [{"id": "a"}, {"id": "b"}]}"#).await;
}

fn is_missing<T: std::fmt::Debug>(found: Result<T, StoreError>, expected: &str) {
    assert!(matches!(&found, Err(StoreError::NotFound { what }) if *what == expected), "{found:?}");
}

async fn a_user_is_made_changed_read_and_removed(database: TestDatabase) {
    with_tenants(&database).await;
    let store = &database.store;
    assert_eq!(put_user(&**store, &user("u")).await.unwrap(), made(2));
    assert_eq!(put_user(&**store, &user("u")).await.unwrap(), same(2));
    let disabled = User { role: UserRole::Admin, disabled: true, ..user("u") };
    assert_eq!(put_user(&**store, &disabled).await.unwrap(), changed(3));
    assert_eq!(put_user(&**store, &disabled).await.unwrap(), same(3));
    let found = store.user(&tenant("a"), "u").await.unwrap();
    assert_eq!((found.revision, &found.value), (DataRevision(3), &disabled));
    // The same id in another tenant is another user.
    for (of, id) in [("b", "u"), ("a", "U"), ("a", "u "), ("nowhere", "u"), ("a", "' or 1=1 --")] {
        is_missing(store.user(&tenant(of), id).await, "user");
        is_missing(store.remove_user(&tenant(of), id).await, "user");
    }
    let other = User { tenant: tenant("b"), ..user("u") };
    assert_eq!(put_user(&**store, &other).await.unwrap(), made(4));
    assert_eq!(store.remove_user(&tenant("a"), "u").await.unwrap(), DataRevision(5));
    is_missing(store.remove_user(&tenant("a"), "u").await, "user");
    assert_eq!(store.user(&tenant("b"), "u").await.unwrap().value, other);
    assert_eq!(database.revision().await, 5);
}

async fn a_project_is_made_changed_read_and_removed(database: TestDatabase) {
    with_tenants(&database).await;
    let store = &database.store;
    assert_eq!(put_project(&**store, &project("p")).await.unwrap(), made(2));
    assert_eq!(put_project(&**store, &project("p")).await.unwrap(), same(2));
    let public = Project { public: true, name: String::new(), ..project("p") };
    assert_eq!(put_project(&**store, &public).await.unwrap(), changed(3));
    let found = store.project(&tenant("a"), "p").await.unwrap();
    assert_eq!((found.revision, found.value), (DataRevision(3), public));
    for (of, id) in [("b", "p"), ("a", "q")] {
        is_missing(store.project(&tenant(of), id).await, "project");
        is_missing(store.remove_project(&tenant(of), id).await, "project");
    }
    assert_eq!(store.remove_project(&tenant("a"), "p").await.unwrap(), DataRevision(4));
    is_missing(store.project(&tenant("a"), "p").await, "project");
}

async fn a_collaborator_is_made_changed_read_and_removed(database: TestDatabase) {
    with_tenants(&database).await;
    let store = &database.store;
    put_user(&**store, &user("u")).await.unwrap();
    put_project(&**store, &project("p")).await.unwrap();
    assert_eq!(store.put_collaborator(&member("p", "u")).await.unwrap(), made(4));
    assert_eq!(store.put_collaborator(&member("p", "u")).await.unwrap(), same(4));
    let owner = Collaborator { role: ProjectRole::Owner, ..member("p", "u") };
    assert_eq!(store.put_collaborator(&owner).await.unwrap(), changed(5));
    // A put of what it belongs to leaves it where it is.
    put_user(&**store, &User { role: UserRole::Viewer, ..user("u") }).await.unwrap();
    let found = store.collaborator(&tenant("a"), "p", "u").await.unwrap();
    assert_eq!((found.revision, found.value), (DataRevision(6), owner));
    for (of, project, user) in [("b", "p", "u"), ("a", "p", "v"), ("a", "q", "u"), ("a", "u", "p")] {
        is_missing(store.collaborator(&tenant(of), project, user).await, "collaborator");
        is_missing(store.remove_collaborator(&tenant(of), project, user).await, "collaborator");
    }
    assert_eq!(store.remove_collaborator(&tenant("a"), "p", "u").await.unwrap(), DataRevision(7));
    is_missing(store.remove_collaborator(&tenant("a"), "p", "u").await, "collaborator");

    store.put_collaborator(&member("p", "u")).await.unwrap();
    assert_eq!(store.remove_user(&tenant("a"), "u").await.unwrap(), DataRevision(9));
    is_missing(store.collaborator(&tenant("a"), "p", "u").await, "collaborator");
    let (facts, _) = database.facts().await;
    assert!(!facts.iter().any(|fact| matches!(fact, Fact::Collaborator(_))), "{facts:?}");
}

async fn rows_that_refer_nowhere_are_refused_and_say_which(database: TestDatabase) {
    with_tenants(&database).await;
    let store = &database.store;
    put_user(&**store, &user("u")).await.unwrap();
    put_project(&**store, &project("p")).await.unwrap();
    let nowhere = put_user(&**store, &User { tenant: tenant("c"), ..user("u") }).await;
    assert!(matches!(nowhere, Err(StoreError::UnknownReference { what: "tenant" })), "{nowhere:?}");
    let nowhere = put_project(&**store, &Project { tenant: tenant("c"), ..project("p") }).await;
    assert!(matches!(nowhere, Err(StoreError::UnknownReference { what: "tenant" })), "{nowhere:?}");
    for (row, missing) in [
        (member("q", "u"), "project"),
        (member("p", "v"), "user"),
        (member("q", "v"), "project"),
        // Both exist, in another tenant.
        (Collaborator { tenant: tenant("b"), ..member("p", "u") }, "project"),
    ] {
        let refused = store.put_collaborator(&row).await;
        assert!(
            matches!(&refused, Err(StoreError::UnknownReference { what }) if *what == missing),
            "{refused:?}"
        );
    }
    for id in [String::new(), "x".repeat(257)] {
        let refused = put_user(&**store, &user(&id)).await;
        let rule = "users_id_has_1_to_256_characters";
        assert!(
            matches!(&refused, Err(StoreError::Rejected { rule: named }) if named == rule),
            "{refused:?}"
        );
    }
    assert_eq!(database.revision().await, 3);
}

fn all_users() -> UserFilter {
    UserFilter { tenant: tenant("a"), role: None, disabled: None, after: None, limit: 250 }
}

fn all_projects() -> ProjectFilter {
    ProjectFilter { tenant: tenant("a"), public: None, member: None, after: None, limit: 250 }
}

fn all_members(project_id: &str) -> CollaboratorFilter {
    CollaboratorFilter {
        tenant: tenant("a"),
        project_id: project_id.into(),
        role: None,
        after: None,
        limit: 250,
    }
}

async fn lists_are_filtered(database: TestDatabase) {
    database
        .import(
            r#"{"tenants": [{"id": "a"}, {"id": "b"}],
                "users": [{"id": "u1", "tenant": "a"}, {"id": "u2", "tenant": "a", "role": "admin"},
                          {"id": "u3", "tenant": "a", "disabled": true}, {"id": "u9", "tenant": "b"}],
                "projects": [{"id": "p1", "tenant": "a"}, {"id": "p2", "tenant": "a", "public": true},
                             {"id": "p1", "tenant": "b"}],
                "collaborators": [
                    {"tenant": "a", "project_id": "p1", "user_id": "u2", "role": "owner"},
                    {"tenant": "a", "project_id": "p1", "user_id": "u1", "role": "viewer"},
                    {"tenant": "b", "project_id": "p1", "user_id": "u9", "role": "viewer"}]}"#,
        )
        .await;
    let store = &database.store;
    let users = async |filter: UserFilter| {
        let found = store.list_users(&filter).await.unwrap();
        assert_eq!(found.revision, DataRevision(1));
        found.value.into_iter().map(|user| user.id).collect::<Vec<_>>()
    };
    assert_eq!(users(all_users()).await, ["u1", "u2", "u3"]);
    assert_eq!(users(UserFilter { role: Some(UserRole::Admin), ..all_users() }).await, ["u2"]);
    assert_eq!(users(UserFilter { disabled: Some(true), ..all_users() }).await, ["u3"]);
    assert_eq!(users(UserFilter { disabled: Some(false), ..all_users() }).await, ["u1", "u2"]);
    assert_eq!(users(UserFilter { after: Some("u1x".into()), ..all_users() }).await, ["u2", "u3"]);
    assert_eq!(users(UserFilter { limit: 1, ..all_users() }).await, ["u1"]);
    assert_eq!(users(UserFilter { tenant: tenant("c"), ..all_users() }).await, [""; 0]);

    let projects = async |filter: ProjectFilter| {
        let found = store.list_projects(&filter).await.unwrap();
        assert_eq!(found.revision, DataRevision(1));
        found.value.into_iter().map(|project| project.id).collect::<Vec<_>>()
    };
    assert_eq!(projects(all_projects()).await, ["p1", "p2"]);
    assert_eq!(projects(ProjectFilter { public: Some(true), ..all_projects() }).await, ["p2"]);
    assert_eq!(projects(ProjectFilter { public: Some(false), ..all_projects() }).await, ["p1"]);
    assert_eq!(projects(ProjectFilter { member: Some("u1".into()), ..all_projects() }).await, ["p1"]);
    // A collaborator of the project of that name in another tenant is none here.
    assert_eq!(projects(ProjectFilter { member: Some("u9".into()), ..all_projects() }).await, [""; 0]);
    assert_eq!(projects(ProjectFilter { after: Some("p1".into()), ..all_projects() }).await, ["p2"]);

    let members = async |filter: CollaboratorFilter| {
        let found = store.list_collaborators(&filter).await.unwrap();
        assert_eq!(found.revision, DataRevision(1));
        found.value.into_iter().map(|row| row.user_id).collect::<Vec<_>>()
    };
    assert_eq!(members(all_members("p1")).await, ["u1", "u2"]);
    assert_eq!(members(all_members("p2")).await, [""; 0]);
    let owners = CollaboratorFilter { role: Some(ProjectRole::Owner), ..all_members("p1") };
    assert_eq!(members(owners).await, ["u2"]);
    assert_eq!(members(CollaboratorFilter { after: Some("u1".into()), ..all_members("p1") }).await, ["u2"]);
    is_missing(store.list_collaborators(&all_members("p9")).await, "project");
    let elsewhere = CollaboratorFilter { tenant: tenant("b"), ..all_members("p2") };
    is_missing(store.list_collaborators(&elsewhere).await, "project");
}

async fn lists_are_paged_without_a_gap_and_without_a_double(database: TestDatabase) {
    // More than two pages, in both cases and with signs that languages order in their own ways.
    let ids: Vec<String> = (0..620)
        .map(|n| format!("{}{}{n}", ["a", "B", "ä", "-", "Z z"][n % 5], ["", "_", "."][n % 3]))
        .collect();
    let rows = |extra: &str| -> String {
        let row = |id: &String| format!(r#"{{"id": {id:?}, "tenant": "a"{extra}}}"#);
        ids.iter().map(row).collect::<Vec<_>>().join(",")
    };
    let members = ids.iter().map(|id| {
        format!(r#"{{"tenant": "a", "project_id": "{}", "user_id": {id:?}, "role": "viewer"}}"#, ids[0])
    });
    let members = members.collect::<Vec<_>>().join(",");
    database
        .import(&format!(
            r#"{{"tenants": [{{"id": "a"}}], "users": [{}], "projects": [{}], "collaborators": [{members}]}}"#,
            rows(r#", "role": "user""#),
            rows("")
        ))
        .await;
    let store = &database.store;
    let mut expected = ids.clone();
    expected.sort();
    for list in ["users", "projects", "collaborators"] {
        let mut found: Vec<String> = Vec::new();
        let mut pages = Vec::new();
        loop {
            let after = found.last().cloned();
            let page: Vec<String> = match list {
                "users" => {
                    let page = store.list_users(&UserFilter { after, ..all_users() }).await.unwrap().value;
                    page.into_iter().map(|user| user.id).collect()
                }
                "projects" => {
                    let page =
                        store.list_projects(&ProjectFilter { after, ..all_projects() }).await.unwrap().value;
                    page.into_iter().map(|project| project.id).collect()
                }
                _ => {
                    let filter = CollaboratorFilter { after, ..all_members(&ids[0]) };
                    let page = store.list_collaborators(&filter).await.unwrap().value;
                    page.into_iter().map(|row| row.user_id).collect()
                }
            };
            if page.is_empty() {
                break;
            }
            pages.push(page.len());
            found.extend(page);
        }
        assert_eq!(pages, [250, 250, 120], "{list}");
        found.sort();
        assert_eq!(found, expected, "{list}");
    }
}

async fn a_row_that_goes_while_another_refers_to_it_is_missed_by_its_name(database: TestDatabase) {
    with_tenants(&database).await;
    put_project(&*database.store, &project("p")).await.unwrap();
    for _ in 0..20 {
        put_user(&*database.store, &user("u")).await.unwrap();
        let (one, two) = (database.store.clone(), database.store.clone());
        let putting = tokio::spawn(async move { one.put_collaborator(&member("p", "u")).await });
        let removing = tokio::spawn(async move { two.remove_user(&tenant("a"), "u").await });
        removing.await.unwrap().unwrap();
        match putting.await.unwrap() {
            Ok(written) => assert!(written.created),
            Err(error) => {
                assert!(matches!(error, StoreError::UnknownReference { what: "user" }), "{error:?}");
            }
        }
        is_missing(database.store.collaborator(&tenant("a"), "p", "u").await, "collaborator");
    }
}

async fn removing_from_both_ends_at_once_succeeds(database: TestDatabase) {
    with_tenants(&database).await;
    let tokens = |n: usize| {
        format!(
            r#"{{"id": "t{n}", "tenant": "a", "kind": "mcp", "name": "n", "user_id": "u", "project_id": "p",
                 "sha256": "{}"}}"#,
            super::database::hash(u32::try_from(n).unwrap())
        )
    };
    let tokens = (0..200).map(tokens).collect::<Vec<_>>().join(",");
    for _ in 0..5 {
        database
            .import(&format!(
                r#"{{"users": [{{"id": "u", "tenant": "a"}}], "projects": [{{"id": "p", "tenant": "a"}}],
                     "collaborators": [{{"tenant": "a", "project_id": "p", "user_id": "u", "role": "viewer"}}],
                     "tokens": [{tokens}]}}"#
            ))
            .await;
        let (one, two) = (database.store.clone(), database.store.clone());
        let user = tokio::spawn(async move { one.remove_user(&tenant("a"), "u").await });
        let project = tokio::spawn(async move { two.remove_project(&tenant("a"), "p").await });
        user.await.unwrap().unwrap();
        project.await.unwrap().unwrap();
    }
}
