//! Lines of files, one at a time, of bounded length.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use super::log::LogLines;
use crate::cli::exit::CommandError;

/// A longer line is not kept: a question may have a megabyte by default, and a record has its answer beside it.
pub(super) const LONGEST_LINE: usize = 4 * 1024 * 1024;
/// So much is read at once.
const BUFFER: usize = 256 * 1024;

/// A line, or what is known of it.
pub(super) enum Line<'a> {
    /// Its bytes, without the line break.
    Text(&'a [u8]),
    /// It is longer than [`LONGEST_LINE`], and was passed over.
    TooLong,
}

/// Where lines come from.
pub(super) enum Input {
    /// Files.
    Files(Lines),
    /// The decision log.
    Log(Box<LogLines>),
}

impl Input {
    /// As [`Lines::place`].
    pub(super) fn place(&self) -> (&str, u64) {
        match self {
            Self::Files(lines) => lines.place(),
            Self::Log(lines) => lines.place(),
        }
    }

    /// As [`Lines::bytes`].
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Files(lines) => lines.bytes(),
            Self::Log(lines) => lines.bytes(),
        }
    }

    /// As [`Lines::advance`].
    pub(super) fn advance(&mut self) -> Result<bool, CommandError> {
        match self {
            Self::Files(lines) => lines.advance(),
            Self::Log(lines) => lines.advance(),
        }
    }

    /// As [`Lines::line`].
    pub(super) fn line(&self) -> Line<'_> {
        match self {
            Self::Files(lines) => lines.line(),
            Self::Log(lines) => Line::Text(lines.line()),
        }
    }
}

/// The lines of several files, one after the other, blank ones left out.
pub(super) struct Lines {
    files: std::vec::IntoIter<PathBuf>,
    open: Option<(String, Box<dyn BufRead>)>,
    number: u64,
    bytes: u64,
    line: Vec<u8>,
}

impl Lines {
    /// The lines of these files; `-` is standard input.
    pub(super) fn of(files: Vec<PathBuf>) -> Self {
        Self { files: files.into_iter(), open: None, number: 0, bytes: 0, line: Vec::new() }
    }

    /// Where the last line stands, as `FILE` and its number.
    pub(super) fn place(&self) -> (&str, u64) {
        (self.open.as_ref().map_or("", |(name, _)| name), self.number)
    }

    /// So many bytes were read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads on to the next line that is not blank; `false` at the end of the last file.
    pub(super) fn advance(&mut self) -> Result<bool, CommandError> {
        loop {
            let Some((name, file)) = &mut self.open else {
                let Some(path) = self.files.next() else { return Ok(false) };
                self.open = Some(open(&path)?);
                self.number = 0;
                continue;
            };
            let failed = |source| CommandError::Read { path: name.clone(), source };
            self.line.clear();
            // One byte more than may be tells a line that is too long from one that just fits.
            let limit = LONGEST_LINE as u64 + 2;
            let read = file.take(limit).read_until(b'\n', &mut self.line).map_err(failed)?;
            self.bytes += read as u64;
            if read == 0 {
                self.open = None;
                continue;
            }
            self.number += 1;
            if self.line.last() == Some(&b'\n') {
                self.line.pop();
            } else if read as u64 == limit {
                self.bytes += file.skip_until(b'\n').map_err(failed)? as u64;
            }
            if !self.line.iter().all(u8::is_ascii_whitespace) || self.line.len() > LONGEST_LINE {
                return Ok(true);
            }
        }
    }

    /// The line that was read last.
    pub(super) fn line(&self) -> Line<'_> {
        if self.line.len() > LONGEST_LINE { Line::TooLong } else { Line::Text(&self.line) }
    }
}

fn open(path: &Path) -> Result<(String, Box<dyn BufRead>), CommandError> {
    if path.as_os_str() == "-" {
        let input = BufReader::with_capacity(BUFFER, io::stdin());
        return Ok(("standard input".to_owned(), Box::new(input)));
    }
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => Ok((name, Box::new(BufReader::with_capacity(BUFFER, file)))),
        Err(source) => Err(CommandError::Read { path: name, source }),
    }
}
