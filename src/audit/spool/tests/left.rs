//! What one process leaves and the next one finds; positions that somebody remembers.

use std::{fs, os::unix::fs::PermissionsExt};

use uuid::Uuid;

use super::{all, append, batches, killed, open, options, refusal, small, texts};
use crate::audit::spool::{
    Position, Promise, Sought, Spool, SpoolError, SpoolReader,
    segment::{self, HEADER_BYTES},
};

#[tokio::test]
async fn the_next_process_reads_on_where_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), Promise::Spooled);
    let (spool, mut reader) = open(&options);
    let id = spool.id();
    append(&spool, &["one", "two", "three"]).await;
    let batch = reader.next_batch(2, 1_000).await.unwrap();
    assert_eq!(texts(std::slice::from_ref(&batch)), ["one", "two"]);
    reader.acknowledge(batch.to).unwrap();
    drop((spool, reader));

    let (spool, mut reader) = Spool::open(&options, Uuid::from_u128(2)).unwrap();
    assert_eq!(spool.id(), id);
    append(&spool, &["four"]).await;
    assert_eq!(spool.status().records, 4);
    assert_eq!(reader.seek(batch.to).await.unwrap(), Sought::There);
    assert_eq!(spool.status().records, 2);
    let rest = batches(&mut reader).await;
    assert_eq!(texts(&rest), ["three", "four"]);
    assert_eq!(rest[0].from, batch.to);
    reader.acknowledge(rest[0].to).unwrap();
    assert_eq!((spool.status().records, spool.status().segments), (1, 1));
    reader.acknowledge(rest[1].to).unwrap();
    assert_eq!((spool.status().records, spool.status().oldest), (0, rest[1].to));
}

#[tokio::test]
async fn a_folder_has_one_process_and_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), Promise::Spooled);
    let (spool, reader) = open(&options);
    assert!(matches!(refusal(&options), SpoolError::InUse(used) if used == options.folder));
    drop(spool);
    assert!(matches!(refusal(&options), SpoolError::InUse(_)));
    drop(reader);
    open(&options);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(options.folder.clone()), 0o700);
    for entry in fs::read_dir(&options.folder).unwrap() {
        assert_eq!(mode(entry.unwrap().path()), 0o600);
    }
}

#[tokio::test]
async fn a_record_that_was_not_wholly_written_is_cut_off_and_no_other_one() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), Promise::Spooled);
    let (spool, mut reader) = open(&options);
    append(&spool, &["one", "two", "the last one"]).await;
    let two = reader.next_batch(2, 1_000).await.unwrap().to;
    let end = reader.next_batch(1, 1_000).await.unwrap().to;
    let left = killed(&options, folder.path());
    let path = segment::path(&left.folder, end.segment);
    let whole = fs::read(&path).unwrap();
    assert_eq!(whole.len() as u64, end.offset);
    for length in two.offset..end.offset {
        // Also where the file had grown already and nothing was written there.
        for zeros in [0, end.offset - length] {
            fs::remove_dir_all(&left.folder).unwrap();
            fs::create_dir(&left.folder).unwrap();
            let cut = &whole[..usize::try_from(length).unwrap()];
            fs::write(&path, [cut, &vec![0; usize::try_from(zeros).unwrap()]].concat()).unwrap();
            let (spool, mut reader) = open(&left);
            assert_eq!(fs::metadata(&path).unwrap().len(), two.offset);
            append(&spool, &["three"]).await;
            let found = batches(&mut reader).await;
            assert_eq!(texts(&found), ["one", "two", "three"]);
            assert!(found.iter().all(|batch| batch.damaged.is_none()));
            assert_eq!(spool.status().damaged_bytes, 0);
        }
    }
}

#[tokio::test]
async fn a_segment_whose_header_was_not_wholly_written_was_never_there() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), Promise::Spooled);
    let (spool, _reader) = open(&options);
    append(&spool, &["one"]).await;
    for length in 0..HEADER_BYTES {
        let left = killed(&options, folder.path());
        let begun = segment::path(&left.folder, 9);
        let header = fs::read(segment::path(&left.folder, 1)).unwrap();
        fs::write(&begun, &header[..usize::try_from(length).unwrap()]).unwrap();
        let (spool, mut reader) = open(&left);
        assert!(!begun.exists());
        assert_eq!((all(&mut reader).await, spool.status().damaged_places), (vec!["one".to_owned()], 0));
        drop((spool, reader));
        fs::remove_dir_all(&left.folder).unwrap();
    }
}

