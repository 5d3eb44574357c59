//! How rows of the store are shown: a table or a few lines for people, one JSON object a line for programs. And what
//! a write did to one.
//!
//! **To show one more** kind of row: [`Shown`] for it.

use std::io::{self, Write};

use clap::Args;
use comfy_table::{Table, presets::NOTHING};
use serde_json::{Map, Value};

use super::printable::printable;
use crate::{
    store::Written,
    types::{DataRevision, TenantId},
};

/// A row that can be shown.
pub(super) trait Shown {
    /// What it is called.
    const NOUN: &'static str;
    /// The columns of a list.
    const COLUMNS: &'static [&'static str];

    /// How it is named in a sentence.
    fn title(&self) -> String;

    /// Where the next page of a list goes on after it.
    fn cursor(&self) -> &str;

    /// What stands in the columns.
    fn cells(&self) -> Vec<String>;

    /// All that there is to show, for programs: the fields of the management API.
    fn fields(&self) -> Map<String, Value>;

    /// All that there is to show, for people.
    fn details(&self) -> Vec<(&'static str, String)> {
        Self::COLUMNS.iter().copied().zip(self.cells()).collect()
    }
}

/// Flags of every list.
#[derive(Clone, Debug, Args)]
pub(super) struct PageArguments {
    /// The most to list
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
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
                writeln!(output, "{}", Value::Object(row.fields()))?;
            }
        } else if rows.is_empty() {
            writeln!(output, "no {}s", T::NOUN)?;
        } else {
            writeln!(output, "{}", table(T::COLUMNS, rows.iter().map(Shown::cells)))?;
        }
        if let (true, Some(last)) = (more, rows.last()) {
            let note = format!("There are more: --after {}", printable(last.cursor()));
            if json { writeln!(io::stderr(), "{note}")? } else { writeln!(output, "{note}")? }
        }
        Ok(())
    }
}

fn table(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(columns.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    table
}

/// Writes one row with all that there is to show.
pub(super) fn write_one<T: Shown>(row: &T, revision: DataRevision, json: bool) -> io::Result<()> {
    let mut output = io::stdout().lock();
    if json {
        let mut fields = row.fields();
        fields.insert("revision".to_owned(), revision.0.into());
        return writeln!(output, "{}", Value::Object(fields));
    }
    let details = row.details();
    let width = details.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in details {
        writeln!(output, "{:width$}  {}", name.to_lowercase(), printable(&value))?;
    }
    Ok(())
}

/// Writes what a write did to a row.
pub(super) fn write_done<T: Shown>(row: &T, written: &Written, json: bool) -> io::Result<()> {
    let Written { revision, created, changed } = *written;
    let mut output = io::stdout().lock();
    if json {
        let mut fields = row.fields();
        fields.insert("created".to_owned(), created.into());
        fields.insert("changed".to_owned(), changed.into());
        fields.insert("revision".to_owned(), revision.0.into());
        return writeln!(output, "{}", Value::Object(fields));
    }
    let what = match (created, changed) {
        (true, _) => "was added",
        (false, true) => "was changed",
        (false, false) => "is so already: nothing was changed",
    };
    writeln!(output, "{} {} {what}, revision {revision}", T::NOUN, printable(&row.title()))
}

/// Writes that a row is gone: what it was in a sentence, and the fields that named it.
pub(super) fn write_removed(
    what: &str,
    names: &[(&str, &str)],
    tenant: &TenantId,
    revision: DataRevision,
    json: bool,
) -> io::Result<()> {
    let mut output = io::stdout().lock();
    if json {
        let mut fields: Map<String, Value> =
            names.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        fields.insert("tenant".to_owned(), tenant.as_str().into());
        fields.insert("revision".to_owned(), revision.0.into());
        return writeln!(output, "{}", Value::Object(fields));
    }
    writeln!(output, "{} was removed, revision {revision}", printable(what))
}

/// `yes` or `no`.
pub(super) fn yes(given: bool) -> String {
    if given { "yes" } else { "no" }.to_owned()
}
