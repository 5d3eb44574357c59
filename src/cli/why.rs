//! A decision and its explanation, for people at a terminal.

use std::io::{self, Write};

use serde_json::Value as Json;

use super::printable::printable;
use crate::decision::{Compared, Decision, Document, RuleBody, SubjectKind};

/// So many bodies that merely failed are listed.
const FAILED: usize = 12;

/// Writes what was decided, and why if the decision has an explanation.
pub(super) fn write(output: &mut impl Write, decision: &Decision) -> io::Result<()> {
    let word = if decision.allow { "ALLOW" } else { "DENY" };
    let reasons: Vec<&str> = decision.reasons.codes().collect();
    writeln!(output, "{word} {} {}", decision.status, printable(&reasons.join(", ")))?;
    if !decision.message.as_str().is_empty() {
        writeln!(output, "  {}", printable(decision.message.as_str()))?;
    }
    if let Some(subject) = &decision.subject {
        let user = subject.user_id.as_deref().unwrap_or("nobody");
        let caller = caller(subject.kind.as_str(), subject.token_id.as_deref(), user);
        writeln!(output, "  caller: {}", printable(&caller))?;
    }
    if let Some(fault) = &decision.fault {
        writeln!(output, "  {}", printable(&fault.to_string()))?;
    }
    let Some(explanation) = &decision.explanation else { return Ok(()) };
    let why = &explanation.why;
    if let Some(disagreement) = &why.disagreement {
        writeln!(output, "\nCAUTION: {}", printable(disagreement))?;
    }
    if why.truncated {
        writeln!(output, "\nCAUTION: the evaluation took more steps than are written down")?;
    }
    if !why.held.is_empty() {
        writeln!(output, "\nHeld:")?;
    }
    for body in &why.held {
        writeln!(output, "  {}", head(body))?;
    }
    if !why.closest.is_empty() {
        let what = if decision.allow { "to a deny" } else { "to an allow" };
        writeln!(output, "\nClosest {what}:")?;
    }
    for body in &why.closest {
        write_failed(output, body, 1)?;
    }
    if !why.failed.is_empty() {
        writeln!(output, "\nAlso failed:")?;
    }
    for body in why.failed.iter().take(FAILED) {
        write!(output, "  {}", head(body))?;
        match &body.failed {
            Some(failed) => writeln!(output, " — line {}: {}", failed.line, printable(&failed.condition))?,
            None => writeln!(output)?,
        }
    }
    if why.failed.len() > FAILED {
        writeln!(output, "  … and {} more (all of them with --format json)", why.failed.len() - FAILED)?;
    }
    if matches!(explanation.result, Document::Undefined) && decision.fault.is_none() {
        writeln!(output, "\nThe entrypoint is undefined.")?;
    }
    Ok(())
}

/// A caller in words.
pub(super) fn caller(kind: &str, token_id: Option<&str>, user: &str) -> String {
    match token_id.filter(|_| kind != SubjectKind::Session.as_str()) {
        Some(id) => format!("{kind} token {id} of {user}"),
        None => format!("{kind} of {user}"),
    }
}

/// A body that failed, and below it why, each level further to the right.
pub(super) fn write_failed(output: &mut impl Write, body: &RuleBody, level: usize) -> io::Result<()> {
    let indent = "  ".repeat(level);
    let Some(failed) = &body.failed else { return writeln!(output, "{indent}{}", head(body)) };
    let (held, all) = (body.conditions_held, body.conditions);
    writeln!(output, "{indent}{} — {held} of {all} conditions held", head(body))?;
    writeln!(
        output,
        "{indent}  {}:{}:{} failed: {}",
        printable(&body.file),
        failed.line,
        failed.column,
        printable(&failed.condition)
    )?;
    for compared in &failed.compared {
        writeln!(output, "{indent}    {}", printable(&comparison(compared)))?;
    }
    for (name, value) in &body.variables {
        // What a condition names is shown already, and large values would hide the small ones.
        let shown = failed.compared.iter().any(|compared| compared.expression == *name);
        if !shown && !value.is_object() && !value.is_array() {
            writeln!(output, "{indent}    with {}", printable(&format!("{name} = {value}")))?;
        }
    }
    failed.because.iter().try_for_each(|body| write_failed(output, body, level + 2))
}

fn comparison(compared: &Compared) -> String {
    match &compared.value {
        Some(value) => format!("{} = {}", compared.expression, short(value)),
        None => format!("{} is undefined", compared.expression),
    }
}

/// A body in one line, fit for a terminal: where it stands, and what it gives.
pub(super) fn head(body: &RuleBody) -> String {
    let value = short_text(&body.value);
    let value = if value.is_empty() { String::new() } else { format!(" = {value}") };
    printable(&format!("{}:{} {}{value}", body.file, body.line, body.rule)).into_owned()
}

fn short(value: &Json) -> String {
    short_text(&value.to_string())
}

/// So much of a text as fits on a line.
fn short_text(text: &str) -> String {
    match text.char_indices().nth(100) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
