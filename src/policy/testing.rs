//! Policy tests: every rule whose name begins with `test_`, as in OPA.

use std::time::{Duration, Instant};

use regex::Regex;
use thiserror::Error;

use super::{
    folder::{Files, PolicySource, load},
    load_error::LoadError,
};
use crate::decision::{CompileError, Interpreter, RegoVersion, RuleTest, TestOutcome};

/// Why tests could not run at all.
#[derive(Debug, Error)]
pub enum TestError {
    /// The files could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The rules do not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

/// What became of one test.
#[derive(Clone, Debug)]
pub struct TestResult {
    /// The test.
    pub test: RuleTest,
    /// What became of it.
    pub outcome: TestOutcome,
    /// How long it took.
    pub duration: Duration,
}

/// What became of all tests that were run.
#[derive(Clone, Debug, Default)]
pub struct TestReport {
    /// By file and line.
    pub results: Vec<TestResult>,
}

impl TestReport {
    /// Those that did not pass.
    pub fn failures(&self) -> impl Iterator<Item = &TestResult> {
        self.results.iter().filter(|result| result.outcome != TestOutcome::Passed)
    }
}

/// Runs the tests of all files of `source` whose path below `data` matches `only`.
///
/// # Errors
/// [`TestError`] when the files cannot be read or do not compile. A failing test is no error.
pub fn run_tests(
    source: &PolicySource,
    version: RegoVersion,
    only: Option<&Regex>,
) -> Result<TestReport, TestError> {
    Ok(run_tests_of(load(source)?, version, only, None)?)
}

/// The same of files that were read already. Beyond `time` for all of them, a test that is running, and
/// each that is left, is an error.
pub(super) fn run_tests_of(
    files: Files,
    version: RegoVersion,
    only: Option<&Regex>,
    time: Option<Duration>,
) -> Result<TestReport, CompileError> {
    let mut interpreter = Interpreter::new(&files.sources, files.data, version)?;
    let selected =
        interpreter.tests()?.into_iter().filter(|test| only.is_none_or(|regex| regex.is_match(&test.path)));
    let all_begun = Instant::now();
    let results = selected
        .map(|test| {
            let begun = Instant::now();
            let left = time.map(|time| time.saturating_sub(all_begun.elapsed()));
            let outcome = match left {
                Some(Duration::ZERO) => TestOutcome::Error("there was no time left to run it".to_owned()),
                left => interpreter.run(&test, left),
            };
            TestResult { test, outcome, duration: begun.elapsed() }
        })
        .collect();
    Ok(TestReport { results })
}
