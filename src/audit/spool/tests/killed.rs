//! `kill -9` while many tasks append.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
};

use super::{all, open, options};
use crate::audit::spool::Promise;

const FOLDER: &str = "REGATE_TEST_SPOOL_FOLDER";
const PREFIX: &str = "kept ";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_before_a_kill_is_there_once() {
    for round in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "audit::spool::tests::killed::append_until_killed", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answered = Vec::new();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            // A line that the kill cut in two was not answered.
            if let Some(record) = line.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix('.')) {
                answered.push(record.to_owned());
            }
            if answered.len() == 200 + 150 * round {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success());
        let (spool, mut reader) = open(&options(folder.path(), Promise::Spooled));
        let found = all(&mut reader).await;
        assert_eq!(spool.status().damaged_places, 0);
        let once: BTreeSet<_> = found.iter().collect();
        assert_eq!(once.len(), found.len(), "a record is there twice");
        assert!(answered.len() >= 200 + 150 * round);
        for record in &answered {
            assert!(once.contains(record), "{record} was answered and is not there");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a part of another test, which runs it in a process to be killed"]
async fn append_until_killed() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let mut options = options(&folder, Promise::Spooled);
    options.segment_bytes = 20_000;
    let (spool, _reader) = open(&options);
    let spool = Arc::new(spool);
    let appending: Vec<_> = (0..32)
        .map(|task| {
            let spool = Arc::clone(&spool);
            tokio::spawn(async move {
                for number in 0..100_000 {
                    let record = format!("{task}-{number}");
                    spool.append(record.as_bytes()).await.unwrap();
                    // One write for each line: a line is there or it is not.
                    std::io::stdout().write_all(format!("{PREFIX}{record}.\n").as_bytes()).unwrap();
                }
            })
        })
        .collect();
    for task in appending {
        task.await.unwrap();
    }
}
