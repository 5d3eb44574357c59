//! `regate check`: what Rego lets pass in silence.

mod report;
mod sarif;

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, ValueEnum};

use super::{
    configuration::{self, Configuration},
    exit::{CommandError, Exit},
    policies::{self, Places},
    test::rego_version,
};
use crate::{
    decision::RegoVersion,
    policy::{
        self, LoadError, PolicySource,
        check::{CheckOptions, CheckedSource, Code, Finding, Severity, check},
    },
};
use report::Report;

/// Find what Rego would let pass in silence
///
/// A misspelt field of `input` is no error in Rego: it is undefined, the rule never matches, and nobody is
/// told. This command loads and compiles the bundle as `serve` does, and then looks for what cannot be meant:
/// fields, data and functions that do not exist, rules that nothing reaches, a `not` that holds by accident.
///
/// Files whose name ends in _test.rego, and files in a folder called test, tests or …-tests, are checked but
/// not compiled for serving.
///
/// Exit code 0: nothing found, or warnings only; 2: errors (with --deny-warnings: anything); 3: the policy does
/// not compile; 1: it could not run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  regate check                                  policies and policy-tests, as CI does
  regate check --config /etc/regate/regate.toml what the configuration names
  regate check --deny-warnings --format sarif   for a code-scanning service
  regate check --explain unknown-input          what a finding means, with a bad and a good example

Where something is meant, say so, and why, at the end of the line or on the line above:
  allow if not startswith(input.request.host, \"admin.\") # regate:allow negated-undefined meant
For a whole file: # regate:allow-file CODE")]
pub(in crate::cli) struct Check {
    /// Policy and test folders or files [default: the folder and the tests of [policy], else policies and
    /// policy-tests]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Configuration file, for [policy] (entrypoints, language) and [[documents]]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A rule that is asked, in place of those of the configuration; may be repeated
    #[arg(long, value_name = "data.PACKAGE.RULE", value_parser = policies::rule_path)]
    entrypoint: Vec<String>,
    /// The language of the files, v0 or v1 [default: that of the configuration, v1]
    #[arg(long, value_parser = rego_version)]
    rego_version: Option<RegoVersion>,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
    /// Fail on warnings too
    #[arg(long)]
    deny_warnings: bool,
    /// The rules get another `input` than regate gives: do not look at its fields
    #[arg(long)]
    no_input_schema: bool,
    /// Print all codes, one a line, and end
    #[arg(long, conflicts_with = "explain")]
    list: bool,
    /// Print what a code means, with a bad and a good example, and end
    #[arg(long, value_name = "CODE", value_parser = code)]
    explain: Option<Code>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Pretty,
    /// One object with all findings
    Json,
    /// SARIF 2.1.0, for code-scanning services and editors
    Sarif,
}

fn code(text: &str) -> Result<Code, String> {
    Code::from_name(text).ok_or_else(|| "no such code: see regate check --list".to_owned())
}

impl Check {
    /// Checks and prints what was found.
    pub(in crate::cli) fn run(&self) -> Result<Exit, CommandError> {
        let mut output = io::stdout().lock();
        if self.list {
            for code in Code::ALL {
                writeln!(output, "{:<20} {:<8} {}", code.as_str(), word(code.severity()), code.summary())?;
            }
            return Ok(Exit::Done);
        }
        if let Some(code) = self.explain {
            let severity = word(code.severity());
            writeln!(output, "{code} ({severity}): {}\n\n{}", code.summary(), code.explanation())?;
            return Ok(Exit::Done);
        }
        let report = self.report()?;
        match self.format {
            Format::Pretty => report.write_pretty(&mut output)?,
            Format::Json => report.write_json(&mut output)?,
            Format::Sarif => sarif::write(&report, &mut output)?,
        }
        Ok(self.exit(&report.findings))
    }

    fn exit(&self, findings: &[Finding]) -> Exit {
        let is_error = |finding: &Finding| finding.severity() == Severity::Error || self.deny_warnings;
        match findings {
            found if found.iter().any(|finding| finding.code == Code::Compile) => Exit::BrokenPolicy,
            found if found.iter().any(is_error) => Exit::Failed,
            _ => Exit::Done,
        }
    }

    fn report(&self) -> Result<Report, CommandError> {
        let configuration = Configuration::read(self.config.as_ref(), configuration::variables())?;
        let places = Places::of(&self.paths, &configuration);
        let files = match load(&places) {
            Ok(files) => files,
            Err(error) => return broken(error),
        };
        let compile_options = configuration.compile_options(1)?;
        let paths = compile_options.entrypoints;
        let (entrypoints, optional_entrypoints) = match self.entrypoint.is_empty() {
            true => (vec![paths.decision], vec![paths.management, paths.authzen]),
            false => (self.entrypoint.clone(), Vec::new()),
        };
        let options = CheckOptions {
            entrypoints,
            optional_entrypoints,
            rego_version: self.rego_version.unwrap_or(compile_options.rego_version),
            mounts: compile_options.mounts.to_vec(),
            data: files.data,
            input_schema: !self.no_input_schema,
        };
        let sources: Vec<CheckedSource> = files
            .sources
            .into_iter()
            .map(|source| CheckedSource { is_test: places.is_test(source.name.as_ref()), source })
            .collect();
        let findings = check(&sources, &options);
        Ok(Report { findings, sources })
    }
}

/// All rules; of the data, what is served.
fn load(places: &Places) -> Result<policy::Files, LoadError> {
    let mut files = policy::load(&places.source())?;
    let served: Vec<PathBuf> = places.paths.iter().filter(|path| !places.is_test(path)).cloned().collect();
    if !served.is_empty() && served.len() < places.paths.len() {
        match policy::load(&PolicySource::Paths(served)) {
            Ok(served) => files.data = served.data,
            // Tests alone are checked as far as they go.
            Err(LoadError::NoRules { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// A file that is there and cannot be used is a finding, which names it.
fn broken(error: LoadError) -> Result<Report, CommandError> {
    let file = match &error {
        LoadError::NotUtf8 { path }
        | LoadError::Data { path, .. }
        | LoadError::Conflict { path, .. }
        | LoadError::NotAFile { path }
        | LoadError::TooLarge { path, .. } => path.display().to_string(),
        LoadError::Read { .. }
        | LoadError::NoRules { .. }
        | LoadError::TooMany { .. }
        | LoadError::Unsteady { .. } => {
            return Err(CommandError::NothingToCheck(error));
        }
    };
    let text = error.to_string();
    let message = text.strip_prefix(&format!("{file}: ")).unwrap_or(&text).to_owned();
    let finding = Finding { file, place: None, code: Code::Compile, message };
    Ok(Report { findings: vec![finding], sources: Vec::new() })
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}
