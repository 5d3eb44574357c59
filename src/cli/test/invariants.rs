//! Invariants: what the search found, for people.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use crate::{
    cli::{
        decide::data,
        exit::CommandError,
        printable::{printable, printable_lines},
        store::block_on,
        why::{head, write_failed},
    },
    decision::{IdleCondition, RuleTest},
    policy::invariants::{Counterexample, InvariantReport, World},
    types::TenantId,
};

/// The rows of a document for import, of the tenant `default`.
pub(super) fn world(file: &PathBuf) -> Result<World, CommandError> {
    let snapshot = block_on(data(Some(file)))?;
    let rows = serde_json::to_value(snapshot.tenant(&TenantId::default_tenant()).document());
    Ok(rows.and_then(serde_json::from_value).map_err(io::Error::from)?)
}

/// Writes what was found.
pub(super) fn write(output: &mut impl Write, report: &InvariantReport, verbose: bool) -> io::Result<()> {
    for result in &report.results {
        let rule = &result.rule;
        match &result.counterexample {
            None => {
                if verbose || !result.idle.is_empty() {
                    writeln!(output, "holds {} ({} tries)", place(rule), result.tries)?;
                }
                for idle in &result.idle {
                    write_idle(output, idle)?;
                }
            }
            Some(found) => {
                writeln!(output, "BROKEN {} (try {})", place(rule), found.found_at)?;
                write_counterexample(output, &rule.path, found)?;
            }
        }
    }
    let broken = report.broken().count();
    let holding = report.results.len() - broken;
    let tries = report.results.iter().map(|result| result.tries).max().unwrap_or(0);
    let allowed = report.allowed;
    let again = format!("repeat with --seed {}", report.seed);
    writeln!(
        output,
        "{holding} invariants hold, {broken} broken, in {tries} questions, {allowed} of them allowed ({again})"
    )
}

/// Writes that a condition hides what is behind it.
fn write_idle(output: &mut impl Write, idle: &IdleCondition) -> io::Result<()> {
    let place = printable(&format!("{}:{}", idle.file, idle.line)).into_owned();
    match &idle.undefined {
        Some(field) => writeln!(output, "  but {place}: `{field}` never had a value: is it right?"),
        None => writeln!(
            output,
            "  but {place}: `{}` never held, so nothing behind it was tried: is it right?",
            idle.condition
        ),
    }
}

/// Where a rule stands, and its path.
fn place(rule: &RuleTest) -> String {
    printable(&format!("{}:{} {}", rule.file, rule.line, rule.path)).into_owned()
}

/// Writes a counterexample: the question, the answer, why, and a test to paste.
pub(super) fn write_counterexample(
    output: &mut impl Write,
    invariant: &str,
    found: &Counterexample,
) -> io::Result<()> {
    let case = &found.case;
    writeln!(output, "  question: {} /{}", printable(&case.method), printable(&case.path.join("/")))?;
    match &case.token {
        None => writeln!(output, "  caller: anonymous")?,
        Some(token) => {
            let user = token.user_id.as_deref().unwrap_or("nobody");
            writeln!(output, "  caller: a {} token of {}", printable(&token.kind), printable(user))?;
        }
    }
    writeln!(output, "  answer: {}", printable(&found.decision.to_string()))?;
    for body in &found.why.held {
        writeln!(output, "    held: {}", head(body))?;
    }
    for body in found.why.closest.iter().take(3) {
        write_failed(output, body, 2)?;
    }
    writeln!(output, "  as a test:")?;
    writeln!(output, "    {}", printable_lines(&case.as_test(invariant)).replace('\n', "\n    "))
}
