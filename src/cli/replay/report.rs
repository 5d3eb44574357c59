//! Where flips and counts are printed.

use std::io::{self, BufWriter, Stdout, Write};

use super::{Format, Origin, flip::Flip, json, pretty};
use crate::policy::replay::Tally;

/// A report in one of the formats, under way. Nothing is kept but the number of flips.
pub(super) struct Report {
    format: Format,
    limit: usize,
    output: BufWriter<Stdout>,
    flips: u64,
}

impl Report {
    /// Begins one; the pretty one shows at most `limit` flips.
    pub(super) fn new(format: Format, limit: usize) -> Self {
        Self { format, limit, output: BufWriter::new(io::stdout()), flips: 0 }
    }

    /// Whether the flip of this number, the first being 1, is shown.
    pub(super) fn shows(&self, number: u64) -> bool {
        self.format != Format::Pretty || number <= self.limit as u64
    }

    /// Prints one flip.
    pub(super) fn flip(&mut self, flip: &Flip<'_>) -> io::Result<()> {
        let output = &mut self.output;
        let first = self.flips == 0;
        self.flips += 1;
        match self.format {
            Format::Pretty => {
                pretty::write_flip(output, flip)?;
                // A person waits for it.
                output.flush()
            }
            Format::Json => {
                if first {
                    json::begin(output)?;
                }
                json::write_flip(output, flip, first)
            }
            Format::Jsonl => json::write_flip_line(output, flip),
        }
    }

    /// Prints the counts.
    pub(super) fn end(&mut self, tally: &Tally, origin: &Origin) -> io::Result<()> {
        match self.format {
            Format::Pretty => pretty::write_counts(&mut self.output, tally, origin, self.limit)?,
            Format::Json => {
                if self.flips == 0 {
                    json::begin(&mut self.output)?;
                }
                json::end(&mut self.output, tally, origin)?;
            }
            Format::Jsonl => pretty::write_counts(&mut io::stderr().lock(), tally, origin, usize::MAX)?,
        }
        self.output.flush()
    }
}
