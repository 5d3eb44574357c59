//! Which lines the tests reach.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use serde::Serialize;

use crate::{cli::printable::printable, decision::FileCoverage};

/// The coverage of all files, with the fields of OPA's report.
#[derive(Debug, Serialize)]
pub(super) struct Coverage {
    files: BTreeMap<String, File>,
    covered_lines: usize,
    not_covered_lines: usize,
    coverage: f64,
}

#[derive(Debug, Serialize)]
struct File {
    covered: Vec<Range>,
    not_covered: Vec<Range>,
    covered_lines: usize,
    not_covered_lines: usize,
    coverage: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Range {
    start: Row,
    end: Row,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Row {
    row: u32,
}

impl Coverage {
    pub(super) fn new(files: Vec<FileCoverage>) -> Self {
        let files: BTreeMap<String, File> = files
            .into_iter()
            .map(|file| {
                let (covered, not_covered) = (file.covered.len(), file.not_covered.len());
                let told = File {
                    covered: ranges(&file.covered),
                    not_covered: ranges(&file.not_covered),
                    covered_lines: covered,
                    not_covered_lines: not_covered,
                    coverage: percent(covered, not_covered),
                };
                (file.file, told)
            })
            .collect();
        let covered_lines = files.values().map(|file| file.covered_lines).sum();
        let not_covered_lines = files.values().map(|file| file.not_covered_lines).sum();
        Self { files, covered_lines, not_covered_lines, coverage: percent(covered_lines, not_covered_lines) }
    }

    /// The part of the lines that is reached, in per cent.
    pub(super) fn percent(&self) -> f64 {
        self.coverage
    }

    pub(super) fn write(&self, output: &mut impl Write) -> io::Result<()> {
        for (name, file) in &self.files {
            write!(output, "{:6.2} %  {}", file.coverage, printable(name))?;
            let lines: Vec<String> = file.not_covered.iter().copied().map(Range::to_text).collect();
            if lines.is_empty() {
                writeln!(output)?;
            } else {
                writeln!(output, "  not reached: {}", lines.join(", "))?;
            }
        }
        writeln!(output, "{:6.2} %  of {} lines", self.coverage, self.covered_lines + self.not_covered_lines)
    }
}

impl Range {
    fn to_text(self) -> String {
        match (self.start.row, self.end.row) {
            (start, end) if start == end => start.to_string(),
            (start, end) => format!("{start}-{end}"),
        }
    }
}

fn ranges(lines: &BTreeSet<u32>) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for line in lines {
        match ranges.last_mut() {
            Some(last) if last.end.row + 1 == *line => last.end.row = *line,
            _ => ranges.push(Range { start: Row { row: *line }, end: Row { row: *line } }),
        }
    }
    ranges
}

#[allow(clippy::cast_precision_loss, reason = "numbers of lines")]
fn percent(covered: usize, not_covered: usize) -> f64 {
    let all = covered + not_covered;
    if all == 0 { 100.0 } else { (covered as f64 / all as f64 * 10_000.0).floor() / 100.0 }
}
