//! The report for CI systems: JUnit's XML, a suite for each package, a case for each test, and for each named case.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Complaint, invariants, json::package_and_name};
use crate::{
    cli::why::write_failed,
    decision::{RuleBody, RuleTest, TestOutcome},
    policy::{TestReport, TestResult, invariants::InvariantReport},
};

/// Writes the report.
pub(super) fn write(
    output: &mut impl Write,
    report: &TestReport,
    invariants: Option<&InvariantReport>,
    complaints: &[Complaint],
) -> io::Result<()> {
    let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
    for result in &report.results {
        let (package, _) = package_and_name(&result.test.path);
        let suite = suites.entry(package).or_insert_with(|| TestSuite::new(xml(package)));
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
                status.set_description(xml(&String::from_utf8_lossy(&text)));
                status
            }
        };
        let case = case(&result.rule, name, status);
        suites.entry(package).or_insert_with(|| TestSuite::new(xml(package))).add_test_case(case);
    }
    for Complaint { of, message } in complaints {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(xml(message));
        suites.entry(WHOLE).or_insert_with(|| TestSuite::new(WHOLE)).add_test_case(whole(of, status));
    }
    write_suites(output, suites.into_values())
}

/// The suite of what is no single test's.
const WHOLE: &str = "regate test";

/// Writes why no test could be run, as one case.
pub(super) fn write_error(output: &mut impl Write, error: &str) -> io::Result<()> {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(xml(error.lines().next().unwrap_or_default())).set_description(xml(error));
    let mut suite = TestSuite::new(WHOLE);
    suite.add_test_case(whole("policy", status));
    write_suites(output, [suite])
}

fn write_suites(output: &mut impl Write, suites: impl IntoIterator<Item = TestSuite>) -> io::Result<()> {
    let mut all = Report::new("regate test");
    all.add_test_suites(suites);
    all.serialize(&mut *output).map_err(io::Error::other)?;
    writeln!(output)
}

/// A case that is no single test's.
fn whole(name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(WHOLE);
    case
}

/// The case of a rule, under its own name or that of one of its cases.
fn case(rule: &RuleTest, name: &str, status: TestCaseStatus) -> TestCase {
    let (package, _) = package_and_name(&rule.path);
    let mut case = TestCase::new(xml(name), status);
    case.set_classname(xml(package));
    case.extra.insert("file".into(), xml(&rule.file).into());
    case.extra.insert("line".into(), rule.line.to_string().into());
    case
}

/// A text without the characters that XML 1.0 forbids, even escaped.
fn xml(text: &str) -> String {
    let replaced = |c| match c {
        '\t' | '\n' => c,
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(replaced).collect()
}

fn cases(result: &TestResult) -> Vec<TestCase> {
    let (_, name) = package_and_name(&result.test.path);
    let make = |name: &str, status| case(&result.test, name, status);
    if !result.cases.is_empty() && !matches!(result.outcome, TestOutcome::Error(_)) {
        let named = result.cases.iter().map(|case| {
            let status =
                if case.passed { TestCaseStatus::success() } else { failure(result, case.failure.as_ref()) };
            make(&format!("{name}[{}]", case.name), status)
        });
        return named.collect();
    }
    let status = match &result.outcome {
        TestOutcome::Passed => TestCaseStatus::success(),
        TestOutcome::Skipped => TestCaseStatus::skipped(),
        TestOutcome::Failed => failure(result, result.failure.as_ref()),
        TestOutcome::Error(message) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message("the test could not be evaluated").set_description(xml(message));
            status
        }
    };
    let mut case = make(name, status);
    case.set_time(result.duration);
    vec![case]
}

/// A failure with the condition that was false.
fn failure(result: &TestResult, body: Option<&RuleBody>) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    let place = format!("{}:{}", result.test.file, result.test.line);
    let Some(body) = body else {
        status.set_message(xml(&format!("{place}: the test is not true")));
        return status;
    };
    if let Some(failed) = &body.failed {
        status.set_message(xml(&format!("{}:{}: {}", body.file, failed.line, failed.condition)));
    }
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let _ = write_failed(&mut text, body, 0);
    status.set_description(xml(&String::from_utf8_lossy(&text)));
    status
}

#[cfg(test)]
mod tests {
    use super::{write_error, xml};

    #[test]
    fn what_xml_forbids_is_replaced() {
        assert_eq!(xml("a\u{1b}[2J\t\n\r\u{fffe}\u{ffff}ü"), "a\u{fffd}[2J\t\n\u{fffd}\u{fffd}\u{fffd}ü");
        let mut text = Vec::new();
        write_error(&mut text, "a\u{ffff}\nb").unwrap();
        assert!(!String::from_utf8(text).unwrap().contains('\u{ffff}'));
    }
}