#[tokio::test]
async fn no_position_is_given_twice_even_if_all_is_shipped_or_the_newest_files_are_lost() {
    let folder = tempfile::tempdir().unwrap();
    let options = small(folder.path());
    let mut last = Position::default();
    let mut seek_and_ship = async |reader: &mut SpoolReader, text: &str| {
        assert_eq!(reader.seek(last).await.unwrap(), Sought::There);
        let batches = batches(reader).await;
        assert_eq!(texts(&batches), [text]);
        assert!(batches[0].to > last);
        last = batches[0].to;
        reader.acknowledge(last).unwrap();
        last
    };
    for number in 0..5 {
        let (spool, mut reader) = open(&options);
        let text = number.to_string();
        append(&spool, &[&text]).await;
        seek_and_ship(&mut reader, &text).await;
        // Some that do nothing, and end.
        drop((spool, reader));
        open(&options);
        open(&options);
    }
    // The machine ends: what was shipped is lost here, with the segments that it was in.
    let (spool, mut reader) = open(&options);
    let left = killed(&options, folder.path());
    assert_eq!(reader.seek(last).await.unwrap(), Sought::There);
    for number in 0..50 {
        append(&spool, &[&"x".repeat(300)]).await;
        let batch = reader.next_batch(10, 10_000).await.unwrap();
        assert_eq!(batch.len(), 1, "{number}");
        reader.acknowledge(batch.to).unwrap();
        last = batch.to;
    }
    let (spool, mut reader) = open(&left);
    append(&spool, &["after"]).await;
    assert_eq!(reader.seek(last).await.unwrap(), Sought::There);
    assert_eq!(all(&mut reader).await, ["after"]);
}

#[tokio::test]
async fn a_position_is_found_or_told_to_be_gone_or_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let options = small(folder.path());
    let (spool, mut reader) = open(&options);
    let records: Vec<_> = (0..12).map(|number| format!("{number:0300}")).collect();
    append(&spool, &records.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut ends = vec![reader.begins()];
    for _ in &records {
        ends.push(reader.next_batch(1, 1).await.unwrap().to);
    }
    assert!(reader.next_batch(1, 1).await.unwrap().is_empty());
    for (number, end) in ends.iter().enumerate() {
        assert_eq!(reader.seek(*end).await.unwrap(), Sought::There, "{end}");
        assert_eq!(spool.status().records, 12 - number as u64);
        assert_eq!(all(&mut reader).await, records[number..]);
    }
    assert_eq!(reader.seek(Position::default()).await.unwrap(), Sought::There);
    assert_eq!(all(&mut reader).await, records);

    // Everything up to the sixth is acknowledged: the first segments are gone.
    reader.acknowledge(ends[6]).unwrap();
    let begins = reader.begins();
    let gone = ends.iter().filter(|end| end.segment < begins.segment).count();
    assert!(gone >= 2, "{begins}");
    for (number, end) in ends.iter().enumerate() {
        // The end of the last segment that is gone is the beginning of what is there.
        let (sought, from) =
            if number + 1 < gone { (Sought::Gone, gone - 1) } else { (Sought::There, number) };
        assert_eq!(reader.seek(*end).await.unwrap(), sought, "{number}");
        assert_eq!(all(&mut reader).await, records[from..]);
    }
    let newest = ends[12];
    for unknown in [
        Position::new(newest.segment, newest.offset + 1),
        Position::new(newest.segment + 1, 0),
        Position::new(newest.segment, newest.offset - 1),
    ] {
        assert_eq!(reader.seek(unknown).await.unwrap(), Sought::Unknown, "{unknown}");
        assert_eq!(all(&mut reader).await, records[gone - 1..]);
    }
}

#[tokio::test]
async fn what_was_not_read_is_not_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(&options(folder.path(), Promise::Spooled));
    append(&spool, &["one", "two"]).await;
    let end = spool.status().end;
    assert!(matches!(reader.acknowledge(end), Err(SpoolError::NotRead(at)) if at == end));
    let first = reader.next_batch(1, 1_000).await.unwrap();
    assert!(matches!(reader.acknowledge(end), Err(SpoolError::NotRead(_))));
    reader.acknowledge(first.to).unwrap();
    assert_eq!(spool.status().records, 1);
}
