//! How rows of the store are shown: a table or a few lines for people, one JSON object a line for programs. And what
//! a write did to one.
//!
//! **To show one more** kind of row: [`Shown`] for it.

use std::io::{self, Write};

use clap::Args;
use comfy_table::{Table, presets::NOTHING};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::printable::{as_argument, printable};
use crate::{store::Written, types::DataRevision};

/// A row that can be shown.
pub(super) trait Shown {
    /// What it is called.
    const NOUN: &'static str;
    /// The columns of a list.
    const COLUMNS: &'static [&'static str];

    /// Which of them it is.
    fn title(&self) -> String;

    /// How it is named in a sentence.
    fn named(&self) -> String {
        format!("{} {}", Self::NOUN, self.title())
    }

    /// Where the next page of a list goes on after it.
    fn cursor(&self) -> &str;

    /// What stands in the columns.
    fn cells(&self) -> Vec<String>;

    /// All that there is to show, for programs: the fields of the management API, in its order.
    fn fields(&self) -> Vec<(&'static str, Value)>;

    /// All that there is to show, for people.
    fn details(&self) -> Vec<(&'static str, String)> {
        Self::COLUMNS.iter().copied().zip(self.cells()).collect()
    }
}

/// Flags of every list.
#[derive(Clone, Debug, Args)]
pub(super) struct PageArguments {
    /// The most to list, 1 to 1000
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    /// Go on after the one with this id
    #[arg(long, value_name = "ID")]
    pub after: Option<String>,
}

impl PageArguments {
    /// How many rows to read: one more than are shown says that there are more.
    pub(super) fn rows_to_read(&self) -> u32 {
        self.limit.saturating_add(1)
    }

    /// Writes a page of the rows that were read. That there are more is told to people, on standard error where
    /// standard output is for programs.
    pub(super) fn write<T: Shown>(&self, mut rows: Vec<T>, json: bool) -> io::Result<()> {
        let more = rows.len() > self.limit as usize;
        rows.truncate(self.limit as usize);
        let mut output = io::stdout().lock();
        if json {
            for row in &rows {
                write_object(&mut output, &row.fields())?;
            }
        } else if rows.is_empty() {
            writeln!(output, "no {}s", T::NOUN)?;
        } else {
            writeln!(output, "{}", table(T::COLUMNS, &rows.iter().map(Shown::cells).collect::<Vec<_>>()))?;
        }
        if let (true, Some(last)) = (more, rows.last()) {
            let cursor = last.cursor();
            // What begins as a flag does would be taken for one.
            let between = if cursor.starts_with('-') { '=' } else { ' ' };
            let note = format!("There are more: --after{between}{}", as_argument(cursor));
            if json { writeln!(io::stderr(), "{note}")? } else { writeln!(output, "{note}")? }
        }
        Ok(())
    }
}

/// A column in which nothing stands is left out, and that of the tenant where all rows are of one.
fn table(columns: &[&str], rows: &[Vec<String>]) -> Table {
    let says_something = |place: usize, column: &str| {
        let mut cells = rows.iter().filter_map(|row| row.get(place));
        if column == "TENANT" {
            let first = cells.next();
            return cells.any(|cell| Some(cell) != first);
        }
        cells.any(|cell| !cell.is_empty())
    };
    let shown: Vec<usize> = columns
        .iter()
        .enumerate()
        .filter(|(place, column)| says_something(*place, column))
        .map(|(place, _)| place)
        .collect();
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(shown.iter().filter_map(|place| columns.get(*place)));
    for row in rows {
        table.add_row(shown.iter().filter_map(|place| row.get(*place)).map(|cell| printable(cell)));
    }
    table
}

/// Fields in the order in which the management API answers them.
struct Object<'a>(&'a [(&'static str, Value)]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Writes one JSON object on a line.
pub(super) fn write_object(output: &mut impl Write, fields: &[(&'static str, Value)]) -> io::Result<()> {
    writeln!(output, "{}", serde_json::to_string(&Object(fields))?)
}

/// Writes one row with all that there is to show.
pub(super) fn write_one<T: Shown>(row: &T, revision: DataRevision, json: bool) -> io::Result<()> {
    let mut output = io::stdout().lock();
    if json {
        return write_object(&mut output, &with_outcome(row, &[("changed", false.into())], revision));
    }
    let details = row.details();
    let width = details.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in details {
        let value = if value.is_empty() { "none".into() } else { printable(&value) };
        writeln!(output, "{:width$}  {value}", name.to_lowercase())?;
    }
    Ok(())
}

fn with_outcome<T: Shown>(
    row: &T,
    outcome: &[(&'static str, Value)],
    revision: DataRevision,
) -> Vec<(&'static str, Value)> {
    let mut fields = row.fields();
    fields.extend_from_slice(outcome);
    fields.push(("revision", revision.0.into()));
    fields
}

/// Writes what putting a row did to it. `created` is what HTTP says with the status 201.
pub(super) fn write_put<T: Shown>(row: &T, written: &Written, json: bool) -> io::Result<()> {
    if !json {
        return write_done(row, written, false);
    }
    let outcome = [("created", written.created.into()), ("changed", written.changed.into())];
    write_object(&mut io::stdout().lock(), &with_outcome(row, &outcome, written.revision))
}

/// Writes what a write did to a row.
pub(super) fn write_done<T: Shown>(row: &T, written: &Written, json: bool) -> io::Result<()> {
    let Written { revision, created, changed } = *written;
    let mut output = io::stdout().lock();
    if json {
        return write_object(&mut output, &with_outcome(row, &[("changed", changed.into())], revision));
    }
    let what = match (created, changed) {
        (true, _) => "was added",
        (false, true) => "was changed",
        (false, false) => "is so already: nothing was changed",
    };
    writeln!(output, "{} {what}, revision {revision}", printable(&row.named()))
}

/// Writes that a row is new, or stands in the place of another.
pub(super) fn write_new<T: Shown>(
    row: &T,
    created: bool,
    revision: DataRevision,
    json: bool,
) -> io::Result<()> {
    let mut output = io::stdout().lock();
    if json {
        return write_object(&mut output, &with_outcome(row, &[("created", created.into())], revision));
    }
    let what = if created { "was added" } else { "was put in the place of the one before" };
    writeln!(output, "{} {what}, revision {revision}", printable(&row.named()))
}

/// Writes that a row is gone.
pub(super) fn write_removed(what: &str, revision: DataRevision, json: bool) -> io::Result<()> {
    let mut output = io::stdout().lock();
    if json {
        return write_object(&mut output, &[("revision", revision.0.into())]);
    }
    writeln!(output, "{} was removed, revision {revision}", printable(what))
}

/// `yes` or `no`.
pub(super) fn yes(given: bool) -> String {
    if given { "yes" } else { "no" }.to_owned()
}
