//! The report for people: each flip as it is found, and the counts at the end.

use std::io::{self, Write};

use super::{Origin, flip::Flip};
use crate::{
    cli::{printable::printable, why},
    policy::replay::{Change, Tally},
};

/// So much of a revision tells one from another.
const REVISION: usize = 12;

/// Writes one flip.
pub(super) fn write_flip(output: &mut impl Write, flip: &Flip<'_>) -> io::Result<()> {
    let word = |allow: bool| if allow { "ALLOW" } else { "DENY" };
    let change = format!("{} → {}", word(flip.before.allow), word(flip.after.allow));
    writeln!(output, "{change}  {} {}", printable(flip.method), printable(&flip.path))?;
    let caller = flip.subject.as_ref().map_or_else(
        || "anonymous".to_owned(),
        |subject| {
            let user = subject.user_id.unwrap_or("nobody");
            why::caller(subject.kind, subject.token_id, user)
        },
    );
    let id = flip.decision_id.map(|id| format!("  decision {id}")).unwrap_or_default();
    writeln!(
        output,
        "  {}:{}  {}  {}{}",
        printable(flip.file),
        flip.line,
        flip.time,
        printable(&caller),
        printable(&id)
    )?;
    for (name, answer) in [("before", &flip.before), ("after ", &flip.after)] {
        let message = if answer.message.is_empty() { "" } else { " — " };
        writeln!(output, "  {name} {}{message}{}", printable(answer.reason), printable(answer.message))?;
    }
    if let Some(explained) = flip.explained {
        for (name, decision) in [("before", explained.before.as_ref()), ("after", Some(&explained.after))] {
            let Some(decision) = decision else { continue };
            let mut text = Vec::new();
            why::write(&mut text, decision)?;
            writeln!(output, "  why, {name}:")?;
            for line in String::from_utf8_lossy(&text).lines().filter(|line| !line.is_empty()) {
                writeln!(output, "    {}", printable(line))?;
            }
        }
    } else if let Some(fault) = &flip.fault {
        writeln!(output, "  {}", printable(fault))?;
    }
    writeln!(output)
}

/// Writes the counts.
pub(super) fn write_counts(
    output: &mut impl Write,
    tally: &Tally,
    origin: &Origin,
    limit: usize,
) -> io::Result<()> {
    let shown = tally.flips().min(limit as u64);
    if shown < tally.flips() {
        writeln!(output, "… and {} more flips (--limit)\n", tally.flips() - shown)?;
    }
    let short = |revision: &str| revision.chars().take(REVISION).collect::<String>();
    writeln!(
        output,
        "{} decisions under {} ({}), data revision {}",
        tally.compared_count(),
        origin.new.0,
        short(&origin.new.1),
        origin.data_revision
    )?;
    match &origin.old {
        Some((name, revision)) => writeln!(output, "compared with {name} ({})", short(revision))?,
        None => writeln!(output, "compared with the recorded answers")?,
    }
    for (name, change) in [
        ("allow → allow", Change::AllowToAllow),
        ("allow → deny ", Change::AllowToDeny),
        ("deny  → allow", Change::DenyToAllow),
        ("deny  → deny ", Change::DenyToDeny),
    ] {
        writeln!(output, "  {name} {:>9}", tally.count(change))?;
    }
    let changes = tally.reason_changes();
    if !changes.is_empty() {
        writeln!(output, "reasons that changed:")?;
    }
    for change in changes.iter().take(limit) {
        let (before, after) = (printable(change.before), printable(change.after));
        writeln!(output, "  {:>9}  {before} → {after}", change.count)?;
    }
    let rest: u64 = changes.iter().skip(limit).map(|change| change.count).sum();
    if rest + tally.reason_changes_beyond() > 0 {
        writeln!(output, "  {:>9}  others (--limit)", rest + tally.reason_changes_beyond())?;
    }
    write_gaps(output, tally, limit)
}

/// Writes what could not be compared, and what makes a comparison doubtful.
fn write_gaps(output: &mut impl Write, tally: &Tally, limit: usize) -> io::Result<()> {
    if tally.other_data > 0 {
        writeln!(
            output,
            "other_data: {} (decided over other data then: a flip may come from the data)",
            tally.other_data
        )?;
    }
    if tally.cannot_compare > 0 {
        writeln!(
            output,
            "cannot_compare: {} (no old answer in the line; --against OLD makes one)",
            tally.cannot_compare
        )?;
    }
    let lacks = tally.lacks();
    let shown = lacks.iter().take(limit);
    for (lack, count) in shown.clone() {
        writeln!(output, "cannot_decide: {} ({count} of the lines)", printable(lack))?;
    }
    let rest = tally.cannot_decide - shown.map(|(_, count)| count).sum::<u64>();
    if rest > 0 {
        writeln!(output, "cannot_decide: {rest} more lines (--limit)")?;
    }
    if tally.no_questions > 0 {
        writeln!(
            output,
            "no_questions: {} (calls of the management API and evaluations are not decided again)",
            tally.no_questions
        )?;
    }
    for (name, count) in [("unreadable", tally.unreadable), ("not_selected", tally.not_selected)] {
        if count > 0 {
            writeln!(output, "{name}: {count}")?;
        }
    }
    Ok(())
}
