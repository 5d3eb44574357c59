//! Policy tests: every rule whose name begins with `test_`, as in OPA.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use regex::Regex;
use thiserror::Error;

use super::{
    folder::{Files, PolicySource, load},
    load_error::LoadError,
};
use crate::decision::{
    Bundle, CompileError, Disagreement, FileCoverage, Interpreter, RegoVersion, RuleBody, RuleTest, TestCase,
    TestOutcome, disagreement, record_questions,
};

/// A measurement goes on until it took this long, so that the clock's own error is small.
const MEASURED: Duration = Duration::from_millis(200);
/// And at most so often.
const MOST_ITERATIONS: u64 = 1_000_000;

/// Why tests could not run at all.
#[derive(Debug, Error)]
pub enum TestError {
    /// The files could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The rules do not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// What was covered could not be found out; the engine's message.
    #[error("the coverage could not be found out: {0}")]
    Coverage(String),
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
    /// Its cases, if its head names them.
    pub cases: Vec<TestCase>,
    /// What it printed.
    pub printed: Vec<String>,
    /// Of a failed test: the condition that failed, with the values in it.
    pub failure: Option<RuleBody>,
}

/// What became of all tests that were run.
#[derive(Clone, Debug, Default)]
pub struct TestReport {
    /// By file and line.
    pub results: Vec<TestResult>,
}

impl TestReport {
    /// Those that were run and did not pass.
    pub fn failures(&self) -> impl Iterator<Item = &TestResult> {
        let good = |outcome: &TestOutcome| matches!(outcome, TestOutcome::Passed | TestOutcome::Skipped);
        self.results.iter().filter(move |result| !good(&result.outcome))
    }

    /// How many passed, failed (or could not be evaluated), and were not to be run yet.
    pub fn counts(&self) -> (usize, usize, usize) {
        let of = |wanted: &TestOutcome| self.results.iter().filter(|r| r.outcome == *wanted).count();
        (of(&TestOutcome::Passed), self.failures().count(), of(&TestOutcome::Skipped))
    }
}

/// What came of asking both engines.
#[derive(Clone, Debug)]
pub struct EngineReport {
    /// How many different questions the tests ask.
    pub questions: usize,
    /// The first to which the engines give different answers.
    pub disagreement: Option<Disagreement>,
}

/// How long one evaluation of a test takes.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// The test.
    pub test: RuleTest,
    /// It was evaluated so many times.
    pub iterations: u64,
    /// The mean of them.
    pub nanoseconds: f64,
}

/// The tests of some files, ready to be run.
#[derive(Debug)]
pub struct TestSuite {
    files: Files,
    version: RegoVersion,
    interpreter: Interpreter,
    tests: Vec<RuleTest>,
    /// The files that have a test of any name.
    test_files: BTreeSet<String>,
}

impl TestSuite {
    /// Reads all files of `source`, and takes those of their tests whose path below `data` matches `only`.
    ///
    /// # Errors
    /// [`TestError`] when the files cannot be read or do not compile.
    pub fn load(
        source: &PolicySource,
        version: RegoVersion,
        only: Option<&Regex>,
    ) -> Result<Self, TestError> {
        Ok(Self::of(load(source)?, version, only)?)
    }

    /// The tests of files that were read already.
    ///
    /// # Errors
    /// [`CompileError`] when they do not compile.
    pub fn of(files: Files, version: RegoVersion, only: Option<&Regex>) -> Result<Self, CompileError> {
        let interpreter = Interpreter::new(&files.sources, files.data.clone(), version)?;
        let mut tests = interpreter.tests()?;
        let test_files = tests.iter().map(|test| test.file.clone()).collect();
        tests.retain(|test| only.is_none_or(|regex| regex.is_match(&test.path)));
        Ok(Self { files, version, interpreter, tests, test_files })
    }

    /// Runs the tests. Of those that fail it is found out why. Beyond `time` for all of them, a test that is
    /// running, and each that is left, is an error.
    pub fn run(&mut self, time: Option<Duration>) -> TestReport {
        let Self { interpreter, tests, .. } = self;
        let all_begun = Instant::now();
        let results = tests.iter().map(|test| {
            let begun = Instant::now();
            let left = time.map(|time| time.saturating_sub(all_begun.elapsed()));
            let outcome = match left {
                Some(Duration::ZERO) => TestOutcome::Error("there was no time left to run it".to_owned()),
                left => interpreter.run(test, left),
            };
            let duration = begun.elapsed();
            let printed = interpreter.printed();
            let failed = outcome == TestOutcome::Failed;
            TestResult {
                cases: interpreter.named_cases(test),
                failure: if failed { interpreter.why_failed(test) } else { None },
                test: test.clone(),
                outcome,
                duration,
                printed,
            }
        });
        TestReport { results: results.collect() }
    }

    /// Asks both engines what the tests ask the entrypoints of `bundle`, which is made of some of the same files.
    /// Each test and each question may take `time`.
    ///
    /// # Errors
    /// [`CompileError`] when a question's data collides with a rule.
    pub fn ask_both_engines(
        &self,
        bundle: &Arc<Bundle>,
        time: Duration,
    ) -> Result<EngineReport, CompileError> {
        let Files { sources, data, .. } = &self.files;
        let questions = record_questions(bundle, sources, data, self.version, &self.tests, time)?;
        let disagreement = disagreement(bundle, &questions, time)?;
        Ok(EngineReport { questions: questions.len(), disagreement })
    }

    /// From now on it is noted which lines are evaluated.
    pub fn note_coverage(&mut self) {
        self.interpreter.note_coverage();
    }

    /// Which lines the tests have evaluated, for each file that has rules and no test.
    ///
    /// # Errors
    /// [`TestError::Coverage`]
    pub fn coverage(&self) -> Result<Vec<FileCoverage>, TestError> {
        let mut files = self.interpreter.coverage().map_err(TestError::Coverage)?;
        files.retain(|file| !self.test_files.contains(&file.file));
        files.sort_by(|one, other| one.file.cmp(&other.file));
        Ok(files)
    }

    /// Evaluates each test many times.
    pub fn measure(&mut self) -> Vec<Measurement> {
        let Self { interpreter, tests, .. } = self;
        let runnable = tests.iter().filter(|test| interpreter.run(test, None) != TestOutcome::Skipped);
        let runnable: Vec<RuleTest> = runnable.cloned().collect();
        runnable.into_iter().map(|test| measure(interpreter, test)).collect()
    }
}

fn measure(interpreter: &mut Interpreter, test: RuleTest) -> Measurement {
    let (mut iterations, mut batch) = (0_u64, 1_u64);
    let mut taken = Duration::ZERO;
    while taken < MEASURED && iterations < MOST_ITERATIONS {
        let begun = Instant::now();
        for _ in 0..batch {
            interpreter.evaluate_test(&test);
        }
        taken += begun.elapsed();
        iterations += batch;
        batch = batch.saturating_mul(2);
    }
    // What it printed was printed very often.
    drop(interpreter.printed());
    #[allow(clippy::cast_precision_loss, reason = "a mean of far fewer than 2^53 evaluations")]
    let nanoseconds = taken.as_nanos() as f64 / iterations as f64;
    Measurement { test, iterations, nanoseconds }
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
    Ok(TestSuite::load(source, version, only)?.run(None))
}
