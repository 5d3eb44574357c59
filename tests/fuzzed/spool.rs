//! The spool's files: whatever lies in them, reading them gives no record that does not stand there with its checksum, and
//! loses none of an untouched file; and the spool is written to as before.

use std::{
    fs,
    path::{Path, PathBuf},
};

use regate::audit::{DecisionRecord, Promise, Spool, SpoolError, SpoolOptions, SpoolReader};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::world::post;

/// What is appended behind whatever was found.
const FRESH: &[u8] = b"appended behind it";
/// More edits than this teach nothing.
const MOST_EDITS: usize = 32;
/// A file does not grow beyond this.
const MOST_BYTES: usize = 64 * 1024;

struct Place {
    runtime: Runtime,
    /// The files of a good spool, the oldest first, and the records in each.
    good: Vec<SpoolFile>,
}

#[derive(Clone)]
struct SpoolFile {
    name: PathBuf,
    bytes: Vec<u8>,
    records: Vec<Vec<u8>>,
    touched: bool,
}

thread_local! {
    static PLACE: Place = Place::new();
}

/// What the bytes are: an even first byte, and a file as it lies there; or an odd one, and edits to good files.
pub fn holds(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    is_a_record_or_none(rest);
    PLACE.with(|place| {
        let files = if first % 2 == 0 {
            let bytes = rest.to_vec();
            vec![SpoolFile { name: segment(1), bytes, records: Vec::new(), touched: true }]
        } else {
            place.edited(rest)
        };
        place.runtime.block_on(is_read_and_written(&files));
    });
}

/// A record that can be read can be told, and written as it was.
fn is_a_record_or_none(bytes: &[u8]) {
    let Ok(record) = DecisionRecord::read_compact(bytes) else { return };
    assert!(record.to_json().is_object());
    let mut again = Vec::new();
    record.write_compact(&mut again).expect("what was read is written");
    assert!(DecisionRecord::read_compact(&again) == Ok(record), "what was written is read otherwise");
}

fn segment(number: u64) -> PathBuf {
    PathBuf::from(format!("{number:020}.segment"))
}

fn options(folder: &Path) -> SpoolOptions {
    let folder = folder.to_owned();
    SpoolOptions { folder, promise: Promise::Spooled, max_bytes: 1024 * 1024, segment_bytes: 512 }
}

async fn is_read_and_written(files: &[SpoolFile]) {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        fs::write(folder.path().join(&file.name), &file.bytes).unwrap();
    }
    let (spool, mut reader) = match Spool::open(&options(folder.path()), Uuid::from_u128(1)) {
        Ok(opened) => opened,
        // What a newer regate wrote is left alone.
        Err(SpoolError::Newer(_)) => return,
        Err(error) => panic!("the spool is not opened: {error:?}"),
    };
    spool.append(FRESH).await.expect("it is written to");
    let found = all(&mut reader).await;
    let (fresh, found) = found.split_last().expect("what was just written");
    assert!(fresh == FRESH, "what was just written is not read last");
    for record in found {
        let stands = files.iter().any(|file| stands_in(&file.bytes, record));
        assert!(stands, "a record that nobody wrote is read");
    }
    let mut left = found.iter();
    for kept in files.iter().filter(|file| !file.touched).flat_map(|file| &file.records) {
        assert!(left.any(|record| record == kept), "a record of an untouched file is lost");
    }
    drop((spool, reader));
    // The same once more: nothing was lost by opening it.
    let (spool, mut reader) =
        Spool::open(&options(folder.path()), Uuid::from_u128(2)).expect("it is opened again");
    let again = all(&mut reader).await;
    assert!(again.len() == found.len() + 1 && again.starts_with(found), "opening it changed what is read");
    drop((spool, reader));
}

async fn all(reader: &mut SpoolReader) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    loop {
        let batch = reader.next_batch(3, 100).await.expect("it is read");
        if batch.is_empty() {
            return records;
        }
        assert!(batch.to > batch.from, "reading does not go on");
        records.extend(batch.records().map(<[u8]>::to_vec));
    }
}

/// Whether a record stands somewhere in these bytes, with its length and checksum before it.
fn stands_in(bytes: &[u8], record: &[u8]) -> bool {
    let length = u32::try_from(record.len()).unwrap().to_le_bytes();
    let sum = crc32fast::hash(&[&length, record].concat()).to_le_bytes();
    let whole = [&length, &sum, record].concat();
    bytes.windows(whole.len()).any(|window| window == whole)
}

impl Place {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut records: Vec<Vec<u8>> = vec![b"one".to_vec(), Vec::new(), vec![0; 40]];
        for question in
            [r#"{"request":{"method":"GET","path":"/"}}"#, r#"{"request":{"method":"X","path":"/..?a=b"}}"#]
        {
            records.extend(post("/v1/decide", question).compact);
        }
        let good = runtime.block_on(good_files(&records));
        Self { runtime, good }
    }

    /// The good files after these edits, of five bytes each: which file, what is done to it, where (two bytes), with what.
    fn edited(&self, edits: &[u8]) -> Vec<SpoolFile> {
        let mut files = self.good.clone();
        for edit in edits.chunks_exact(5).take(MOST_EDITS) {
            let [which, what, high, low, value] = *edit else { continue };
            let index = usize::from(which) % files.len();
            let file = &mut files[index];
            file.touched = true;
            let place = usize::from(u16::from_be_bytes([high, low])) % (file.bytes.len() + 1);
            let many = usize::from(value);
            match what % 7 {
                0 => file.bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= value),
                1 => file.bytes.truncate(place),
                2 => file.bytes.iter_mut().skip(place).take(many).for_each(|byte| *byte = 0),
                3 => file.bytes.extend(std::iter::repeat_n(high, many)),
                4 => file.bytes.extend_from_within(place..),
                5 => drop(file.bytes.drain(place..(place + many).min(file.bytes.len()))),
                _ => file.bytes.clear(),
            }
            file.bytes.truncate(MOST_BYTES);
        }
        files
    }
}

/// The records in a few files, as a process leaves them.
async fn good_files(records: &[Vec<u8>]) -> Vec<SpoolFile> {
    let folder = tempfile::tempdir().unwrap();
    let (spool, reader) = Spool::open(&options(folder.path()), Uuid::from_u128(1)).unwrap();
    for record in records {
        spool.append(record).await.unwrap();
    }
    drop((spool, reader));
    let mut names: Vec<PathBuf> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|name| name.extension().is_some_and(|end| end == "segment"));
    names.sort_unstable();
    let mut left = records.to_vec();
    let files = names.into_iter().map(|path| {
        let bytes = fs::read(&path).unwrap();
        let (within, behind) = left.drain(..).partition(|record| stands_in(&bytes, record));
        left = behind;
        SpoolFile { name: path.file_name().unwrap().into(), bytes, records: within, touched: false }
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use super::{PLACE, is_read_and_written, stands_in};

    #[test]
    fn good_files_are_read_whole_and_what_was_not_written_would_be_noticed() {
        PLACE.with(|place| {
            assert!(place.good.len() > 1 && place.good.iter().all(|file| !file.records.is_empty()));
            place.runtime.block_on(is_read_and_written(&place.good));
            let file = &place.good[0];
            assert!(stands_in(&file.bytes, &file.records[0]) && !stands_in(&file.bytes, b"two"));
        });
    }
}
