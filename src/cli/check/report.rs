//! Findings for people, and as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::word;
use crate::{
    cli::printable::{printable, printable_lines},
    policy::check::{CheckedSource, Code, Finding, Severity},
};

/// What is printed.
pub(super) struct Report {
    /// In the order of files and places.
    pub findings: Vec<Finding>,
    /// What was read.
    pub sources: Vec<CheckedSource>,
}

#[derive(Serialize)]
struct JsonReport<'r> {
    findings: Vec<JsonFinding<'r>>,
    files: usize,
}

/// `line` and `column` are null when a whole file or the whole bundle is meant.
#[derive(Serialize)]
struct JsonFinding<'r> {
    file: &'r str,
    line: Option<usize>,
    column: Option<usize>,
    severity: Severity,
    code: Code,
    message: &'r str,
    help: String,
}

impl Report {
    pub(super) fn write_pretty(&self, output: &mut impl Write) -> io::Result<()> {
        for finding in &self.findings {
            let (severity, code, message) =
                (word(finding.severity()), finding.code, printable_lines(&finding.message));
            let Some(place) = finding.place else {
                writeln!(output, "{}: {severity}[{code}]: {message}", printable(&finding.file))?;
                continue;
            };
            let (line, column) = (place.line, place.column);
            writeln!(output, "{}:{line}:{column}: {severity}[{code}]: {message}", printable(&finding.file))?;
            if let Some(text) = self.line(&finding.file, line) {
                // Tabs stay tabs, so that the caret stands below its character at any width.
                let before = text.chars().take(column - 1).map(|c| if c == '\t' { c } else { ' ' });
                writeln!(output, "    {}\n    {}^", printable_lines(text), before.collect::<String>())?;
            }
        }
        let count = |severity| self.findings.iter().filter(|finding| finding.severity() == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        let files = counted(self.sources.len(), "file");
        if self.findings.is_empty() {
            return writeln!(output, "{files}: nothing found");
        }
        let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
        writeln!(output, "{files}: {errors}, {warnings} (what a code means: regate check --explain CODE)")
    }

    pub(super) fn write_json(&self, output: &mut impl Write) -> io::Result<()> {
        let findings = self.findings.iter().map(|finding| JsonFinding {
            file: &finding.file,
            line: finding.place.map(|place| place.line),
            column: finding.place.map(|place| place.column),
            severity: finding.severity(),
            code: finding.code,
            message: &finding.message,
            help: finding.code.help(),
        });
        let report = JsonReport { findings: findings.collect(), files: self.sources.len() };
        serde_json::to_writer_pretty(&mut *output, &report)?;
        writeln!(output)
    }

    fn line(&self, file: &str, line: usize) -> Option<&str> {
        let checked = self.sources.iter().find(|checked| checked.source.name == file)?;
        checked.source.text.lines().nth(line.checked_sub(1)?)
    }
}

fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
