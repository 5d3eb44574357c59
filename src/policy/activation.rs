//! The way from files to a bundle that may decide: load, compile, test, ask both engines. A bundle that does not
//! come to its end never decides.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use super::{
    candidate::{Candidate, Places},
    load_error::LoadError,
    testing::{TestReport, TestSuite},
};
use crate::decision::{Bundle, CompileError, CompileOptions, SourcePlace, TestOutcome};

/// A step on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Finding and reading the files.
    Load,
    /// Making a program of them.
    Compile,
    /// Running the bundle's own tests.
    Test,
    /// Holding the engine that decides against the one that tests.
    Engines,
}

impl Stage {
    /// The name on the wire and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Compile => "compile",
            Self::Test => "test",
            Self::Engines => "engines",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a bundle was not activated. The text is for the engineer who edits it: it names files and may
/// show a line of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ActivationFailure {
    /// The step that it did not pass.
    pub stage: Stage,
    /// What is wrong.
    pub message: String,
    /// Where, if it is known.
    pub place: Option<SourcePlace>,
}

impl ActivationFailure {
    /// The message without lines of files: a link in the folder may lead to a file that is not for everybody who reads the
    /// log or asks the API.
    pub fn without_lines(&self) -> String {
        // The engine shows a line as `12 | its text`, and `|` alone around it.
        let is_line = |line: &str| {
            let number = line.trim_start().trim_start_matches(|character: char| character.is_ascii_digit());
            number.trim_start().starts_with('|')
        };
        self.message.lines().filter(|line| !is_line(line)).collect::<Vec<_>>().join("\n")
    }
}

impl From<LoadError> for ActivationFailure {
    fn from(error: LoadError) -> Self {
        let file = error.path().display().to_string();
        let place = Some(SourcePlace { file, line: None, column: None });
        Self { stage: Stage::Load, message: error.in_words(), place }
    }
}

/// What became of a bundle's tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestSummary {
    /// How many passed: all of them, or the bundle would not decide.
    pub passed: usize,
    /// How long they took.
    pub duration: Duration,
    /// How many different questions of theirs both engines answered alike.
    pub questions: usize,
}

/// A bundle that has passed every step.
#[derive(Debug)]
pub(super) struct Passed {
    pub bundle: Arc<Bundle>,
    /// `None` when there were no tests to run.
    pub tests: Option<TestSummary>,
}

/// Reads the files of a candidate.
pub(super) fn load(places: &Places) -> Result<Candidate, ActivationFailure> {
    Ok(places.read()?)
}

/// Takes a candidate through every step behind loading. To add one more: a function like those below,
/// and its line here.
pub(super) fn pass(
    candidate: &Candidate,
    options: &CompileOptions,
    test_time: Duration,
) -> Result<Passed, ActivationFailure> {
    let bundle = guarded(Stage::Compile, || compile(candidate, options))?;
    let bundle = Arc::new(bundle);
    let tests = guarded(Stage::Test, || test(candidate, options, test_time))?;
    let tests = match tests {
        None => None,
        Some((suite, mut summary)) => {
            summary.questions = guarded(Stage::Engines, || engines(&suite, &bundle, test_time))?;
            Some(summary)
        }
    };
    Ok(Passed { bundle, tests })
}

/// A mistake of the engine's own must not end the thread that reloads: nobody would hear of the next edit.
fn guarded<T>(
    stage: Stage,
    step: impl FnOnce() -> Result<T, ActivationFailure>,
) -> Result<T, ActivationFailure> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| {
        let message = "the engine broke down over these files; the log has its own words".to_owned();
        Err(ActivationFailure { stage, message, place: None })
    })
}

fn compile(candidate: &Candidate, options: &CompileOptions) -> Result<Bundle, ActivationFailure> {
    let files = &candidate.policy;
    Bundle::compile(&files.sources, files.data.clone(), files.revision.clone(), options)
        .map_err(|error| in_compiling(Stage::Compile, "", &error))
}

fn in_compiling(stage: Stage, before: &str, error: &CompileError) -> ActivationFailure {
    let text = error.to_string();
    let place = SourcePlace::in_message(&text);
    ActivationFailure { stage, message: format!("{before}{text}"), place }
}

fn test(
    candidate: &Candidate,
    options: &CompileOptions,
    time: Duration,
) -> Result<Option<(TestSuite, TestSummary)>, ActivationFailure> {
    let Some(files) = &candidate.tests else { return Ok(None) };
    let mut suite = TestSuite::of(files.clone(), options.rego_version, None)
        .map_err(|error| in_compiling(Stage::Test, "the tests could not run: ", &error))?;
    let report = suite.run(Some(time));
    let failed = |message, place| Err(ActivationFailure { stage: Stage::Test, message, place });
    if let Some(first) = report.failures().next() {
        let place = SourcePlace { file: first.test.file.clone(), line: Some(first.test.line), column: None };
        return failed(describe(&report), Some(place));
    }
    if report.results.is_empty() {
        // A wrong folder must not look like success.
        return failed("there is no test among the files of tests".to_owned(), None);
    }
    let (passed, _, _) = report.counts();
    if passed == 0 {
        return failed("no test was run: those among the files of tests are all to do".to_owned(), None);
    }
    let duration = report.results.iter().map(|result| result.duration).sum();
    Ok(Some((suite, TestSummary { passed, duration, questions: 0 })))
}

/// Tests run in the interpreter. What they ask must get the same answer where decisions are made.
fn engines(suite: &TestSuite, bundle: &Arc<Bundle>, time: Duration) -> Result<usize, ActivationFailure> {
    let asked = suite.ask_both_engines(bundle, time);
    let report =
        asked.map_err(|error| in_compiling(Stage::Engines, "the engines could not be asked: ", &error))?;
    match report.disagreement {
        None => Ok(report.questions),
        Some(disagreement) => {
            Err(ActivationFailure { stage: Stage::Engines, message: disagreement.to_string(), place: None })
        }
    }
}

/// So many failing tests are named; the engineer runs `regate test` for the rest.
const NAMED: usize = 5;

fn describe(report: &TestReport) -> String {
    let failures: Vec<_> = report.failures().collect();
    let mut text = format!("{} of {} tests did not pass", failures.len(), report.results.len());
    for failure in failures.iter().take(NAMED) {
        let test = &failure.test;
        text.push_str(&format!("\n{}:{} {}", test.file, test.line, test.path));
        if let TestOutcome::Error(message) = &failure.outcome {
            text.push_str(&format!(": {message}"));
        }
        if let Some(failed) = failure.failure.as_ref().and_then(|body| body.failed.as_ref()) {
            text.push_str(&format!(": line {}: {}", failed.line, failed.condition));
        }
    }
    if failures.len() > NAMED {
        text.push_str(&format!("\nand {} more", failures.len() - NAMED));
    }
    text
}
