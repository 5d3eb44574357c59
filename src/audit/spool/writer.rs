//! The one hand that writes: a group at a time, to the end of the newest segment.

use std::{fs::File, io, os::unix::fs::FileExt, path::PathBuf};

use uuid::Uuid;

use super::{
    Position,
    segment::{self, HEADER_BYTES, Header},
};

/// The newest segment, and how the next one is made.
#[derive(Debug)]
pub(super) struct Writer {
    pub folder: PathBuf,
    pub spool: Uuid,
    /// Whether what is written is on disk when it is said to be written.
    pub durable: bool,
    /// A segment that has reached this is followed by another one.
    pub segment_bytes: u64,
    /// None after an error that leaves it unknown what the file holds.
    pub file: Option<File>,
    /// Of the newest segment.
    pub number: u64,
    /// Where the last record ends. In the newest segment, or in an older one if there is none in it yet.
    pub follows: Position,
    /// How long the newest segment is, in bytes, as far as it counts.
    pub length: u64,
    /// A buffer to gather the next group in.
    pub spare: Vec<u8>,
}

impl Writer {
    /// Writes a group, wholly or not at all. A segment may be there behind an error, without a record.
    pub fn write(&mut self, group: &[u8]) -> (io::Result<Position>, Option<Header>) {
        let made = match self.room(group.len() as u64) {
            Ok(made) => made,
            Err(error) => return (Err(error), None),
        };
        (self.put(group), made)
    }

    /// Sees to a segment for so many bytes.
    fn room(&mut self, bytes: u64) -> io::Result<Option<Header>> {
        let room = self.length == HEADER_BYTES || self.length + bytes <= self.segment_bytes;
        if room && self.file.is_some() {
            return Ok(None);
        }
        // A number is not tried twice: what is left of a segment that could not be made must not be in the way.
        self.number += 1;
        self.file = None;
        let header = Header { spool: self.spool, number: self.number, follows: self.follows };
        self.file = Some(segment::create(&self.folder, &header, self.durable)?);
        self.length = HEADER_BYTES;
        Ok(Some(header))
    }

    fn put(&mut self, group: &[u8]) -> io::Result<Position> {
        let Some(file) = &self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let written = file.write_all_at(group, self.length);
        let synced = if self.durable && written.is_ok() { file.sync_data() } else { Ok(()) };
        if written.is_err() || synced.is_err() {
            let cut = file.set_len(self.length);
            // After a sync that failed nobody knows what of the file is on disk.
            if cut.is_err() || synced.is_err() {
                self.file = None;
            }
        }
        written.and(synced)?;
        self.length += group.len() as u64;
        self.follows = Position::new(self.number, self.length);
        Ok(self.follows)
    }

    /// Makes what is written last through an end of the machine.
    pub fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }
}
