//! What a spool holds: its segments, how far they may be read, and the counts.

use std::{cmp::Ordering, collections::VecDeque, io};

use super::{
    Position,
    segment::{HEADER_BYTES, Header},
};

/// A segment that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub number: u64,
    /// Where the last record before it ends.
    pub follows: Position,
    /// How far it may be read, in bytes.
    pub bytes: u64,
    /// The records in it that can be read.
    pub records: u64,
    /// Of these, those that need no shipping any more.
    pub acknowledged: u64,
    /// Something in it could not be read.
    pub damaged: bool,
}

impl Kept {
    pub fn new(header: &Header, bytes: u64, records: u64) -> Self {
        Self {
            number: header.number,
            follows: header.follows,
            bytes,
            records,
            acknowledged: 0,
            damaged: false,
        }
    }

    /// Where in this segment what is unread begins when everything before a place is read, in bytes.
    pub fn first_unread(&self, at: Position) -> u64 {
        match self.number.cmp(&at.segment) {
            Ordering::Less => u64::MAX,
            Ordering::Equal => at.offset.max(HEADER_BYTES),
            Ordering::Greater => HEADER_BYTES,
        }
    }
}

/// What a spool holds.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// The oldest first; the last is the one that is written to.
    pub segments: VecDeque<Kept>,
    /// Everything before this needs no shipping any more.
    pub acknowledged: Position,
    pub appended: u64,
    pub failed: u64,
    pub written_groups: u64,
    pub synced_groups: u64,
    pub damaged_places: u64,
    pub damaged_bytes: u64,
    /// Why the last group was not written.
    pub failing: Option<io::ErrorKind>,
}

/// A change worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Failing(io::ErrorKind),
    Over,
}

impl Book {
    /// Notes what became of a group.
    pub fn note(
        &mut self,
        made: Option<&Header>,
        written: &io::Result<Position>,
        records: u64,
        synced: bool,
    ) -> Option<Turn> {
        self.segments.extend(made.map(|header| Kept::new(header, HEADER_BYTES, 0)));
        match written {
            Ok(end) => {
                if let Some(newest) = self.segments.back_mut() {
                    newest.bytes = end.offset;
                    newest.records += records;
                }
                self.appended += records;
                self.written_groups += 1;
                self.synced_groups += u64::from(synced);
                self.failing.take().map(|_| Turn::Over)
            }
            Err(error) => {
                self.failed += records;
                let kind = error.kind();
                (self.failing.replace(kind) != Some(kind)).then_some(Turn::Failing(kind))
            }
        }
    }

    /// Where the first record of what is there begins.
    pub fn begin(&self) -> Position {
        self.segments.front().map_or(Position::default(), |kept| Position::new(kept.number, HEADER_BYTES))
    }

    /// Behind the last record that may be read.
    pub fn end(&self) -> Position {
        self.segments.back().map_or(Position::default(), |kept| Position::new(kept.number, kept.bytes))
    }

    /// The segment to read next when everything before this place is read.
    pub fn place(&self, at: Position) -> Option<Kept> {
        let mut left = self.segments.iter().filter(|kept| kept.bytes > kept.first_unread(at));
        left.next().copied()
    }

    /// The segment of this number, to note something.
    pub fn segment(&mut self, number: u64) -> Option<&mut Kept> {
        self.segments.iter_mut().find(|kept| kept.number == number)
    }

    /// The oldest segment, if all of it is acknowledged and it is not the one that is written to.
    pub fn done(&self) -> Option<Kept> {
        let oldest = self.segments.front().filter(|_| self.segments.len() > 1)?;
        (self.acknowledged >= Position::new(oldest.number, oldest.bytes)).then_some(*oldest)
    }

    /// Records that are not acknowledged.
    pub fn records(&self) -> u64 {
        self.segments.iter().map(|kept| kept.records.saturating_sub(kept.acknowledged)).sum()
    }
}
