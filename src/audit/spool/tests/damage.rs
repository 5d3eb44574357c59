//! Something else lies in a segment than was written.

use std::{fs, io::Write};

use uuid::Uuid;

use super::{append, batches, killed, open, options, refusal, small, spoil, texts};
use crate::audit::spool::{
    Damage, Position, Promise, SpoolError, SpoolOptions,
    segment::{self, Header},
};

/// A spool of three records, as a killed process leaves it, and where each of them begins.
async fn three(folder: &std::path::Path) -> (SpoolOptions, [Position; 4]) {
    let options = options(folder, Promise::Spooled);
    let (spool, mut reader) = open(&options);
    append(&spool, &["one", "two", "three"]).await;
    let mut begins = [reader.begins(); 4];
    for begin in &mut begins[1..] {
        *begin = reader.next_batch(1, 1).await.unwrap().to;
    }
    (killed(&options, folder), begins)
}

fn within(position: Position, offset: u64) -> Position {
    Position::new(position.segment, position.offset + offset)
}

#[tokio::test]
async fn a_changed_record_is_told_and_the_others_are_given() {
    for live in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (left, begins) = three(folder.path()).await;
        let (options, (spool, mut reader)) = if live {
            let options = SpoolOptions { folder: folder.path().join("live"), ..left };
            let opened = open(&options);
            append(&opened.0, &["one", "two", "three"]).await;
            spoil(&options, within(begins[1], 9));
            (options, opened)
        } else {
            spoil(&left, within(begins[1], 9));
            let opened = open(&left);
            (left, opened)
        };
        append(&spool, &["four"]).await;
        let found = batches(&mut reader).await;
        assert_eq!(texts(&found), ["one", "three", "four"]);
        let damaged: Vec<_> = found.iter().filter_map(|batch| batch.damaged).collect();
        assert_eq!(damaged, [Damage { from: begins[1], bytes: 11 }]);
        let status = spool.status();
        assert_eq!((status.damaged_places, status.damaged_bytes), (1, 11));
        reader.acknowledge(found.last().unwrap().to).unwrap();
        assert_eq!(spool.status().records, u64::from(live));
        // Kept aside for people when the segment is done.
        let path = segment::path(&options.folder, begins[1].segment);
        assert_eq!(path.exists(), live);
        assert_eq!(path.with_extension("damaged").exists(), !live);
    }
}

#[tokio::test]
async fn a_changed_length_costs_the_rest_of_its_segment_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (left, begins) = three(folder.path()).await;
    spoil(&left, within(begins[1], 3));
    let (spool, mut reader) = open(&left);
    append(&spool, &["four"]).await;
    let found = batches(&mut reader).await;
    assert_eq!(texts(&found), ["one", "four"]);
    let damaged: Vec<_> = found.iter().filter_map(|batch| batch.damaged).collect();
    assert_eq!(damaged, [Damage { from: begins[1], bytes: begins[3].offset - begins[1].offset }]);
}

#[tokio::test]
async fn a_segment_that_somebody_shortened_or_removed_is_a_loss_that_is_told() {
    for keep in [Some(40), Some(0), None] {
        let folder = tempfile::tempdir().unwrap();
        let options = small(folder.path());
        let (spool, mut reader) = open(&options);
        let records: Vec<_> = (0..9).map(|number| format!("{number:0300}")).collect();
        append(&spool, &records.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let first = reader.next_batch(1, 1).await.unwrap();
        let second = segment::path(&options.folder, 2);
        match keep {
            Some(bytes) => fs::OpenOptions::new().write(true).open(&second).unwrap().set_len(bytes).unwrap(),
            None => fs::remove_file(&second).unwrap(),
        }
        let found = batches(&mut reader).await;
        assert_eq!(first.len() + texts(&found).len(), 6);
        assert_eq!(found.iter().filter(|batch| batch.damaged.is_some()).count(), 1);
        reader.acknowledge(found.last().unwrap().to).unwrap();
        assert_eq!(spool.status().segments, 1);
        assert_eq!(second.with_extension("damaged").exists(), keep.is_some());
        // The depth is right, though records were never given that were counted.
        assert_eq!(spool.status().records, 0);
    }
}

#[tokio::test]
async fn a_segment_without_a_right_header_is_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (left, begins) = three(folder.path()).await;
    let (spool, reader) = open(&left);
    append(&spool, &["four"]).await;
    drop((spool, reader));
    spoil(&left, Position::new(begins[0].segment, 20));
    // One of another spool.
    let other = Header { spool: Uuid::from_u128(99), number: 5, follows: Position::default() };
    let mut file = segment::create(&left.folder, &other, false).unwrap();
    file.write_all(&[1; 100]).unwrap();
    let (spool, mut reader) = open(&left);
    assert_eq!(texts(&batches(&mut reader).await), ["four"]);
    assert_eq!(spool.status().damaged_places, 2);
    for number in [begins[0].segment, 5] {
        assert!(segment::path(&left.folder, number).with_extension("damaged").exists());
    }
}

#[tokio::test]
async fn a_segment_of_a_newer_regate_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let (left, begins) = three(folder.path()).await;
    let path = segment::path(&left.folder, begins[0].segment);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] += 1;
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(refusal(&left), SpoolError::Newer(number) if number == begins[0].segment));
    assert_eq!(fs::read(&path).unwrap(), bytes);
}
