//! `regate test`: policy tests.

mod coverage;
mod invariants;
mod json;
mod junit;
mod pretty;

use std::{
    io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Args, ValueEnum};
use rand::RngExt;
use regex::Regex;

use super::{
    configuration::{self, Configuration},
    exit::{CommandError, Exit},
    policies::{self, Places},
    printable::printable_lines,
};
use crate::{
    decision::{CompileError, EvaluatingEngine, RegoVersion},
    policy::{
        self, Changes, EngineReport, Measurement, PolicySource, TestReport, TestSuite,
        invariants::InvariantReport,
    },
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
/// Exit code 0: all passed; 1: they could not run, or none was run; 2: a test failed, an invariant is broken, the
/// engines disagree, or less was covered than --threshold asks for; 3: the tests can run, and the policy cannot be
/// served; 64: wrong usage.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct Test {
    /// Policy and test folders or files [default: the folder and the tests of [policy], else policies and
    /// policy-tests]
    #[arg(value_name = "PATH")]
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
    invariants: Option<NonZeroUsize>,
    /// Repeats the search that had this seed [default: a new one each time]
    #[arg(long, value_name = "NUMBER", requires = "invariants")]
    seed: Option<u64>,
    /// Data to ask over, as `regate import` takes it [default: made up as well]
    #[arg(long, value_name = "FILE", requires = "invariants")]
    data: Option<PathBuf>,
    /// The language of the files: v0 or v1 [default: that of the configuration, v1]
    #[arg(long, value_parser = rego_version, value_name = "VERSION")]
    rego_version: Option<RegoVersion>,
    /// The rule whose questions are asked of both engines, in place of that of the configuration
    #[arg(long, value_name = "data.PACKAGE.RULE", value_parser = policies::rule_path)]
    entrypoint: Option<String>,
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
        let mut changes = Changes::of(&Places::of(&self.paths, &self.configuration()?).paths);
        loop {
            // A file in the middle of an edit is no reason to end.
            if let Err(error) = self.run_once() {
                if error.is_broken_pipe() {
                    return Err(error);
                }
                eprintln!("regate: {}", printable_lines(&error.with_causes()));
            }
            eprintln!("regate: waiting for changes");
            changes.wait();
        }
    }

    fn configuration(&self) -> Result<Configuration, CommandError> {
        let mut configuration = Configuration::read(self.config.as_ref(), configuration::variables())?;
        if let Some(version) = self.rego_version {
            configuration.policy.rego_version = version;
        }
        if let Some(entrypoint) = &self.entrypoint {
            configuration.policy.entrypoint.clone_from(entrypoint);
        }
        Ok(configuration)
    }

    fn run_once(&self) -> Result<Exit, CommandError> {
        match self.examine() {
            Ok(examined) => self.tell(&examined),
            Err(error) => {
                // Whoever reads a report gets one, also of this.
                let mut output = io::stdout().lock();
                match self.format {
                    Format::Pretty => {}
                    Format::Json => json::write_error(&mut output, &error.with_causes())?,
                    Format::Junit => junit::write_error(&mut output, &error.with_causes())?,
                }
                Err(error)
            }
        }
    }

    /// Runs or measures the tests.
    fn examine(&self) -> Result<Examined, CommandError> {
        let configuration = self.configuration()?;
        let places = Places::of(&self.paths, &configuration);
        let source = places.source();
        let mut suite = TestSuite::load(&source, configuration.policy.rego_version, self.run.as_ref())?;
        if self.bench {
            let measured = suite.measure();
            return if measured.is_empty() { Err(no_tests()) } else { Ok(Examined::Measured(measured)) };
        }
        let with_coverage = self.coverage || self.threshold.is_some();
        if with_coverage {
            suite.note_coverage();
        }
        let report = suite.run(None);
        let engines = self.ask_both_engines(&suite, &source, &configuration)?;
        let coverage = match with_coverage {
            true => {
                let mut files = suite.coverage()?;
                files.retain(|file| !places.is_test(Path::new(&file.file)));
                Some(coverage::Coverage::new(files))
            }
            false => None,
        };
        let invariants = match self.invariants {
            Some(tries) => Some(self.search(&source, &configuration, tries.get())?),
            None => None,
        };
        let complaints = self.complaints(engines.as_ref(), coverage.as_ref());
        Ok(Examined::Tested(Box::new(Tested { report, coverage, invariants, complaints })))
    }

    /// What is wrong beyond single tests.
    fn complaints(
        &self,
        engines: Option<&EngineReport>,
        coverage: Option<&coverage::Coverage>,
    ) -> Vec<Complaint> {
        let disagreement = engines.and_then(|engines| engines.disagreement.as_ref());
        let disagreement =
            disagreement.map(|found| Complaint { of: "both_engines", message: found.to_string() });
        let covered = coverage.map_or(100.0, coverage::Coverage::percent);
        let wanted = self.threshold.unwrap_or(0.0);
        let threshold = (covered < wanted).then(|| {
            let message = format!("{covered:.2} % of the lines are reached, and {wanted} % are asked for");
            Complaint { of: "threshold", message }
        });
        disagreement.into_iter().chain(threshold).collect()
    }

    /// Prints the report.
    fn tell(&self, examined: &Examined) -> Result<Exit, CommandError> {
        let mut output = io::stdout().lock();
        let tested = match examined {
            Examined::Tested(tested) => tested,
            Examined::Measured(measured) => {
                match self.format {
                    Format::Json => json::write_measured(&mut output, measured)?,
                    Format::Pretty | Format::Junit => pretty::write_measured(&mut output, measured)?,
                }
                return Ok(Exit::Done);
            }
        };
        let Tested { report, coverage, invariants, complaints } = &**tested;
        let (coverage, invariants) = (coverage.as_ref(), invariants.as_ref());
        match self.format {
            Format::Pretty => {
                pretty::write(&mut output, report, coverage, self.verbose)?;
                if let Some(invariants) = invariants {
                    invariants::write(&mut output, invariants, self.verbose)?;
                }
            }
            Format::Json => json::write(&mut output, report, coverage, invariants)?,
            Format::Junit => junit::write(&mut output, report, invariants, complaints)?,
        }
        for Complaint { message, .. } in complaints {
            eprintln!("regate: {}", printable_lines(message));
        }
        let (passed, failed, skipped) = report.counts();
        if passed + failed == 0 && invariants.is_none_or(|found| found.results.is_empty()) {
            return Err(if skipped == 0 { no_tests() } else { only_to_do(skipped) });
        }
        let broken = invariants.is_some_and(|invariants| invariants.broken().next().is_some());
        let good = failed == 0 && !broken && complaints.is_empty();
        Ok(if good { Exit::Done } else { Exit::Failed })
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
            // One that is named on purpose is to be there.
            Err(CommandError::Policy(CompileError::EntrypointMissing { path, .. }))
                if self.entrypoint.is_none() =>
            {
                eprintln!(
                    "regate: no rule at {}: what the tests ask was not asked of both engines (see --entrypoint)",
                    printable_lines(&path)
                );
                return Ok(None);
            }
            compiled => Arc::new(compiled?),
        };
        if let EvaluatingEngine::Interpreter(reason) = bundle.engine() {
            let reason = printable_lines(reason);
            eprintln!("regate: this bundle runs in the interpreter, which is slower: {reason}");
        }
        let engines = suite.ask_both_engines(&bundle, LONGEST)?;
        if engines.disagreement.is_none() && self.verbose {
            eprintln!("regate: {} questions of the tests, and both engines agree", engines.questions);
        }
        Ok(Some(engines))
    }
}

/// What came of it.
enum Examined {
    Tested(Box<Tested>),
    Measured(Vec<Measurement>),
}

/// What became of the tests.
struct Tested {
    report: TestReport,
    coverage: Option<coverage::Coverage>,
    invariants: Option<InvariantReport>,
    complaints: Vec<Complaint>,
}

/// Something that is wrong and is no single test's: what was looked at, and what was found.
struct Complaint {
    of: &'static str,
    message: String,
}

/// A filter with a typing error must not look like success to CI.
fn no_tests() -> CommandError {
    let text = "there is no test to run: tests are rules whose name begins with test_, in the files below PATH \
                (see --run for what is selected)";
    CommandError::Refused(text.to_owned())
}

fn only_to_do(skipped: usize) -> CommandError {
    let plural = if skipped == 1 { "" } else { "s" };
    CommandError::Refused(format!("no test was run: {skipped} rule{plural} named todo_test_…, and no other"))
}
