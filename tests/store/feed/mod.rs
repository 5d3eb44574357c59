//! The feed of changes: whatever is written, and by whom, whoever follows it has what a load gives.

mod on_postgres;
mod on_sqlite;

use std::collections::HashMap;

use regate::{
    decision::facts::{Change, Fact, FactKey},
    store::{ChangeFeed, ConnectOptions, DataPosition, LostBecause, Since, StoreError},
};

use super::database::{TestDatabase, hash, on_both_databases};

on_both_databases![
    every_kind_of_change_by_another_program_is_followed,
    what_decisions_do_not_see_is_no_change,
    what_was_rolled_back_never_happened,
    a_change_of_regates_own_is_one_revision,
    many_changes_at_once_are_a_load,
    who_is_too_far_behind_loads_everything,
    another_history_is_noticed,
    without_its_row_of_the_revision_nothing_can_be_written,
    a_row_that_cannot_be_read_stops_the_feed_and_not_the_others,
    a_hole_in_the_log_and_a_note_that_nobody_understands_are_a_load,
];

/// Somebody who follows.
pub struct Replica {
    feed: Box<dyn ChangeFeed>,
    pub facts: HashMap<FactKey, Fact>,
    pub position: DataPosition,
}

impl Replica {
    pub async fn load(database: &TestDatabase) -> Self {
        let mut feed = database.store.feed(&[]);
        let mut facts = HashMap::new();
        let position = feed
            .load(&mut |fact| {
                facts.insert(fact.key(), fact);
            })
            .await
            .unwrap();
        Self { feed, facts, position }
    }

    pub async fn step(&mut self) -> Since {
        let mut changes = Vec::new();
        let since =
            self.feed.changes_since(&self.position, &mut |change| changes.push(change)).await.unwrap();
        if let Since::Advanced(position) = &since {
            assert!(position.revision > self.position.revision);
            self.position = position.clone();
            for change in changes {
                match change {
                    Change::Put(fact) => drop(self.facts.insert(fact.key(), fact)),
                    Change::Removed(key) => drop(self.facts.remove(&key)),
                }
            }
        }
        since
    }

    /// Follows one step, which must bring it to what a load gives now; gives how far the revision moved.
    async fn follow(&mut self, database: &TestDatabase) -> u64 {
        let before = self.position.revision.0;
        assert!(matches!(self.step().await, Since::Advanced(_)), "nothing was noted");
        self.check(database).await;
        self.position.revision.0 - before
    }

    pub async fn check(&self, database: &TestDatabase) {
        let (facts, revision) = database.facts().await;
        assert_eq!(revision, self.position.revision);
        let loaded: HashMap<FactKey, Fact> = facts.into_iter().map(|fact| (fact.key(), fact)).collect();
        assert_eq!(loaded, self.facts);
    }
}

const ROWS: &str = "
    insert into tenants (id) values ('acme');
    insert into users (id) values ('u1'), ('u2'), ('u3');
    insert into users (tenant, id, role) values ('acme', 'u1', 'admin');
    insert into projects (id, name) values ('p1', 'one'), ('p2', 'two');
    insert into projects (tenant, id) values ('acme', 'p1');
    insert into collaborators (project_id, user_id, role) values ('p1', 'u1', 'owner'), ('p1', 'u2', 'viewer'),
        ('p2', 'u1', 'developer');
    insert into upstreams (id, url) values ('github', 'https://x.example');";

fn token(number: u32, user: &str) -> String {
    format!(
        "insert into tokens (id, kind, name, sha256, user_id) values ('t{number}', 'global', 'n', '{}', '{user}');",
        hash(number)
    )
}

async fn every_kind_of_change_by_another_program_is_followed(database: TestDatabase) {
    let mut replica = Replica::load(&database).await;
    let first = [ROWS, &token(1, "u1"), &token(2, "u1"), &token(3, "u2")].concat();
    database.execute(&first).await.unwrap();
    replica.follow(&database).await;
    let grants = "insert into grants (token_id, upstream_id) values ('t1', 'github'), ('t3', 'github')";
    let other_hash = format!("update tokens set sha256 = '{}' where id = 't2'", hash(20));
    let steps = [
        grants,
        "update users set disabled = (1 = 1) where tenant = 'default'",
        "update collaborators set role = 'viewer' where project_id = 'p1'",
        "update tokens set revoked_at = '2026-01-01T00:00:00Z' where id = 't1'",
        "update tokens set projects = '{\"p1\": null}', scope_push = (1 = 1) where id = 't3'",
        // Keys that change are noted as they were and as they are.
        &other_hash,
        "update tokens set id = 't4' where id = 't2'",
        "update upstreams set allow_all = (1 = 1)",
        "update projects set public = (1 = 1), name = 'uno' where id = 'p1'",
        "delete from collaborators where user_id = 'u2'",
        // Cascades: collaborators, tokens, grants.
        "delete from users where id = 'u1' and tenant = 'default'",
        "delete from upstreams",
        "insert into collaborators (tenant, project_id, user_id, role) values ('acme', 'p1', 'u1', 'viewer')",
        "delete from tenants where id = 'acme'",
        "delete from tokens",
        "delete from projects",
        "delete from users",
    ];
    for step in steps {
        database.execute(step).await.unwrap();
        let moved = replica.follow(&database).await;
        // SQLite has no triggers for statements: there each row is one.
        assert!(if database.is_postgres() { moved == 1 } else { moved >= 1 }, "{step}: {moved}");
        assert_eq!(replica.step().await, Since::Nothing);
    }
    assert_eq!(replica.facts.len(), 1, "{:?}", replica.facts);
}

