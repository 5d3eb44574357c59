//! The report for programs, with the fields of OPA's.

use std::io::{self, Write};

use serde::Serialize;

use super::coverage::Coverage;
use crate::{
    decision::{Document, IdleCondition, RuleBody, TestOutcome, Why},
    policy::{
        Measurement, TestReport, TestResult,
        invariants::{InvariantReport, InvariantResult},
    },
};

#[derive(Serialize)]
struct Told<'a> {
    location: Location<'a>,
    package: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fail: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    skip: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Message<'a>>,
    /// In nanoseconds.
    duration: u128,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cases: Vec<Case<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    printed: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a RuleBody>,
}

#[derive(Serialize)]
struct Location<'a> {
    file: &'a str,
    row: u32,
    col: u32,
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

#[derive(Serialize)]
struct Case<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fail: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a RuleBody>,
}

impl<'a> From<&'a TestResult> for Told<'a> {
    fn from(result: &'a TestResult) -> Self {
        let (package, name) = package_and_name(&result.test.path);
        let error = match &result.outcome {
            TestOutcome::Error(message) => Some(Message { message }),
            _ => None,
        };
        let cases = result.cases.iter().map(|case| Case {
            name: &case.name,
            fail: !case.passed,
            failure: case.failure.as_ref(),
        });
        Self {
            location: Location { file: &result.test.file, row: result.test.line, col: 1 },
            package,
            name,
            fail: matches!(result.outcome, TestOutcome::Failed | TestOutcome::Error(_)),
            skip: result.outcome == TestOutcome::Skipped,
            error,
            duration: result.duration.as_nanos(),
            cases: cases.collect(),
            printed: &result.printed,
            failure: result.failure.as_ref(),
        }
    }
}

/// An invariant, and what was found.
#[derive(Serialize)]
struct ToldInvariant<'a> {
    location: Location<'a>,
    package: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fail: bool,
    tries: usize,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    idle: &'a [IdleCondition],
    #[serde(skip_serializing_if = "Option::is_none")]
    counterexample: Option<ToldCounterexample<'a>>,
}

#[derive(Serialize)]
struct ToldCounterexample<'a> {
    input: serde_json::Value,
    data: serde_json::Map<String, serde_json::Value>,
    decision: &'a Document,
    why: &'a Why,
    test: String,
}

impl<'a> From<&'a InvariantResult> for ToldInvariant<'a> {
    fn from(result: &'a InvariantResult) -> Self {
        let (package, name) = package_and_name(&result.rule.path);
        let counterexample = result.counterexample.as_ref().map(|found| ToldCounterexample {
            input: found.case.input(),
            data: found.case.data(),
            decision: &found.decision,
            why: &found.why,
            test: found.case.as_test(&result.rule.path),
        });
        Self {
            location: Location { file: &result.rule.file, row: result.rule.line, col: 1 },
            package,
            name,
            fail: counterexample.is_some(),
            tries: result.tries,
            idle: &result.idle,
            counterexample,
        }
    }
}

/// `data.a.b_test` and `test_c`.
pub(super) fn package_and_name(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// Writes the list of tests, or an object with the list, the coverage, and the invariants in it.
pub(super) fn write(
    output: &mut impl Write,
    report: &TestReport,
    coverage: Option<&Coverage>,
    invariants: Option<&InvariantReport>,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct All<'a> {
        tests: Vec<Told<'a>>,
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        coverage: Option<&'a Coverage>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        invariants: Option<Vec<ToldInvariant<'a>>>,
    }
    let tests: Vec<Told<'_>> = report.results.iter().map(Told::from).collect();
    if coverage.is_none() && invariants.is_none() {
        serde_json::to_writer_pretty(&mut *output, &tests)?;
    } else {
        let seed = invariants.map(|invariants| invariants.seed);
        let invariants =
            invariants.map(|invariants| invariants.results.iter().map(ToldInvariant::from).collect());
        serde_json::to_writer_pretty(&mut *output, &All { tests, coverage, seed, invariants })?;
    }
    writeln!(output)
}

/// Writes why there is no list.
pub(super) fn write_error(output: &mut impl Write, error: &str) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *output, &serde_json::json!({ "error": error }))?;
    writeln!(output)
}

/// Writes how long each test takes.
pub(super) fn write_measured(output: &mut impl Write, measured: &[Measurement]) -> io::Result<()> {
    #[derive(Serialize)]
    struct Told<'a> {
        location: Location<'a>,
        package: &'a str,
        name: &'a str,
        iterations: u64,
        nanoseconds_per_evaluation: f64,
    }
    let told: Vec<Told<'_>> = measured
        .iter()
        .map(|one| {
            let (package, name) = package_and_name(&one.test.path);
            let location = Location { file: &one.test.file, row: one.test.line, col: 1 };
            let nanoseconds_per_evaluation = one.nanoseconds;
            Told { location, package, name, iterations: one.iterations, nanoseconds_per_evaluation }
        })
        .collect();
    serde_json::to_writer_pretty(&mut *output, &told)?;
    writeln!(output)
}
