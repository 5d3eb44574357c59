//! The reports for programs: one document, or one flip a line.

use std::io::{self, Write};

use serde::Serialize;

use super::{Origin, flip::Flip};
use crate::policy::replay::{Change, Tally};

#[derive(Serialize)]
struct Counts<'a> {
    lines: u64,
    compared: u64,
    #[serde(flatten)]
    answers: Answers,
    reasons: Vec<Reasons<'a>>,
    other_reasons: u64,
    other_data: u64,
    cannot_compare: u64,
    cannot_decide: u64,
    unreadable: u64,
    not_selected: u64,
    no_questions: u64,
    lacking: Vec<Lacking<'a>>,
    policy: Bundle<'a>,
    against: Option<Bundle<'a>>,
    data_revision: u64,
}

#[derive(Serialize)]
struct Answers {
    allow_to_allow: u64,
    allow_to_deny: u64,
    deny_to_allow: u64,
    deny_to_deny: u64,
}

#[derive(Serialize)]
struct Reasons<'a> {
    before: &'a str,
    after: &'a str,
    count: u64,
}

#[derive(Serialize)]
struct Lacking<'a> {
    problem: &'a str,
    count: u64,
}

#[derive(Serialize)]
struct Bundle<'a> {
    name: &'a str,
    revision: &'a str,
}

/// Begins the document, whose flips come first: they are written as they are found.
pub(super) fn begin(output: &mut impl Write) -> io::Result<()> {
    write!(output, "{{\"flips\": [")
}

/// Writes one flip of the document.
pub(super) fn write_flip(output: &mut impl Write, flip: &Flip<'_>, first: bool) -> io::Result<()> {
    let comma = if first { "" } else { "," };
    write!(output, "{comma}\n  {}", serde_json::to_string(flip)?)
}

/// Writes one flip on a line of its own.
pub(super) fn write_flip_line(output: &mut impl Write, flip: &Flip<'_>) -> io::Result<()> {
    writeln!(output, "{}", serde_json::to_string(flip)?)
}

/// Ends the document with the counts.
pub(super) fn end(output: &mut impl Write, tally: &Tally, origin: &Origin) -> io::Result<()> {
    let reasons = tally.reason_changes();
    let counts = Counts {
        lines: tally.lines,
        compared: tally.compared_count(),
        answers: Answers {
            allow_to_allow: tally.count(Change::AllowToAllow),
            allow_to_deny: tally.count(Change::AllowToDeny),
            deny_to_allow: tally.count(Change::DenyToAllow),
            deny_to_deny: tally.count(Change::DenyToDeny),
        },
        reasons: reasons
            .iter()
            .map(|change| Reasons { before: change.before, after: change.after, count: change.count })
            .collect(),
        other_reasons: tally.reason_changes_beyond(),
        other_data: tally.other_data,
        cannot_compare: tally.cannot_compare,
        cannot_decide: tally.cannot_decide,
        unreadable: tally.unreadable,
        not_selected: tally.not_selected,
        no_questions: tally.no_questions,
        lacking: tally.lacks().into_iter().map(|(problem, count)| Lacking { problem, count }).collect(),
        policy: Bundle { name: &origin.new.0, revision: &origin.new.1 },
        against: origin.old.as_ref().map(|(name, revision)| Bundle { name, revision }),
        data_revision: origin.data_revision,
    };
    let counts = serde_json::to_string_pretty(&counts)?;
    // The flips are fields of the same object.
    let fields = counts.strip_prefix('{').unwrap_or(&counts);
    writeln!(output, "],{fields}")
}