async fn what_decisions_do_not_see_is_no_change(database: TestDatabase) {
    let rows = [ROWS, &token(1, "u1")].concat();
    database.execute(&rows).await.unwrap();
    let mut replica = Replica::load(&database).await;
    for sql in [
        "update tokens set last_used_at = '2026-01-01T00:00:00Z', name = 'other', prefix = 'x'",
        "update users set role = role",
        "update users set role = 'admin' where id = 'nobody'",
        "delete from grants",
        "update upstreams set url = 'https://y.example', oauth = '{}'",
        "insert into users (id) values ('u1') on conflict do nothing",
    ] {
        database.execute(sql).await.unwrap();
        assert_eq!(replica.step().await, Since::Nothing, "{sql}");
    }
}

async fn what_was_rolled_back_never_happened(database: TestDatabase) {
    database.execute(ROWS).await.unwrap();
    let mut replica = Replica::load(&database).await;
    database.execute("begin; delete from collaborators; rollback").await.unwrap();
    assert_eq!(replica.step().await, Since::Nothing);
    database
        .execute(
            "begin; savepoint a; delete from collaborators; rollback to a; delete from upstreams; commit",
        )
        .await
        .unwrap();
    assert_eq!(replica.follow(&database).await, 1);
    assert!(replica.facts.values().any(|fact| matches!(fact, Fact::Collaborator(_))));
}

async fn a_change_of_regates_own_is_one_revision(database: TestDatabase) {
    let mut replica = Replica::load(&database).await;
    let document = r#"{"users": [{"id": "u1"}, {"id": "u2"}, {"id": "u3"}], "projects": [{"id": "p1"}]}"#;
    let first = database.import(document).await.revision;
    assert_eq!(replica.follow(&database).await, 1);
    assert_eq!(replica.position.revision, first);
    assert_eq!(database.import(document).await.revision, first);
    assert_eq!(replica.step().await, Since::Nothing);
}

