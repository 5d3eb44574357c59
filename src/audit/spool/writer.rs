//! The one hand that writes: a group at a time, to the end of the newest segment.

use std::{fs::File, io, os::unix::fs::FileExt, path::PathBuf};

use uuid::Uuid;

use super::{
    Position,
    segment::{self, HEADER_BYTES, Header},
};

/// How much of a file is made ready at once for writes that are synced, in bytes. A sync that finds the file as long
/// as before takes half the time.
const READY_BYTES: usize = 512 * 1024;

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
    /// Up to where the file is made ready, in bytes. What lies between is zeros: no record, and no damage.
    pub ready: u64,
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
        self.cut_to_length();
        // A number is not tried twice: what is left of a segment that could not be made must not be in the way.
        self.number += 1;
        self.file = None;
        let header = Header { spool: self.spool, number: self.number, follows: self.follows };
        self.file = Some(segment::create(&self.folder, &header, self.durable)?);
        self.length = HEADER_BYTES;
        self.ready = 0;
        Ok(Some(header))
    }

    fn put(&mut self, group: &[u8]) -> io::Result<Position> {
        let Some(file) = &self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let end = self.length + group.len() as u64;
        let written = file.write_all_at(group, self.length);
        if self.durable && written.is_ok() && end > self.ready {
            // It matters for speed alone: if there is no room for it, there may be for the next group.
            let ready = file.write_all_at(&vec![0; READY_BYTES], end).is_ok();
            self.ready = if ready { end + READY_BYTES as u64 } else { end };
        }
        let synced = if self.durable && written.is_ok() { file.sync_data() } else { Ok(()) };
        if written.is_err() || synced.is_err() {
            self.ready = 0;
            let cut = file.set_len(self.length);
            // After a sync that failed nobody knows what of the file is on disk.
            if cut.is_err() || synced.is_err() {
                self.file = None;
            }
        }
        written.and(synced)?;
        self.length = end;
        self.follows = Position::new(self.number, self.length);
        Ok(self.follows)
    }

    /// Takes back what was made ready and not used. If it cannot be, whoever opens the folder next does.
    fn cut_to_length(&mut self) {
        if let Some(file) = self.file.as_ref().filter(|_| self.ready > self.length) {
            let _ = file.set_len(self.length);
        }
        self.ready = 0;
    }

    /// Makes what is written last through an end of the machine, when nothing more comes.
    pub fn finish(&mut self) -> io::Result<()> {
        self.cut_to_length();
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }
}
