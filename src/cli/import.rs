//! `regate import`: rows from one JSON document.

use std::{
    fs,
    io::{self, IsTerminal, Read, Write},
    path::PathBuf,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{
    exit::{CommandError, Exit},
    store::{Access, StoreArguments},
};
use crate::store::import::{self, CheckedDocument, ImportError, ImportProgress, ImportReport, Problems};

/// Write users, projects, collaborators, tokens, upstreams and grants from a JSON document
///
/// The whole document is checked first. Then all of it is written in one transaction, or nothing. The report says of each
/// table how many rows were taken (new), renewed (there, and otherwise) and unchanged; and of each row that was refused
/// the place, such as tokens[3].expires_at, and why. It can be repeated: rows that are as the document says stay as
/// they are. A revoked token stays revoked. Existing keys of any format are imported by their SHA-256, so that their
/// holders keep using them: printf %s KEY | sha256sum
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The document; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    store: StoreArguments,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Import {
    /// Imports and reports.
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let bytes = read(&self.file)?;
        let mut progress = Progress::default();
        let imported = checked(&bytes).and_then(|document| {
            self.store.run(Access::Add, async |store| {
                Ok(store.import(&document, &mut |step| progress.show(&step)).await?)
            })
        });
        progress.end();
        let report = imported.inspect_err(|error| {
            if let (true, CommandError::Import(ImportError::Invalid(problems))) = (self.json, error) {
                // What cannot be written here is said on standard error as well.
                let _ = writeln!(io::stdout(), "{}", refused(problems));
            }
        })?;
        if self.json {
            writeln!(io::stdout(), "{}", taken(&report))?;
        } else {
            print(&report)?;
        }
        Ok(Exit::Done)
    }
}

/// A report for programs, in the words of `POST /v1/import`.
fn taken(report: &ImportReport) -> Value {
    let tables = report.tables.iter().map(|table| {
        json!({
            "table": table.table, "taken": table.inserted, "renewed": table.updated, "unchanged": table.unchanged,
        })
    });
    json!({
        "tables": tables.collect::<Vec<_>>(), "refused": 0, "problems": [], "revision": report.revision,
    })
}

/// The same when nothing was written. `refused` counts also those problems that are not shown.
fn refused(problems: &Problems) -> Value {
    let shown = problems.shown().iter();
    let shown: Vec<_> =
        shown.map(|problem| json!({"place": problem.place, "problem": problem.text})).collect();
    json!({"tables": [], "refused": problems.count(), "problems": shown, "revision": null})
}

/// A document of which everything that it shows by itself is checked.
pub(super) fn checked(bytes: &[u8]) -> Result<CheckedDocument, CommandError> {
    let document = import::parse(bytes).and_then(|document| import::check(&document));
    Ok(document.map_err(ImportError::Invalid)?)
}

fn print(report: &ImportReport) -> io::Result<()> {
    let mut output = io::stdout().lock();
    for table in &report.tables {
        if table.inserted + table.updated + table.unchanged > 0 {
            writeln!(
                output,
                "{}: {} taken, {} renewed, {} unchanged",
                table.table, table.inserted, table.updated, table.unchanged
            )?;
        }
    }
    writeln!(output, "0 refused, revision {}", report.revision)
}

/// Reads a file, or standard input for `-`.
pub(super) fn read(file: &PathBuf) -> Result<Vec<u8>, CommandError> {
    let failed = |source| CommandError::Read { path: file.display().to_string(), source };
    if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map_err(failed)?;
        return Ok(bytes);
    }
    fs::read(file).map_err(failed)
}

/// A bar on a terminal; elsewhere a line now and then, for logs.
#[derive(Default)]
struct Progress {
    bar: Option<(String, ProgressBar)>,
}

impl Progress {
    fn show(&mut self, step: &ImportProgress) {
        if !io::stderr().is_terminal() {
            // Small documents need no line; of large ones each tenth is told.
            let tenth = (step.total / 10).max(10_000);
            if step.total >= 10_000 && (step.done % tenth < 5_000 || step.done == step.total) {
                eprintln!("{}: {} of {}", step.table, step.done, step.total);
            }
            return;
        }
        if self.bar.as_ref().is_none_or(|(table, _)| table != step.table) {
            self.end();
            let bar = ProgressBar::new(step.total as u64);
            if let Ok(style) = ProgressStyle::with_template("{prefix:14} {wide_bar} {pos}/{len} {eta}") {
                bar.set_style(style);
            }
            bar.set_prefix(step.table.to_string());
            self.bar = Some((step.table.to_string(), bar));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_position(step.done as u64);
        }
    }

    fn end(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish();
        }
    }
}
