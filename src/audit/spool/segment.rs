//! The files of a spool: their names, their headers, how they are made and put away.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::{Position, frame};

/// How long a header is, in bytes: the first record's offset.
pub(super) const HEADER_BYTES: u64 = 56;

const MAGIC: [u8; 8] = *b"regspool";

/// Raised when segments are written so that an older regate cannot read them.
const VERSION: u32 = 1;

/// Numbers that one process can use before those of the next one begin. A process leaves the rest of its numbers
/// unused: a machine that stops may lose the newest files, and no number may ever be used twice.
const NUMBERS_OF_A_PROCESS: u64 = 1_000_000;

/// The first number for a process, given the greatest that there is.
pub(super) fn number_behind(greatest: Option<u64>) -> u64 {
    let behind = |number: u64| (number / NUMBERS_OF_A_PROCESS + 1).saturating_mul(NUMBERS_OF_A_PROCESS);
    greatest.map_or(1, |number| behind(number).saturating_add(1))
}

/// What stands at the beginning of each segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Whose segment it is.
    pub spool: Uuid,
    /// Which of them.
    pub number: u64,
    /// Where the last record before this segment ends.
    pub follows: Position,
}

/// What the beginning of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// A segment begins here.
    Header(Header),
    /// A segment of a newer regate.
    Newer,
    /// Something else, or the half of a header.
    Wrong,
}

impl Header {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES as usize);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(self.spool.as_bytes());
        for number in [self.number, self.follows.segment, self.follows.offset] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }
}

/// Reads the beginning of a file.
pub(super) fn beginning(bytes: &[u8]) -> Beginning {
    header(bytes).unwrap_or(Beginning::Wrong)
}

fn header(bytes: &[u8]) -> Option<Beginning> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (version, rest) = rest.split_first_chunk::<4>()?;
    if *magic != MAGIC {
        return None;
    }
    if u32::from_le_bytes(*version) > VERSION {
        return Some(Beginning::Newer);
    }
    let (id, rest) = rest.split_first_chunk::<16>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (segment, rest) = rest.split_first_chunk::<8>()?;
    let (offset, rest) = rest.split_first_chunk::<8>()?;
    let sum = rest.first_chunk::<4>()?;
    if crc32fast::hash(bytes.get(..52)?) != u32::from_le_bytes(*sum) {
        return None;
    }
    let follows = Position::new(u64::from_le_bytes(*segment), u64::from_le_bytes(*offset));
    let header = Header { spool: Uuid::from_bytes(*id), number: u64::from_le_bytes(*number), follows };
    Some(Beginning::Header(header))
}

/// The file of a segment.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}.segment"))
}

/// The numbers of all segments in a folder, the oldest first.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = PathBuf::from(entry?.file_name());
        if name.extension() == Some(OsStr::new("segment"))
            && let Some(number) = name.file_stem().and_then(OsStr::to_str).and_then(|n| n.parse().ok())
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes a segment with its header. Nothing is there if that fails, as far as it can be removed again.
pub(super) fn create(folder: &Path, header: &Header, lasting: bool) -> io::Result<File> {
    let path = path(folder, header.number);
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    let written = file.write_all_at(&header.bytes(), 0).and_then(|()| {
        if lasting {
            file.sync_all()?;
            sync_folder(folder)?;
        }
        Ok(())
    });
    if let Err(error) = written {
        let _ = fs::remove_file(&path);
        return Err(error);
    }
    Ok(file)
}

/// Makes what was made, renamed and removed in a folder last through an end of the machine.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes a segment; that it is not there is no error.
pub(super) fn remove(folder: &Path, number: u64) -> io::Result<()> {
    match fs::remove_file(path(folder, number)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Keeps a damaged segment for people: no spool looks at it again. That it is not there is no error.
pub(super) fn put_aside(folder: &Path, number: u64) -> io::Result<()> {
    let path = path(folder, number);
    match fs::rename(&path, path.with_extension("damaged")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Reads a part of a file, to its end if that comes first.
pub(super) fn read(file: &File, from: u64, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    let mut count = 0;
    while count < most {
        let Some(room) = bytes.get_mut(count..) else { break };
        match file.read_at(room, from + count as u64) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(count);
    Ok(bytes)
}

/// What a whole segment holds, seen without knowing where it ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Records that can be read.
    pub records: u64,
    /// Where what counts ends, in bytes. Behind it is what was never wholly written.
    pub end: u64,
}

/// Goes through a whole segment.
pub(super) fn contents(bytes: &[u8]) -> Contents {
    let mut contents = Contents { records: 0, end: bytes.len() as u64 };
    for piece in frame::pieces(bytes, HEADER_BYTES as usize) {
        match piece {
            frame::Piece::Record(_) => contents.records += 1,
            frame::Piece::Damaged(_) => {}
            // Damage leaves records behind it; a write that did not come to its end leaves none.
            frame::Piece::Rest(from) if frame::any_behind(bytes, from) => {}
            frame::Piece::Rest(from) => contents.end = from as u64,
        }
    }
    contents
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use uuid::Uuid;

    use super::{
        Beginning, HEADER_BYTES, Header, beginning, create, number_behind, numbers, path, put_aside,
    };
    use crate::audit::spool::Position;

    const HEADER: Header = Header { spool: Uuid::from_u128(7), number: 12, follows: Position::new(11, 900) };

    #[test]
    fn a_header_is_read_as_it_was_written_and_no_changed_one_is() {
        let bytes = HEADER.bytes();
        assert_eq!(bytes.len() as u64, HEADER_BYTES);
        assert_eq!(beginning(&bytes), Beginning::Header(HEADER));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(beginning(&changed), Beginning::Header(_)), "{bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(beginning(&bytes[..length]), Beginning::Wrong);
        }
        let newer = [&bytes[..8], &2_u32.to_le_bytes(), &bytes[12..]].concat();
        assert_eq!(beginning(&newer), Beginning::Newer);
    }

    #[test]
    fn a_process_begins_with_numbers_that_no_other_had() {
        assert_eq!(number_behind(None), 1);
        assert_eq!(number_behind(Some(1)), 1_000_001);
        assert_eq!(number_behind(Some(1_000_001)), 2_000_001);
        assert_eq!(number_behind(Some(2_999_999)), 3_000_001);
    }

    #[test]
    fn segments_are_private_found_by_name_and_put_aside_once() {
        let folder = tempfile::tempdir().unwrap();
        for number in [12, 3] {
            create(folder.path(), &Header { number, ..HEADER }, true).unwrap();
        }
        for other in ["lock", "x.segment", "7.damaged"] {
            std::fs::write(folder.path().join(other), "").unwrap();
        }
        assert_eq!(numbers(folder.path()).unwrap(), [3, 12]);
        let mode = path(folder.path(), 3).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        create(folder.path(), &HEADER, false).expect_err("it is there");
        for _ in 0..2 {
            put_aside(folder.path(), 12).unwrap();
        }
        assert_eq!(numbers(folder.path()).unwrap(), [3]);
        assert!(path(folder.path(), 12).with_extension("damaged").exists());
    }
}
