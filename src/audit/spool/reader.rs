//! The reading end: whole, checked records in their order, until they are acknowledged.

use std::{collections::VecDeque, fs::File, io, ops::Range, sync::Arc};

use super::{
    Position, SpoolError,
    book::Kept,
    frame::{self, Found, HEAD_BYTES, Piece},
    segment::{self, HEADER_BYTES},
    shared::Shared,
};

/// Records one behind the other; or a place where there is no record any more; or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where the reader stood.
    pub from: Position,
    /// Where it stands now: to be acknowledged when all of this is kept elsewhere.
    pub to: Position,
    /// Something else lies here than was written. Such a batch has no records.
    pub damaged: Option<Damage>,
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

/// A place where something else lies than was written: records are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins.
    pub from: Position,
    /// How long it is, in bytes.
    pub bytes: u64,
}

impl Batch {
    /// The records, in their order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.ranges.iter().map(|range| self.bytes.get(range.clone()).unwrap_or_default())
    }

    /// How many records.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is nothing to be read, for now.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.damaged.is_none()
    }
}

/// What a spool knows of a position that somebody else remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// Everything behind it is there.
    There,
    /// Records behind it were acknowledged and are gone: who remembers the position has been set back. The reader
    /// stands at the oldest record that there is.
    Gone,
    /// This spool never gave it: the folder has been set back. The reader stands at the oldest record that there is,
    /// and may give what was given before.
    Unknown,
}

/// The reading end, for the one that ships records.
#[derive(Debug)]
pub struct SpoolReader {
    shared: Arc<Shared>,
    at: Position,
    /// The ends of batches that are not acknowledged, with their records.
    given: VecDeque<(Position, u64)>,
    file: Option<(u64, Arc<File>)>,
}

