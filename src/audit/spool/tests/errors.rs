//! The disk does not do what it is told.

use std::{fs::OpenOptions, process::Command};

use super::{all, append, killed, open, options};
use crate::audit::spool::{NotAppended, Promise, segment};

/// A limit on the length of files ends writes in their middle, as a full disk does; it holds for a whole process.
const LIMITED: &str = "trap '' XFSZ; ulimit -f 16; exec \"$@\"";

#[test]
fn a_write_that_ends_in_its_middle_leaves_nothing() {
    let test = "audit::spool::tests::errors::with_little_space";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", LIMITED, "sh"]).arg(std::env::current_exe().unwrap());
    let done = command.args(["--exact", test, "--ignored", "--nocapture"]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said} {}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "a part of another test, which runs it in a process with little space"]
async fn with_little_space() {
    for promise in [Promise::Spooled, Promise::Durable] {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path(), promise);
        let (spool, mut reader) = open(&options);
        append(&spool, &["one"]).await;
        for failed in 1..=3 {
            // Longer than what is left of 8 KiB.
            assert_eq!(spool.append(&[b'x'; 9_000]).await, Err(NotAppended::Failed));
            let status = spool.status();
            assert_eq!((status.failed, status.appended, status.failing), (failed, 1, true));
            let path = segment::path(&options.folder, status.end.segment);
            assert_eq!(path.metadata().unwrap().len(), status.end.offset, "cut back");
        }
        let before = spool.status().bytes;
        append(&spool, &["two"]).await;
        assert_eq!((spool.status().bytes - before, spool.status().failing), (11, false));
        let left = killed(&options, folder.path());
        assert_eq!(all(&mut reader).await, ["one", "two"]);
        assert_eq!(all(&mut open(&left).1).await, ["one", "two"]);
    }
}

#[tokio::test]
async fn a_file_that_takes_nothing_is_followed_by_another_one() {
    // The one fails when it is written to and cannot be cut back, the other one when it is synced.
    for (promise, device) in [(Promise::Spooled, "/dev/full"), (Promise::Durable, "/dev/null")] {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path(), promise);
        let (spool, mut reader) = open(&options);
        append(&spool, &["one"]).await;
        let device = OpenOptions::new().write(true).open(device).unwrap();
        spool.shared.lock_writer().file = Some(device);
        assert_eq!(spool.append(b"two").await, Err(NotAppended::Failed));
        let status = spool.status();
        assert_eq!((status.failed, status.failing, status.segments), (1, true, 1));
        append(&spool, &["three"]).await;
        let status = spool.status();
        assert_eq!((status.failed, status.failing, status.segments), (1, false, 2));
        assert_eq!(all(&mut reader).await, ["one", "three"]);
    }
}

#[tokio::test]
async fn a_folder_that_is_gone_fails_and_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), Promise::Spooled);
    let (spool, mut reader) = open(&options);
    append(&spool, &["one"]).await;
    let away = folder.path().join("away");
    std::fs::rename(&options.folder, &away).unwrap();
    spool.shared.lock_writer().file = None;
    for _ in 0..2 {
        assert_eq!(spool.append(b"two").await, Err(NotAppended::Failed));
    }
    std::fs::rename(&away, &options.folder).unwrap();
    append(&spool, &["three"]).await;
    assert_eq!(all(&mut reader).await, ["one", "three"]);
}
