//! How far a long replay is, on a terminal.

use std::{
    fs,
    io::{self, IsTerminal},
    path::PathBuf,
};

use indicatif::{ProgressBar, ProgressStyle};

/// So many lines pass between two looks at the bar.
const STEP: u64 = 1_000;

/// A bar on a terminal; elsewhere nothing.
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Of so many bytes as the files have.
    pub(super) fn new(files: &[PathBuf]) -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        // What comes through a pipe has no length that could be known.
        let lengths = files.iter().map(|file| fs::metadata(file).ok().filter(fs::Metadata::is_file));
        let length: Option<u64> = lengths.map(|file| Some(file?.len())).sum();
        // Nor has the decision log.
        let length = length.filter(|_| !files.is_empty());
        let (bar, template) = match length {
            Some(length) => (ProgressBar::new(length), "{wide_bar} {bytes}/{total_bytes} {msg} {eta}"),
            None => (ProgressBar::new_spinner(), "{spinner} {bytes} {msg}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    /// So many lines, and bytes, are done.
    pub(super) fn show(&self, lines: u64, bytes: u64, flips: u64) {
        if let Some(bar) = self.0.as_ref().filter(|_| lines.is_multiple_of(STEP)) {
            bar.set_message(format!("{lines} lines, {flips} flips"));
            bar.set_position(bytes);
        }
    }

    /// Prints something else without the two being mixed.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