impl SpoolReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let at = shared.lock_book().begin();
        Self { shared, at, given: VecDeque::new(), file: None }
    }

    /// Where the oldest record begins that is there.
    pub fn begins(&self) -> Position {
        self.shared.lock_book().begin()
    }

    /// Goes to a position that an earlier batch ended with, of this process or another one.
    ///
    /// # Errors
    ///
    /// If the segment cannot be read. Then the reader stands where it stood.
    pub async fn seek(&mut self, to: Position) -> Result<Sought, SpoolError> {
        let (begin, follows, end, inside) = {
            let book = self.shared.lock_book();
            let follows = book.segments.front().map_or(Position::default(), |oldest| oldest.follows);
            let inside =
                book.segments.iter().find(|kept| kept.number == to.segment && to.offset < kept.bytes);
            (book.begin(), follows, book.end(), inside.copied())
        };
        let (sought, at, before) = if to < follows {
            (Sought::Gone, begin, 0)
        } else if to > end {
            (Sought::Unknown, begin, 0)
        } else if let Some(kept) = inside.filter(|_| to.offset > HEADER_BYTES) {
            match self.records_before(kept, to).await? {
                Some(records) => (Sought::There, to, records),
                None => (Sought::Unknown, begin, 0),
            }
        } else {
            (Sought::There, to, 0)
        };
        self.at = at;
        self.given.clear();
        let mut book = self.shared.lock_book();
        book.acknowledged = at;
        for kept in &mut book.segments {
            kept.acknowledged = match kept.first_unread(at) {
                HEADER_BYTES => 0,
                offset if offset >= kept.bytes => kept.records,
                _ => before,
            };
        }
        drop(book);
        Ok(sought)
    }

    /// Counts the records of a segment that end before a position. `None` if none ends there.
    async fn records_before(&mut self, kept: Kept, to: Position) -> Result<Option<u64>, SpoolError> {
        let most = usize::try_from(kept.bytes).unwrap_or(usize::MAX);
        let file = self.file_of(kept.number).map_err(|source| self.shared.error("read", source))?;
        let bytes = blocking(move || segment::read(&file, 0, most)).await;
        let bytes = bytes.map_err(|source| self.shared.error("read", source))?;
        let (mut records, mut at) = (0, HEADER_BYTES as usize);
        for piece in frame::pieces(&bytes, at) {
            match piece {
                _ if at as u64 >= to.offset => break,
                Piece::Record(range) => (records, at) = (records + 1, range.end),
                Piece::Damaged(range) => at = range.end,
                Piece::Rest(_) => break,
            }
        }
        Ok((at as u64 == to.offset).then_some(records))
    }

    /// The next records: at most so many, and not much more than so many bytes, but at least one if there is one.
    /// Records that are not acknowledged are not given again until somebody [seeks](Self::seek).
    ///
    /// # Errors
    ///
    /// If a segment cannot be read. Then the reader stands where it stood.
    pub async fn next_batch(&mut self, most_records: usize, most_bytes: usize) -> Result<Batch, SpoolError> {
        let from = self.at;
        let Some(kept) = self.shared.lock_book().place(from) else {
            return Ok(Batch { from, to: from, damaged: None, bytes: Vec::new(), ranges: Vec::new() });
        };
        let offset = kept.first_unread(from);
        let read = match self.file_of(kept.number) {
            // Somebody removed it: what was in it is lost, and what comes behind it is not.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Part::Damaged(kept.bytes - offset)),
            Err(error) => Err(error),
            Ok(file) => {
                let (most_records, most_bytes) = (most_records.max(1), most_bytes.max(HEAD_BYTES));
                blocking(move || read(&file, offset, kept.bytes - offset, most_records, most_bytes)).await
            }
        };
        let read = read.map_err(|source| self.shared.error("read", source))?;
        let (length, damaged, bytes, ranges) = match read {
            Part::Records { length, bytes, ranges } => (length as u64, None, bytes, ranges),
            Part::Damaged(bytes) => {
                let damage = Damage { from: Position::new(kept.number, offset), bytes };
                (bytes, Some(damage), Vec::new(), Vec::new())
            }
        };
        if let Some(damage) = damaged {
            self.note(damage);
        }
        self.at = Position::new(kept.number, offset + length);
        self.given.push_back((self.at, ranges.len() as u64));
        Ok(Batch { from, to: self.at, damaged, bytes, ranges })
    }

    fn note(&self, damage: Damage) {
        tracing::warn!(
            segment = damage.from.segment,
            offset = damage.from.offset,
            bytes = damage.bytes,
            "records of the decision log are damaged and lost: the segment will be kept aside"
        );
        let mut book = self.shared.lock_book();
        book.damaged_places += 1;
        book.damaged_bytes += damage.bytes;
        if let Some(kept) = book.segment(damage.from.segment) {
            kept.damaged = true;
        }
    }

    fn file_of(&mut self, number: u64) -> io::Result<Arc<File>> {
        if let Some((open, file)) = &self.file
            && *open == number
        {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(segment::path(&self.shared.options.folder, number))?);
        self.file = Some((number, Arc::clone(&file)));
        Ok(file)
    }

    /// Returns when there may be something to be read.
    pub async fn wait(&self) {
        while self.shared.lock_book().place(self.at).is_none() {
            self.shared.news.notified().await;
        }
    }

    /// What was read up to here, where a batch ended, is kept elsewhere. Removes the segments that end before it, but
    /// for the one that is written to; damaged ones are kept aside.
    ///
    /// # Errors
    ///
    /// If it was not read yet, or if a segment cannot be removed: then the next call tries again.
    pub fn acknowledge(&mut self, to: Position) -> Result<(), SpoolError> {
        if to > self.at {
            return Err(SpoolError::NotRead(to));
        }
        let mut book = self.shared.lock_book();
        book.acknowledged = book.acknowledged.max(to);
        while let Some((end, records)) = self.given.front().copied().filter(|(end, _)| *end <= to) {
            self.given.pop_front();
            if let Some(kept) = book.segment(end.segment) {
                kept.acknowledged += records;
            }
        }
        // Files are removed without the book, which those who write need.
        while let Some(done) = book.done() {
            drop(book);
            self.remove(done)?;
            book = self.shared.lock_book();
            book.segments.pop_front();
            drop(book);
            self.shared.gave_back(done.bytes);
            book = self.shared.lock_book();
        }
        Ok(())
    }

    fn remove(&mut self, done: Kept) -> Result<(), SpoolError> {
        self.file.take_if(|(number, _)| *number == done.number);
        let folder = &self.shared.options.folder;
        let put_away = if done.damaged { segment::put_aside } else { segment::remove };
        put_away(folder, done.number).map_err(|source| self.shared.error("remove a segment of", source))
    }
}

/// What lies in a part of a segment.
enum Part {
    Records { length: usize, bytes: Vec<u8>, ranges: Vec<Range<usize>> },
    Damaged(u64),
}

/// Reads the part of a segment from a place to where it ends, or less.
fn read(file: &File, from: u64, left: u64, most_records: usize, most_bytes: usize) -> io::Result<Part> {
    let left_bytes = usize::try_from(left).unwrap_or(usize::MAX);
    let mut bytes = segment::read(file, from, left_bytes.min(most_bytes))?;
    if let Found::Part(needed) = frame::look(&bytes, 0)
        && needed <= left_bytes
    {
        bytes = segment::read(file, from, needed.max(HEAD_BYTES))?;
        if let Found::Part(needed) = frame::look(&bytes, 0)
            && needed <= left_bytes
        {
            bytes = segment::read(file, from, needed)?;
        }
    }
    let (mut ranges, mut length) = (Vec::new(), 0);
    while ranges.len() < most_records
        && let Found::Record(range) = frame::look(&bytes, length)
    {
        length = range.end;
        ranges.push(range);
    }
    if !ranges.is_empty() {
        return Ok(Part::Records { length, bytes, ranges });
    }
    // No record where one was written. Where this segment ends, none is cut in two.
    let rest = segment::read(file, from, left_bytes)?;
    Ok(Part::Damaged(frame::behind_wrong(&rest, 0).map_or(left, |next| next as u64)))
}

/// Does what may wait for a disk where it holds up no other task.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::from(error)))
}
