//! What a spool does as a whole, on real files.

mod damage;
mod errors;
mod full;
mod killed;
mod left;
mod model;
mod together;

use std::{fs, path::Path};

use uuid::Uuid;

use super::{Batch, Position, Promise, Spool, SpoolError, SpoolOptions, SpoolReader, segment};

const PROMISES: [Promise; 2] = [Promise::Durable, Promise::Spooled];

fn options(folder: &Path, promise: Promise) -> SpoolOptions {
    SpoolOptions { folder: folder.join("spool"), promise, max_bytes: 64 << 20, segment_bytes: 16 << 20 }
}

/// With segments that end after a few records.
fn small(folder: &Path) -> SpoolOptions {
    SpoolOptions { max_bytes: 8_000, segment_bytes: 1_000, ..options(folder, Promise::Spooled) }
}

fn open(options: &SpoolOptions) -> (Spool, SpoolReader) {
    Spool::open(options, Uuid::from_u128(1)).unwrap()
}

fn refusal(options: &SpoolOptions) -> SpoolError {
    Spool::open(options, Uuid::from_u128(1)).expect_err("a refusal")
}

/// Everything that is there, batch by batch.
async fn batches(reader: &mut SpoolReader) -> Vec<Batch> {
    let mut batches = Vec::new();
    loop {
        let batch = reader.next_batch(100, 1_000_000).await.unwrap();
        if batch.is_empty() {
            assert_eq!(batch.from, batch.to);
            return batches;
        }
        batches.push(batch);
    }
}

fn texts(batches: &[Batch]) -> Vec<String> {
    let records = batches.iter().flat_map(Batch::records);
    records.map(|record| String::from_utf8(record.to_vec()).unwrap()).collect()
}

async fn all(reader: &mut SpoolReader) -> Vec<String> {
    texts(&batches(reader).await)
}

async fn append(spool: &Spool, records: &[&str]) {
    for record in records {
        spool.append(record.as_bytes()).await.unwrap();
    }
}

/// The folder as a process leaves it that is killed at this moment.
fn killed(options: &SpoolOptions, folder: &Path) -> SpoolOptions {
    let left = SpoolOptions { folder: folder.join("left"), ..options.clone() };
    fs::create_dir_all(&left.folder).unwrap();
    for entry in fs::read_dir(&options.folder).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), left.folder.join(entry.file_name())).unwrap();
    }
    left
}

/// Changes one byte of a segment.
fn spoil(options: &SpoolOptions, at: Position) {
    let path = segment::path(&options.folder, at.segment);
    let mut bytes = fs::read(&path).unwrap();
    bytes[usize::try_from(at.offset).unwrap()] ^= 0x40;
    fs::write(&path, bytes).unwrap();
}
