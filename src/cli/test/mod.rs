//! `regate test`: policy tests.

mod coverage;
mod invariants;
mod json;
mod junit;
mod pretty;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, ValueEnum};
use rand::RngExt;
use regex::Regex;

use super::{
    configuration::{self, Configuration},
    exit::{CommandError, Exit},
    policies,
};
use crate::{
    decision::{CompileError, EvaluatingEngine, RegoVersion},
    policy::{self, Changes, EngineReport, PolicySource, TestReport, TestSuite, invariants::InvariantReport},
};

/// Run the policy tests: every rule whose name begins with test_
///
/// Reads all .rego files, data.json and data.yaml below each path, as one bundle. A test passes when it is
/// true; `todo_test_…` is reported and not run. Of a test that fails, the condition that was false is shown
/// with the values in it. A test whose head has a key runs once for each case, and names those that failed:
///
///     test_reads[name] if { some name, case in cases; allowed with input as case }
///
/// Decisions run on another engine than tests: so what the tests ask the entrypoints is asked of both engines,
/// and they must agree.
///
/// Exit code 0: all passed; 1: they could not run, or there was none; 2: a test failed, or less was
/// covered than --threshold asks for; 64: wrong usage.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct Test {
    /// Policy and test folders or files
    #[arg(value_name = "PATH", default_values = ["policies", "policy-tests"])]
    paths: Vec<PathBuf>,
    /// Only the tests whose path (data.package.test_name) matches
    #[arg(long, short, value_name = "REGEX")]
    run: Option<Regex>,
    /// How to print the report; json has the fields of OPA's, junit is for CI systems
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t = Format::Pretty)]
    format: Format,
    /// Name the tests that passed as well, and what they printed
    #[arg(long, short)]
    verbose: bool,
    /// Also show which lines of the policies (not of the tests) no test reaches
    #[arg(long, short)]
    coverage: bool,
    /// Fail when less than this part of the lines is reached, in per cent; implies --coverage
    #[arg(long, short, value_name = "PERCENT", value_parser = percent)]
    threshold: Option<f64>,
    /// Run again whenever a file changes, until Ctrl-C
    #[arg(long, short, conflicts_with = "bench")]
    watch: bool,
    /// Measure how long each test takes, in nanoseconds, instead of reporting results
    #[arg(long, conflicts_with_all = ["coverage", "threshold"])]
    bench: bool,
    /// Also look for counterexamples to the rules named invariant_…, which must hold for every question: with
    /// this many questions, made up from what the policies speak of
    #[arg(long, value_name = "TRIES", conflicts_with = "bench")]
    invariants: Option<usize>,
    /// Repeats the search that had this seed [default: a new one each time]
    #[arg(long, value_name = "NUMBER", requires = "invariants")]
    seed: Option<u64>,
    /// Data to ask over, as `regate import` takes it [default: made up as well]
    #[arg(long, value_name = "FILE", requires = "invariants")]
    data: Option<PathBuf>,
    /// The language of the files: v0 or v1 [default: that of the configuration, v1]
    #[arg(long, value_parser = rego_version, value_name = "VERSION")]
    rego_version: Option<RegoVersion>,
    /// Configuration file, for [policy] and [[documents]]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// So long one question may take that is asked of both engines.
const LONGEST: Duration = Duration::from_secs(60);

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Pretty,
    /// A list of tests with the fields of OPA's; with --coverage an object that has it as `tests`.
    Json,
    /// JUnit's XML.
    Junit,
}

