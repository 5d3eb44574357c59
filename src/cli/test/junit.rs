//! The report for CI systems: JUnit's XML, a suite for each package, a case for each test, and for each named case.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{invariants, json::package_and_name};
use crate::{
    cli::why::write_failed,
    decision::{RuleBody, TestOutcome},
    policy::{TestReport, TestResult, invariants::InvariantReport},
};

/// Writes the report.
pub(super) fn write(
    output: &mut impl Write,
    report: &TestReport,
    invariants: Option<&InvariantReport>,
) -> io::Result<()> {
    let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
    for result in &report.results {
        let (package, _) = package_and_name(&result.test.path);
        let suite = suites.entry(package).or_insert_with(|| TestSuite::new(package));
        suite.add_test_cases(cases(result));
    }
    for result in invariants.into_iter().flat_map(|invariants| &invariants.results) {
        let (package, name) = package_and_name(&result.rule.path);
        let status = match &result.counterexample {
            None => TestCaseStatus::success(),
            Some(found) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                let mut text = Vec::new();
                // Writing to memory cannot fail.
                let _ = invariants::write_counterexample(&mut text, &result.rule.path, found);
                status.set_message("there is a question for which this does not hold");
                status.set_description(String::from_utf8_lossy(&text).into_owned());
                status
            }
        };
        let mut case = TestCase::new(name, status);
        case.set_classname(package);
        suites.entry(package).or_insert_with(|| TestSuite::new(package)).add_test_case(case);
    }
    let mut all = Report::new("regate test");
    all.add_test_suites(suites.into_values());
    all.serialize(&mut *output).map_err(io::Error::other)?;
    writeln!(output)
}

fn cases(result: &TestResult) -> Vec<TestCase> {
    let (package, name) = package_and_name(&result.test.path);
    let make = |name: String, status: TestCaseStatus| {
        let mut case = TestCase::new(name, status);
        case.set_classname(package);
        case.extra.insert("file".into(), result.test.file.as_str().into());
        case.extra.insert("line".into(), result.test.line.to_string().into());
        case
    };
    if !result.cases.is_empty() && !matches!(result.outcome, TestOutcome::Error(_)) {
        let named = result.cases.iter().map(|case| {
            let status =
                if case.passed { TestCaseStatus::success() } else { failure(result, case.failure.as_ref()) };
            make(format!("{name}[{}]", case.name), status)
        });
        return named.collect();
    }
    let status = match &result.outcome {
        TestOutcome::Passed => TestCaseStatus::success(),
        TestOutcome::Skipped => TestCaseStatus::skipped(),
        TestOutcome::Failed => failure(result, result.failure.as_ref()),
        TestOutcome::Error(message) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message("the test could not be evaluated").set_description(message);
            status
        }
    };
    let mut case = make(name.to_owned(), status);
    case.set_time(result.duration);
    vec![case]
}

/// A failure with the condition that was false.
fn failure(result: &TestResult, body: Option<&RuleBody>) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    let place = format!("{}:{}", result.test.file, result.test.line);
    let Some(body) = body else {
        status.set_message(format!("{place}: the test is not true"));
        return status;
    };
    if let Some(failed) = &body.failed {
        status.set_message(format!("{}:{}: {}", body.file, failed.line, failed.condition));
    }
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let _ = write_failed(&mut text, body, 0);
    status.set_description(String::from_utf8_lossy(&text).into_owned());
    status
}
