//! What only SQLite can do to the feed.

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
    database.execute("update data_revision set in_batch = 1; update users set disabled = 1").await.unwrap();
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
    database.execute("insert into users values ('default', cast(x'ff61' as text), 'user', 0)").await.unwrap();
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

#[tokio::test]
async fn triggers_of_the_organisations_own_are_no_ones_business() {
    let database = TestDatabase::sqlite().await;
    database.execute(super::ROWS).await.unwrap();
    let sql = "create table seen (id text);
               create trigger ours after insert on users begin insert into seen values (new.id); end";
    database.execute(sql).await.unwrap();
    let mut replica = Replica::load(&database).await;
    database.execute("insert into users (id) values ('u7')").await.unwrap();
    replica.follow(&database).await;
}

/// Nobody announces a change of a file, so it is looked at; in between nothing is hinted at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_by_another_connection_is_hinted_at() {
    use std::time::Duration;
    let database = TestDatabase::sqlite().await;
    let mut feed = database.store.feed(&[]);
    let hinted = async |feed: &mut Box<dyn regate::store::ChangeFeed>, patience: Duration| {
        tokio::time::timeout(patience, feed.hint()).await.map(|hints| hints.unwrap().len())
    };
    let (short, long) = (Duration::from_millis(200), Duration::from_secs(30));
    // What was written before it began to look is looked for once.
    assert_eq!(hinted(&mut feed, long).await, Ok(1));
    for user in ["u1", "u2"] {
        assert!(hinted(&mut feed, short).await.is_err());
        database.execute(&format!("insert into users (id) values ('{user}')")).await.unwrap();
        assert_eq!(hinted(&mut feed, long).await, Ok(1));
    }
    // Whoever puts another file in the place of this one is noticed too; a file that is gone hints at nothing.
    let file = database.url.strip_prefix("sqlite://").unwrap().to_owned();
    database.execute(&format!("vacuum into '{file}.backup'")).await.unwrap();
    let _ = hinted(&mut feed, short).await;
    std::fs::rename(format!("{file}.backup"), &file).unwrap();
    assert_eq!(hinted(&mut feed, long).await, Ok(1));
    std::fs::remove_file(&file).unwrap();
    assert!(hinted(&mut feed, short).await.is_err());
    assert!(!std::path::Path::new(&file).exists());
}
