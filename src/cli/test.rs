//! `regate test`: policy tests.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use regex::Regex;

use super::exit::{CommandError, Exit};
use crate::{
    decision::{RegoVersion, TestOutcome},
    policy::{self, PolicySource, TestReport},
};

/// Run the policy tests: every rule whose name begins with test_
///
/// Reads all .rego files, data.json and data.yaml below each path, as one bundle. Exit code 0: all
/// passed; 1: they could not run; 2: a test failed.
#[derive(Debug, Args)]
pub(super) struct Test {
    /// Policy and test folders or files
    #[arg(value_name = "PATH", default_values = ["policies", "policy-tests"])]
    paths: Vec<PathBuf>,
    /// Only the tests whose path (data.package.test_name) matches
    #[arg(long, value_name = "REGEX")]
    run: Option<Regex>,
    /// Name the tests that passed as well
    #[arg(long, short)]
    verbose: bool,
    /// The language of the files: v0 or v1
    #[arg(long, default_value = "v1", value_parser = rego_version)]
    rego_version: RegoVersion,
}

/// `v0` or `v1`.
pub(super) fn rego_version(text: &str) -> Result<RegoVersion, String> {
    match text {
        "v0" => Ok(RegoVersion::V0),
        "v1" => Ok(RegoVersion::V1),
        _ => Err("v0 or v1".to_owned()),
    }
}

impl Test {
    /// Runs the tests and prints what became of them.
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let source = PolicySource::Paths(self.paths.clone());
        let report = policy::run_tests(&source, self.rego_version, self.run.as_ref())?;
        self.print(&report)?;
        if report.results.is_empty() {
            // A filter with a typing error must not look like success to CI.
            return Err(CommandError::Refused("there is no test to run".to_owned()));
        }
        Ok(if report.failures().next().is_some() { Exit::Failed } else { Exit::Done })
    }

    fn print(&self, report: &TestReport) -> io::Result<()> {
        let mut output = io::stdout().lock();
        for result in &report.results {
            let (word, more) = match &result.outcome {
                TestOutcome::Passed if !self.verbose => continue,
                TestOutcome::Passed => ("pass", None),
                TestOutcome::Failed => ("FAIL", None),
                TestOutcome::Error(message) => ("ERROR", Some(message)),
            };
            let test = &result.test;
            let micros = result.duration.as_micros();
            writeln!(output, "{word} {}:{} {} ({micros} µs)", test.file, test.line, test.path)?;
            if let Some(message) = more {
                writeln!(output, "    {}", message.replace('\n', "\n    "))?;
            }
        }
        let failed = report.failures().count();
        writeln!(output, "{} passed, {failed} failed", report.results.len() - failed)
    }
}