async fn many_changes_at_once_are_a_load(database: TestDatabase) {
    let mut replica = Replica::load(&database).await;
    let users = |count: u32| {
        let rows: Vec<String> = (0..count).map(|n| format!(r#"{{"id": "u{n}"}}"#)).collect();
        format!(r#"{{"users": [{}]}}"#, rows.join(","))
    };
    database.import(&users(5_000)).await;
    assert_eq!(replica.follow(&database).await, 1);
    database.execute("delete from users").await.unwrap();
    let since = replica.step().await;
    // On SQLite each row is a revision of its own, and all can be told.
    assert!(matches!(since, Since::Advanced(_)), "{since:?}");
    replica.check(&database).await;
    let more = if database.is_postgres() { 60_000 } else { 5_001 };
    database.import(&users(more)).await;
    assert_eq!(replica.step().await, Since::Lost(LostBecause::TooManyChanges));
    let mut replica = Replica::load(&database).await;
    replica.check(&database).await;
    if database.is_postgres() {
        database.execute("delete from users where id < 'u3'; truncate collaborators").await.unwrap();
        assert!(matches!(replica.step().await, Since::Lost(_)));
    }
}

async fn who_is_too_far_behind_loads_everything(database: TestDatabase) {
    database.execute(ROWS).await.unwrap();
    let mut replica = Replica::load(&database).await;
    for role in ["owner", "viewer", "developer"] {
        database
            .execute(&format!("update collaborators set role = '{role}' where user_id = 'u2'"))
            .await
            .unwrap();
    }
    let forget = "delete from data_changes where revision <= (select revision - 2 from data_revision)";
    database.execute(forget).await.unwrap();
    assert_eq!(replica.step().await, Since::Lost(LostBecause::TooFarBehind));
    // Whoever is less far behind goes on.
    let mut replica = Replica::load(&database).await;
    database.execute("delete from collaborators where user_id = 'u2'").await.unwrap();
    assert_eq!(replica.follow(&database).await, 1);
}

async fn another_history_is_noticed(database: TestDatabase) {
    database.execute(ROWS).await.unwrap();
    let change = |role: &str| format!("update collaborators set role = '{role}' where user_id = 'u2'");
    // As a dump would have them.
    let copy = "create table kept_revision as select * from data_revision;
                create table kept_changes as select * from data_changes;
                create table kept_collaborators as select * from collaborators;";
    let put_back = "delete from collaborators; delete from data_changes; delete from data_revision;
                    insert into data_revision select * from kept_revision;";
    let put_back = if database.is_postgres() {
        format!(
            "begin;
             alter table collaborators disable trigger all; alter table data_changes disable trigger all;
             {put_back}
             insert into data_changes overriding system value select * from kept_changes;
             insert into collaborators select * from kept_collaborators;
             alter table collaborators enable trigger all; alter table data_changes enable trigger all;
             commit;"
        )
    } else {
        // What a file that is put back has, without putting a file back.
        "update data_revision set in_batch = 1; delete from collaborators;
         insert into collaborators select * from kept_collaborators; delete from data_changes;
         insert into data_changes select * from kept_changes; delete from data_revision;
         insert into data_revision select * from kept_revision;"
            .to_owned()
    };
    database.execute(copy).await.unwrap();
    database.execute(&change("owner")).await.unwrap();
    let mut replica = Replica::load(&database).await;
    database.execute(&put_back).await.unwrap();
    assert_eq!(replica.step().await, Since::Lost(LostBecause::AnotherHistory), "the revision went back");
    // The same number again, and then a higher one, of another history.
    for role in ["developer", "administrator", "viewer"] {
        database.execute(&change(role)).await.unwrap();
        assert_eq!(replica.step().await, Since::Lost(LostBecause::AnotherHistory), "{role}");
    }
}

async fn without_its_row_of_the_revision_nothing_can_be_written(database: TestDatabase) {
    database.execute(ROWS).await.unwrap();
    let mut replica = Replica::load(&database).await;
    database.execute("delete from data_revision").await.unwrap();
    let error = database.execute("delete from collaborators").await.unwrap_err();
    assert!(error.to_string().contains("the one row of data_revision is missing"), "{error}");
    let lost = replica.feed.changes_since(&replica.position, &mut |_| {}).await.unwrap_err();
    assert_eq!(lost.code(), "corrupt");
}

async fn a_row_that_cannot_be_read_stops_the_feed_and_not_the_others(database: TestDatabase) {
    database.execute(ROWS).await.unwrap();
    database.execute(&token(1, "u1")).await.unwrap();
    let mut replica = Replica::load(&database).await;
    database.execute_unchecked("tokens_kind_is_known", "update tokens set kind = 'imperial'").await;
    let error = replica.feed.changes_since(&replica.position, &mut |_| {}).await.unwrap_err();
    assert_eq!(error.code(), "corrupt");
    assert!(!format!("{error:?}").contains(&hash(1)));
    database.execute("update tokens set kind = 'global'").await.unwrap();
    replica.feed.disconnect();
    replica.step().await;
    replica.check(&database).await;
}

async fn a_hole_in_the_log_and_a_note_that_nobody_understands_are_a_load(database: TestDatabase) {
    database.execute(ROWS).await.unwrap();
    let change = |role: &str| format!("update collaborators set role = '{role}' where user_id = 'u2'");
    let mut replica = Replica::load(&database).await;
    for role in ["owner", "developer", "administrator"] {
        database.execute(&change(role)).await.unwrap();
    }
    let middle = "delete from data_changes where revision = (select revision - 1 from data_revision)";
    database.execute(middle).await.unwrap();
    assert_eq!(replica.step().await, Since::Lost(LostBecause::TooFarBehind));
    let mut replica = Replica::load(&database).await;
    database.execute(&change("owner")).await.unwrap();
    let last = "delete from data_changes where revision = (select revision from data_revision)";
    database.execute(last).await.unwrap();
    assert_eq!(replica.step().await, Since::Lost(LostBecause::TooFarBehind));
    for strange in
        ["changed = 'orders'", "keys = '{\"id\": 5}'", "keys = '{\"tenant\": \"default\"}'", "keys = '[]x'"]
    {
        let mut replica = Replica::load(&database).await;
        database.execute(&change(if strange.len() % 2 == 0 { "viewer" } else { "owner" })).await.unwrap();
        database.execute(&change("developer")).await.unwrap();
        let last = "where revision = (select revision from data_revision)";
        if database.execute(&format!("update data_changes set {strange} {last}")).await.is_ok() {
            assert_eq!(replica.step().await, Since::Lost(LostBecause::UnreadableLog), "{strange}");
        }
    }
}

/// Follows until something is found; that tables changed is looked for once a second.
pub async fn found(replica: &mut Replica) -> Result<Since, StoreError> {
    let begun = std::time::Instant::now();
    loop {
        let mut changes = 0;
        let since = replica.feed.changes_since(&replica.position, &mut |_| changes += 1).await?;
        if since != Since::Nothing {
            return Ok(since);
        }
        assert!(begun.elapsed().as_secs() < 20, "nothing was found");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