/// `v0` or `v1`.
pub(in crate::cli) fn rego_version(text: &str) -> Result<RegoVersion, String> {
    match text {
        "v0" => Ok(RegoVersion::V0),
        "v1" => Ok(RegoVersion::V1),
        _ => Err("v0 or v1".to_owned()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let percent = text.trim_end_matches('%').parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| "a number from 0 to 100".to_owned())
}

impl Test {
    /// Runs the tests and prints what became of them, once or after each change.
    pub(in crate::cli) fn run(&self) -> Result<Exit, CommandError> {
        if !self.watch {
            return self.run_once();
        }
        // Before the first run: what changes meanwhile is to be seen.
        let mut changes = Changes::of(&self.paths);
        loop {
            // A file in the middle of an edit is no reason to end.
            if let Err(error) = self.run_once() {
                if error.is_broken_pipe() {
                    return Err(error);
                }
                eprintln!("regate: {}", error.with_causes());
            }
            eprintln!("regate: waiting for changes");
            changes.wait();
        }
    }

    fn run_once(&self) -> Result<Exit, CommandError> {
        let mut configuration = Configuration::read(self.config.as_ref(), configuration::variables())?;
        if let Some(version) = self.rego_version {
            configuration.policy.rego_version = version;
        }
        let version = configuration.policy.rego_version;
        let source = PolicySource::Paths(self.paths.clone());
        let mut suite = TestSuite::load(&source, version, self.run.as_ref())?;
        if self.bench {
            return self.measure(&mut suite);
        }
        let with_coverage = self.coverage || self.threshold.is_some();
        if with_coverage {
            suite.note_coverage();
        }
        let report = suite.run(None);
        let engines = self.ask_both_engines(&suite, &source, &configuration)?;
        let coverage = if with_coverage { Some(coverage::Coverage::new(suite.coverage()?)) } else { None };
        let invariants = match self.invariants {
            Some(tries) => Some(self.search(&source, &configuration, tries)?),
            None => None,
        };
        let mut output = io::stdout().lock();
        match self.format {
            Format::Pretty => {
                pretty::write(&mut output, &report, coverage.as_ref(), self.verbose)?;
                if let Some(invariants) = &invariants {
                    invariants::write(&mut output, invariants, self.verbose)?;
                }
            }
            Format::Json => json::write(&mut output, &report, coverage.as_ref(), invariants.as_ref())?,
            Format::Junit => junit::write(&mut output, &report, invariants.as_ref())?,
        }
        if report.results.is_empty() && invariants.as_ref().is_none_or(|found| found.results.is_empty()) {
            return Err(no_tests());
        }
        let covered = coverage.as_ref().map_or(100.0, coverage::Coverage::percent);
        let wanted = self.threshold.unwrap_or(0.0);
        if covered < wanted {
            eprintln!("regate: {covered:.2} % of the lines are reached, and {wanted} % are asked for");
        }
        let broken = invariants.is_some_and(|invariants| invariants.broken().next().is_some());
        let disagree = broken || engines.is_some_and(|engines| engines.disagreement.is_some());
        Ok(if covered < wanted || disagree { Exit::Failed } else { exit(&report) })
    }

    fn search(
        &self,
        source: &PolicySource,
        configuration: &Configuration,
        tries: usize,
    ) -> Result<InvariantReport, CommandError> {
        let world = match &self.data {
            None => None,
            Some(file) => Some(invariants::world(file)?),
        };
        // What a search finds can be found again: the seed is shown.
        let seed = self.seed.unwrap_or_else(|| rand::make_rng::<rand::rngs::StdRng>().random());
        let options = configuration.compile_options(1)?;
        Ok(policy::invariants::search(source, &options, self.run.as_ref(), world, tries, seed)?)
    }

    /// Only for a bundle that could be served: somebody else's tests have no entrypoint.
    fn ask_both_engines(
        &self,
        suite: &TestSuite,
        source: &PolicySource,
        configuration: &Configuration,
    ) -> Result<Option<EngineReport>, CommandError> {
        let bundle = match policies::compile_source(source, configuration, 1) {
            Err(CommandError::Policy(CompileError::EntrypointMissing(path))) if self.verbose => {
                eprintln!("regate: no rule at {path}: what the tests ask was not asked of both engines");
                return Ok(None);
            }
            Err(CommandError::Policy(CompileError::EntrypointMissing(_))) => return Ok(None),
            compiled => Arc::new(compiled?),
        };
        if let EvaluatingEngine::Interpreter(reason) = bundle.engine() {
            eprintln!("regate: this bundle runs in the interpreter, which is slower: {reason}");
        }
        let engines = suite.ask_both_engines(&bundle, LONGEST)?;
        if let Some(disagreement) = &engines.disagreement {
            eprintln!("regate: {disagreement}");
        } else if self.verbose {
            eprintln!("regate: {} questions of the tests, and both engines agree", engines.questions);
        }
        Ok(Some(engines))
    }

    fn measure(&self, suite: &mut TestSuite) -> Result<Exit, CommandError> {
        let measured = suite.measure();
        if measured.is_empty() {
            return Err(no_tests());
        }
        let mut output = io::stdout().lock();
        match self.format {
            Format::Json => json::write_measured(&mut output, &measured)?,
            Format::Pretty | Format::Junit => pretty::write_measured(&mut output, &measured)?,
        }
        Ok(Exit::Done)
    }
}

/// A filter with a typing error must not look like success to CI.
fn no_tests() -> CommandError {
    let text = "there is no test to run: tests are rules whose name begins with test_, in the files below PATH \
                (see --run for what is selected)";
    CommandError::Refused(text.to_owned())
}

fn exit(report: &TestReport) -> Exit {
    if report.failures().next().is_some() { Exit::Failed } else { Exit::Done }
}
