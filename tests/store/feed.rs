//! The feed of changes: whatever is written, and by whom, whoever follows it has what a load gives.

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

    async fn check(&self, database: &TestDatabase) {
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
        "update upstreams set url = 'https://y.example', header = 'X-Key'",
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
async fn found(replica: &mut Replica) -> Result<Since, StoreError> {
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

mod on_sqlite {
    use super::{LostBecause, Replica, Since, TestDatabase, found, hash, token};

    #[tokio::test]
    async fn what_an_update_pushes_aside_is_followed() {
        let database = TestDatabase::sqlite().await;
        database
            .execute(&[super::ROWS, &token(1, "u1"), &token(2, "u1"), &token(3, "u1")].concat())
            .await
            .unwrap();
        let mut replica = Replica::load(&database).await;
        database.execute("update or replace tokens set id = 't1' where id = 't2'").await.unwrap();
        replica.follow(&database).await;
        database
            .execute(&format!("update or replace tokens set sha256 = '{}' where id = 't1'", hash(3)))
            .await
            .unwrap();
        replica.follow(&database).await;
    }

    /// Another program that sets the mark of regate's own transactions hides what it changes; it is not believed.
    #[tokio::test]
    async fn a_transaction_that_was_never_ended_is_no_state_to_decide_from() {
        let database = TestDatabase::sqlite().await;
        database.execute(super::ROWS).await.unwrap();
        let mut replica = Replica::load(&database).await;
        database
            .execute("update data_revision set in_batch = 1; update users set disabled = 1")
            .await
            .unwrap();
        assert_eq!(found(&mut replica).await.unwrap_err().code(), "corrupt");
        database.import(r#"{"users": [{"id": "u9"}]}"#).await;
        assert_eq!(found(&mut replica).await.unwrap(), Since::Lost(LostBecause::AnotherHistory));
        Replica::load(&database).await.check(&database).await;
    }

    #[tokio::test]
    async fn a_text_that_is_none_is_an_error_until_it_is_gone() {
        let database = TestDatabase::sqlite().await;
        database.execute(super::ROWS).await.unwrap();
        let mut replica = Replica::load(&database).await;
        database
            .execute("insert into users values ('default', cast(x'ff61' as text), 'user', 0)")
            .await
            .unwrap();
        assert_eq!(found(&mut replica).await.unwrap(), Since::Lost(LostBecause::UnreadableLog));
        assert!(replica.feed.load(&mut |_| {}).await.is_err());
        database.execute("delete from users where id = cast(x'ff61' as text)").await.unwrap();
        Replica::load(&database).await.check(&database).await;
    }

    /// A backup is put back while regate has the file open.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_file_in_the_place_of_another_is_read() {
        let database = TestDatabase::sqlite().await;
        database.execute(super::ROWS).await.unwrap();
        let file = database.url.strip_prefix("sqlite://").unwrap().to_owned();
        database.execute(&format!("vacuum into '{file}.backup'")).await.unwrap();
        database.execute("update users set disabled = 1").await.unwrap();
        let mut replica = Replica::load(&database).await;
        std::fs::rename(format!("{file}.backup"), &file).unwrap();
        for rest in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{file}{rest}"));
        }
        let since = found(&mut replica).await.unwrap();
        assert!(matches!(since, Since::Lost(_)), "{since:?}");
        let (facts, _) = database.facts().await;
        assert!(facts.iter().all(|fact| !matches!(fact, super::Fact::User(user) if user.disabled)));
        // And a file that is gone is no empty store.
        std::fs::remove_file(&file).unwrap();
        assert_eq!(found(&mut replica).await.unwrap_err().code(), "unavailable");
        assert!(!std::path::Path::new(&file).exists());
    }

    #[tokio::test]
    async fn a_trigger_that_is_gone_is_noticed() {
        let database = TestDatabase::sqlite().await;
        let mut replica = Replica::load(&database).await;
        database.execute("drop trigger users_update").await.unwrap();
        assert_eq!(found(&mut replica).await.unwrap_err().code(), "incomplete");
    }

    /// SQLite removes the row that a `replace` pushes aside without a word to the triggers on removals.
    #[tokio::test]
    async fn what_a_replace_pushes_aside_is_followed() {
        let database = TestDatabase::sqlite().await;
        database.execute(&[super::ROWS, &token(1, "u1"), &token(2, "u1")].concat()).await.unwrap();
        let mut replica = Replica::load(&database).await;
        for (id, number) in [("t1", 7), ("t2", 2), ("t9", 2)] {
            let sql = format!(
                "insert or replace into tokens (id, kind, name, sha256, user_id) values ('{id}', 'global', 'n', '{}', 'u2')",
                hash(number)
            );
            database.execute(&sql).await.unwrap();
            replica.follow(&database).await;
        }
        database.execute("insert or replace into users (id, role) values ('u1', 'admin')").await.unwrap();
        replica.follow(&database).await;
    }
}

mod on_postgres {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

    use super::{ConnectOptions, Fact, LostBecause, Replica, Since, TestDatabase, found, hash, token};

    #[tokio::test]
    async fn copy_and_truncate_are_followed() {
        let database = TestDatabase::postgres().await;
        let mut replica = Replica::load(&database).await;
        let mut connection = PgConnection::connect(&database.url).await.unwrap();
        let mut copy = connection.copy_in_raw("copy users (id) from stdin").await.unwrap();
        copy.send("u1\nu2\nu3\n".as_bytes()).await.unwrap();
        copy.finish().await.unwrap();
        assert_eq!(replica.follow(&database).await, 1);
        database.execute("truncate users cascade").await.unwrap();
        assert!(matches!(replica.step().await, Since::Lost(_)));
        assert_eq!(Replica::load(&database).await.facts.len(), 1);
    }

    /// Triggers that are switched off for replication count all the same, and who may write the tables
    /// needs no right to regate's own, nor can it stand in for them.
    #[tokio::test]
    async fn nobody_writes_past_the_triggers() {
        let database = TestDatabase::postgres().await;
        database.execute(super::ROWS).await.unwrap();
        let mut replica = Replica::load(&database).await;
        database.execute("set session_replication_role = replica; delete from grants; update users set role = 'admin'; reset session_replication_role").await.unwrap();
        assert_eq!(replica.follow(&database).await, 1);
        let name = database.url.rsplit('/').next().unwrap();
        let writer = format!("writer_of_{name}");
        let sql =
            format!("create role {writer} login; grant insert, update, delete, select on users to {writer}");
        database.execute(&sql).await.unwrap();
        let url = database.url.replace("regate:never-shown@", &format!("{writer}@"));
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection
            .execute("create temp table data_changes (id int, revision bigint, changed text, keys jsonb, follows uuid); create temp table data_revision (revision bigint, mark uuid)")
            .await
            .unwrap();
        connection.execute("insert into users (id) values ('u9')").await.unwrap();
        assert_eq!(replica.follow(&database).await, 1);
        assert!(
            connection
                .execute("delete from data_revision where false; select * from public.data_changes")
                .await
                .is_err()
        );
    }

    /// Whoever may connect may make triggers of its own; none of them may run what runs with the owner's rights.
    #[tokio::test]
    async fn nobody_puts_the_functions_of_the_triggers_to_use() {
        let database = TestDatabase::postgres().await;
        let name = database.url.rsplit('/').next().unwrap();
        let lowly = format!("lowly_of_{name}");
        database.execute(&format!("create role {lowly} login")).await.unwrap();
        let url = database.url.replace("regate:never-shown@", &format!("{lowly}@"));
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection
            .execute("create temp table users (id text); create temp table data_changes (id int)")
            .await
            .unwrap();
        for function in ["note_data_change", "take_data_revision"] {
            let sql = format!(
                "create trigger t after insert on users for each statement execute function {function}('x', 'y')"
            );
            let error = connection.execute(AssertSqlSafe(sql)).await.unwrap_err().to_string();
            assert!(error.contains("permission denied"), "{error}");
        }
        let safe = database
            .text("select string_agg(array_to_string(proconfig, ','), ';') from pg_proc where proname in ('note_data_change', 'take_data_revision')")
            .await;
        assert_eq!(safe, "search_path=pg_catalog, public, pg_temp;search_path=pg_catalog, public, pg_temp");
        // Nor does the owner by mistake.
        database.execute("create table mine (id text); create trigger t after insert on mine referencing new table as new_rows for each statement execute function note_data_change('id', 'id')").await.unwrap();
        let error = database.execute("insert into mine values ('x')").await.unwrap_err().to_string();
        assert!(error.contains("for the tables of decision data"), "{error}");
    }

    #[tokio::test]
    async fn what_changes_tables_without_a_trigger_is_noticed() {
        for (sql, expected) in [
            ("alter table users alter column disabled type boolean using true", Ok(())),
            (
                "create table rebuilt (like users including all); alter table users rename to old; alter table rebuilt rename to users",
                Err("incomplete"),
            ),
            ("alter table users disable trigger note_update", Err("incomplete")),
            (
                "create table base (disabled boolean not null); alter table users inherit base; update base set disabled = true",
                Err("incomplete"),
            ),
            ("drop function note_data_change cascade", Err("failed")),
        ] {
            let database = TestDatabase::postgres().await;
            database.execute(super::ROWS).await.unwrap();
            let mut replica = Replica::load(&database).await;
            database.execute(sql).await.unwrap();
            match (found(&mut replica).await, expected) {
                (Ok(since), Ok(())) => assert_eq!(since, Since::Lost(LostBecause::TablesChanged), "{sql}"),
                (Err(error), Err(code)) => assert_eq!(error.code(), code, "{sql}"),
                (other, _) => panic!("{sql}: {other:?}"),
            }
        }
        // Rows of a table that inherits from ours are nobody's.
        let database = TestDatabase::postgres().await;
        let mut replica = Replica::load(&database).await;
        database
            .execute("create table more () inherits (users); insert into more (id) values ('u7')")
            .await
            .unwrap();
        database.execute("insert into users (id) values ('u8')").await.unwrap();
        replica.follow(&database).await;
        assert_eq!(replica.facts.values().filter(|fact| matches!(fact, Fact::User(_))).count(), 1);
    }

    /// Who holds the row of the revision and does nothing keeps others from writing, and they learn of it.
    #[tokio::test]
    async fn a_write_that_another_holds_up_says_so() {
        let database = TestDatabase::postgres().await;
        database.execute(&format!("{} {}", super::ROWS, token(1, "u1"))).await.unwrap();
        let mut idle = PgConnection::connect(&database.url).await.unwrap();
        idle.execute("begin; insert into users (id) values ('x'); set constraints all immediate")
            .await
            .unwrap();
        let options = ConnectOptions {
            acquire_timeout: std::time::Duration::from_millis(300),
            ..ConnectOptions::default()
        };
        let store = regate::store::connect(&database.url, options).await.unwrap();
        let now = regate::types::Timestamp::from_unix_seconds(5);
        let error = store.revoke_token("t1", None, now).await.unwrap_err();
        assert_eq!(error.code(), "locked");
        idle.execute("rollback").await.unwrap();
        assert!(store.revoke_token("t1", None, now).await.unwrap().changed);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_databases_default_isolation_does_not_matter() {
        let database = TestDatabase::postgres().await;
        let name = database.url.rsplit('/').next().unwrap();
        database
            .execute(&format!("alter database {name} set default_transaction_isolation = 'serializable'"))
            .await
            .unwrap();
        let store = regate::store::connect(&database.url, ConnectOptions::default()).await.unwrap();
        let document = |n: u32| format!(r#"{{"users": [{{"id": "u{n}"}}]}}"#);
        let imports: Vec<_> = (0..8)
            .map(|n| {
                let store = store.clone();
                let document = regate::store::import::check(
                    &regate::store::import::parse(document(n).as_bytes()).unwrap(),
                )
                .unwrap();
                tokio::spawn(async move { store.import(&document, &mut |_| {}).await })
            })
            .collect();
        for import in imports {
            import.await.unwrap().unwrap();
        }
    }

    /// What regate gave up waiting for does not wait on in the database.
    #[tokio::test]
    async fn given_up_questions_do_not_pile_up() {
        let database = TestDatabase::postgres().await;
        let mut replica = Replica::load(&database).await;
        let mut holder = PgConnection::connect(&database.url).await.unwrap();
        holder.execute("begin; lock table data_revision in access exclusive mode").await.unwrap();
        let waiting = "select count(*)::text from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        for _ in 0..3 {
            let mut sink = |_| {};
            let asking = replica.feed.changes_since(&replica.position, &mut sink);
            let _ = tokio::time::timeout(std::time::Duration::from_millis(200), asking).await;
            replica.feed.disconnect();
        }
        let begun = std::time::Instant::now();
        while database.text(waiting).await != "0" {
            assert!(begun.elapsed().as_secs() < 20, "they wait on");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        holder.execute("rollback").await.unwrap();
        assert_eq!(replica.step().await, Since::Nothing);
    }

    /// Many writers, each with several statements and a pause of its own before its commit, over rows that
    /// they share: the order of their statements says nothing about that of their commits. One reader
    /// follows as fast as it can, and must see every revision's rows; another compares at the end.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_commit_is_missed_however_they_overlap() {
        const WRITERS: u32 = 12;
        const TRANSACTIONS: u32 = 25;
        let database = Arc::new(TestDatabase::postgres().await);
        database.execute(super::ROWS).await.unwrap();
        let mut replica = Replica::load(&database).await;
        let begun = replica.position.revision.0;
        let done = Arc::new(AtomicBool::new(false));
        let following = tokio::spawn({
            let done = Arc::clone(&done);
            async move {
                let mut seen = Vec::new();
                loop {
                    // In this order: what was committed before the last look is seen by it.
                    let last = done.load(Ordering::SeqCst);
                    match replica.step().await {
                        Since::Advanced(position) => seen.push(position.revision.0),
                        Since::Nothing if last => return (replica, seen),
                        Since::Nothing => {}
                        lost @ Since::Lost(_) => panic!("{lost:?}"),
                    }
                }
            }
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let url = database.url.clone();
                tokio::spawn(async move {
                    let mut connection = PgConnection::connect(&url).await.unwrap();
                    for round in 0..TRANSACTIONS {
                        let number = 1_000 + writer * TRANSACTIONS + round;
                        // Shared rows in one order, as any writer must who does not want to deadlock by itself;
                        // the revision must not add a deadlock of its own.
                        let sql = format!(
                            "begin; {} select pg_sleep({} / 1000.0);
                             update collaborators set role = '{}' where project_id = 'p1' and user_id = 'u1';
                             insert into users (id) values ('w{writer}-{round}');
                             update collaborators set role = '{}' where project_id = 'p2' and user_id = 'u1';
                             {} commit;",
                            token(number, "u1"),
                            (writer * 7 + round * 13) % 10,
                            ["owner", "viewer"][(round % 2) as usize],
                            ["developer", "viewer"][(writer % 2) as usize],
                            if round % 5 == 0 {
                                format!("delete from tokens where id = 't{number}';")
                            } else {
                                String::new()
                            },
                        );
                        if let Err(error) = connection.execute(AssertSqlSafe(sql)).await {
                            panic!("writer {writer}, round {round}: {error}");
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        done.store(true, Ordering::SeqCst);
        let (replica, seen) = following.await.unwrap();
        assert!(seen.is_sorted());
        assert!(seen.len() > 20, "the reader did not keep up: {}", seen.len());
        assert_eq!(replica.position.revision.0 - begun, u64::from(WRITERS * TRANSACTIONS));
        replica.check(&database).await;
        // Without gaps, each of one transaction.
        let numbers = database
            .text("select count(distinct revision) || ' ' || max(revision) - min(revision) + 1 from data_changes where keys::text like '%sha256%'")
            .await;
        let count = WRITERS * TRANSACTIONS;
        assert_eq!(numbers, format!("{count} {count}"));
    }

    /// The number is taken at the commit, so a writer that has changed rows and waits for others' rows
    /// holds nothing that they wait for.
    #[tokio::test]
    async fn an_open_transaction_holds_nobody_up() {
        let database = TestDatabase::postgres().await;
        database.execute(super::ROWS).await.unwrap();
        let mut replica = Replica::load(&database).await;
        let mut open = PgConnection::connect(&database.url).await.unwrap();
        open.execute("begin; update users set role = 'admin' where id = 'u2'").await.unwrap();
        database.execute("update users set role = 'viewer' where id = 'u3'").await.unwrap();
        assert_eq!(replica.follow(&database).await, 1);
        // Taken early on demand, it is still one revision a transaction with what was changed before.
        open.execute("set constraints all immediate").await.unwrap();
        open.execute("commit").await.unwrap();
        assert_eq!(replica.follow(&database).await, 1);
    }

    /// With a number that is taken early, the first writer would hold it and wait for the second's own row,
    /// and the second would wait for the number.
    #[tokio::test]
    async fn writers_that_lock_rows_of_their_own_do_not_deadlock_over_the_revision() {
        let database = TestDatabase::postgres().await;
        database.execute(super::ROWS).await.unwrap();
        database
            .execute("create table orders (id int, total int); insert into orders values (1, 0)")
            .await
            .unwrap();
        let mut replica = Replica::load(&database).await;
        let mut first = PgConnection::connect(&database.url).await.unwrap();
        let mut second = PgConnection::connect(&database.url).await.unwrap();
        first.execute("begin; update users set role = 'admin' where id = 'u2'").await.unwrap();
        second.execute("begin; update orders set total = 2 where id = 1").await.unwrap();
        let first =
            tokio::spawn(
                async move { first.execute("update orders set total = 1 where id = 1; commit").await },
            );
        while database.text("select count(*)::text from pg_locks where not granted").await == "0" {
            tokio::task::yield_now().await;
        }
        second.execute("insert into users (id) values ('u8'); commit").await.unwrap();
        first.await.unwrap().unwrap();
        assert_eq!(replica.follow(&database).await, 2);
    }

    #[tokio::test]
    async fn a_hint_comes_with_the_commit() {
        let database = TestDatabase::postgres().await;
        let mut replica = Replica::load(&database).await;
        database.execute(&format!("{} {}", super::ROWS, token(1, "u1"))).await.unwrap();
        let hints = replica.feed.hint().await.unwrap();
        assert_eq!(hints, [regate::store::Hint::Data]);
        assert_eq!(replica.follow(&database).await, 1);
        assert!(
            replica
                .facts
                .values()
                .any(|fact| matches!(fact, Fact::Token(token) if token.sha256.to_string() == hash(1)))
        );
    }

    #[tokio::test]
    async fn a_listener_url_that_leads_nowhere_is_an_error() {
        let database = TestDatabase::postgres().await;
        let options = ConnectOptions {
            listener_url: Some(regate::types::SecretText::new(
                "postgres://u:never-shown@127.0.0.1:1/x".into(),
            )),
            acquire_timeout: std::time::Duration::from_secs(1),
            ..ConnectOptions::default()
        };
        let store = regate::store::connect(&database.url, options).await.unwrap();
        let error = store.feed(&[]).load(&mut |_| {}).await.unwrap_err();
        assert_eq!(error.code(), "unavailable");
        assert!(!format!("{error:?}").contains("never-shown"));
    }
}
