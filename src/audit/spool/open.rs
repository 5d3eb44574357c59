//! From a folder that another process left, however it ended, to a spool.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use uuid::Uuid;

use super::{
    Position, Promise, SpoolError, SpoolOptions,
    book::{Book, Kept},
    segment::{self, Beginning, HEADER_BYTES, Header},
    shared::Shared,
    writer::Writer,
};

/// Opens a folder for this process alone.
pub(super) fn open(options: &SpoolOptions, new_id: Uuid) -> Result<Shared, SpoolError> {
    let folder = &options.folder;
    let failed = |what| move |source| SpoolError::Io { what, folder: folder.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("make the folder of"))?;
    let lock = lock(folder)?;
    let mut found = find(folder, new_id)?;
    let header = Header { spool: found.spool, number: found.next, follows: found.follows };
    // Only when the new segment is there for good may an older one go that is empty: a number is never used twice.
    let file = segment::create(folder, &header, true).map_err(failed("begin a segment of"))?;
    for number in found.empty {
        segment::remove(folder, number).map_err(failed("remove an empty segment of"))?;
    }
    found.book.segments.push_back(Kept::new(&header, HEADER_BYTES, 0));
    let writer = Writer {
        folder: folder.clone(),
        spool: header.spool,
        durable: options.promise == Promise::Durable,
        segment_bytes: options.segment_bytes.min(options.max_bytes / 4),
        file: Some(file),
        number: header.number,
        follows: header.follows,
        length: HEADER_BYTES,
        spare: Vec::new(),
    };
    Ok(Shared::new(options.clone(), found.book, writer, lock))
}

fn lock(folder: &Path) -> Result<File, SpoolError> {
    let failed = |source| SpoolError::Io { what: "lock", folder: folder.to_owned(), source };
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(folder.join("lock"));
    let file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SpoolError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// What was found in a folder.
struct Found {
    spool: Uuid,
    book: Book,
    /// Where the last record ends.
    follows: Position,
    /// The number of the segment to begin.
    next: u64,
    /// Segments in which no record is.
    empty: Vec<u64>,
}

fn find(folder: &Path, new_id: Uuid) -> Result<Found, SpoolError> {
    let failed = |source| SpoolError::Io { what: "read", folder: folder.to_owned(), source };
    let numbers = segment::numbers(folder).map_err(failed)?;
    let next = segment::number_behind(numbers.last().copied());
    let mut beginnings = Vec::with_capacity(numbers.len());
    for number in numbers {
        let file = File::open(segment::path(folder, number)).map_err(failed)?;
        let bytes = segment::read(&file, 0, HEADER_BYTES as usize).map_err(failed)?;
        match segment::beginning(&bytes) {
            Beginning::Newer => return Err(SpoolError::Newer(number)),
            Beginning::Header(header) if header.number == number => beginnings.push((number, Some(header))),
            Beginning::Header(_) | Beginning::Wrong => beginnings.push((number, None)),
        }
    }
    let newest = beginnings.iter().rev().find_map(|(_, header)| *header);
    let mut found = Found {
        spool: newest.map_or(new_id, |header| header.spool),
        book: Book::default(),
        follows: newest.map_or(Position::default(), |header| header.follows),
        next,
        empty: Vec::new(),
    };
    for (number, header) in beginnings {
        let header = header.filter(|header| header.spool == found.spool);
        found.take(folder, number, header).map_err(failed)?;
    }
    Ok(found)
}

impl Found {
    /// Sees what there is in one segment.
    fn take(&mut self, folder: &Path, number: u64, header: Option<Header>) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(segment::path(folder, number))?;
        let length = file.metadata()?.len();
        let bytes = segment::read(&file, 0, usize::try_from(length).map_err(io::Error::other)?)?;
        let Some(header) = header else {
            // A header is written before anything else is: without it, nothing was promised.
            if length <= HEADER_BYTES || bytes.iter().all(|byte| *byte == 0) {
                self.empty.push(number);
                return Ok(());
            }
            tracing::warn!(
                segment = number,
                bytes = length,
                "a segment of the decision log is damaged and kept aside"
            );
            self.book.damaged_places += 1;
            self.book.damaged_bytes += length;
            return segment::put_aside(folder, number);
        };
        let contents = segment::contents(&bytes);
        if contents.end < length {
            let cut = length - contents.end;
            tracing::info!(
                segment = number,
                bytes = cut,
                "cut off what was not wholly written to the decision log"
            );
            file.set_len(contents.end)?;
            file.sync_all()?;
        }
        if contents.end == HEADER_BYTES {
            self.empty.push(number);
            return Ok(());
        }
        self.follows = Position::new(number, contents.end);
        self.book.segments.push_back(Kept::new(&header, contents.end, contents.records));
        Ok(())
    }
}
