//! The report for people.

use std::io::{self, Write};

use super::coverage::Coverage;
use crate::{
    cli::{
        printable::{printable, printable_lines},
        why::write_failed,
    },
    decision::TestOutcome,
    policy::{Measurement, TestReport, TestResult},
};

/// Writes what became of the tests: those that passed only if asked for.
pub(super) fn write(
    output: &mut impl Write,
    report: &TestReport,
    coverage: Option<&Coverage>,
    verbose: bool,
) -> io::Result<()> {
    for result in &report.results {
        write_result(output, result, verbose)?;
    }
    if let Some(coverage) = coverage {
        coverage.write(output)?;
    }
    let (passed, failed, skipped) = report.counts();
    let skipped = if skipped > 0 { format!(", {skipped} to do") } else { String::new() };
    writeln!(output, "{passed} passed, {failed} failed{skipped}")
}

fn write_result(output: &mut impl Write, result: &TestResult, verbose: bool) -> io::Result<()> {
    let word = match &result.outcome {
        TestOutcome::Passed if !verbose => return Ok(()),
        TestOutcome::Passed => "pass",
        TestOutcome::Failed => "FAIL",
        TestOutcome::Error(_) => "ERROR",
        TestOutcome::Skipped => "to do",
    };
    let test = &result.test;
    writeln!(
        output,
        "{word} {}:{} {} ({} µs)",
        printable(&test.file),
        test.line,
        printable(&test.path),
        result.duration.as_micros()
    )?;
    for case in result.cases.iter().filter(|case| verbose || !case.passed) {
        writeln!(
            output,
            "    {} case: {}",
            if case.passed { "pass" } else { "FAIL" },
            printable(&case.name)
        )?;
        if let Some(failure) = &case.failure {
            write_failed(output, failure, 3)?;
        }
    }
    if let TestOutcome::Error(message) = &result.outcome {
        writeln!(output, "    {}", printable_lines(message).replace('\n', "\n    "))?;
    }
    if let Some(failure) = result.failure.as_ref().filter(|_| result.cases.is_empty()) {
        write_failed(output, failure, 2)?;
    }
    result.printed.iter().try_for_each(|line| writeln!(output, "    printed: {}", printable(line)))
}

/// Writes how long each test takes.
pub(super) fn write_measured(output: &mut impl Write, measured: &[Measurement]) -> io::Result<()> {
    let width = measured.iter().map(|one| one.test.path.len()).max().unwrap_or(0);
    measured.iter().try_for_each(|one| {
        let (path, iterations, each) = (printable(&one.test.path), one.iterations, one.nanoseconds);
        writeln!(output, "{path:width$} {iterations:>9} {each:>13.0} ns/op")
    })
}
