//! No room.

use super::{all, append, batches, open, options, small};
use crate::audit::spool::{MOST_RECORD_BYTES, NotAppended, Promise};

#[tokio::test]
async fn a_full_spool_refuses_until_whole_segments_are_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let options = small(folder.path());
    let (spool, mut reader) = open(&options);
    let record = "x".repeat(300);
    let mut count = 0;
    while spool.append(record.as_bytes()).await.is_ok() {
        count += 1;
        assert!(spool.status().bytes <= options.max_bytes);
    }
    assert!(count > 20, "{count}");
    assert_eq!(spool.append(record.as_bytes()).await, Err(NotAppended::Full));
    let status = spool.status();
    assert_eq!((status.refused_full, status.appended, status.failing), (2, count, false));
    // Nothing of what was refused is there.
    let found = batches(&mut reader).await;
    assert_eq!(found.iter().map(|batch| batch.len() as u64).sum::<u64>(), count);
    reader.acknowledge(found[0].to).unwrap();
    append(&spool, &[&record]).await;
    // Everything shipped, and the segment that is written to still there: there is room for many.
    for _ in 0..50 {
        let found = batches(&mut reader).await;
        reader.acknowledge(found.last().unwrap().to).unwrap();
        append(&spool, &[&record, &record, &record, &record, &record, &record, &record]).await;
    }
}

#[tokio::test]
async fn a_full_spool_is_full_for_the_next_process_too() {
    let folder = tempfile::tempdir().unwrap();
    let options = small(folder.path());
    let (spool, reader) = open(&options);
    while spool.append(&[0; 300]).await.is_ok() {}
    drop((spool, reader));
    let (spool, mut reader) = open(&options);
    assert_eq!(spool.append(&[0; 300]).await, Err(NotAppended::Full));
    let found = batches(&mut reader).await;
    reader.acknowledge(found.last().unwrap().to).unwrap();
    spool.append(&[0; 300]).await.unwrap();
    assert_eq!(batches(&mut reader).await.len(), 1);
}

#[tokio::test]
async fn a_record_has_a_greatest_length_and_may_be_empty() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(&options(folder.path(), Promise::Spooled));
    assert_eq!(spool.append(&vec![0; MOST_RECORD_BYTES + 1]).await, Err(NotAppended::TooLong));
    append(&spool, &["", &"x".repeat(MOST_RECORD_BYTES), "small"]).await;
    let lengths: Vec<_> = all(&mut reader).await.iter().map(String::len).collect();
    assert_eq!(lengths, [0, MOST_RECORD_BYTES, 5]);
}

#[tokio::test]
async fn a_batch_has_its_bounds_and_always_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(&options(folder.path(), Promise::Spooled));
    append(&spool, &["a", "b", "c", &"x".repeat(5_000), "d", "e"]).await;
    let mut lengths = Vec::new();
    for (records, bytes) in [(2, 1_000), (0, 0), (9, 20), (9, 20), (9, 9)] {
        lengths.push(reader.next_batch(records, bytes).await.unwrap().len());
    }
    assert_eq!(lengths, [2, 1, 1, 2, 0]);
}
