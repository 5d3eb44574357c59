//! Whether the rules can be served at all: `compile`.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use regex::Regex;

use super::{CheckOptions, CheckedSource, Code, Finding, Place};
use crate::{
    decision::{
        Bundle, CompileError, CompileOptions, EntrypointPaths, EvaluatingEngine, Interpreter, RegoSource,
    },
    types::PolicyRevision,
};

/// How the engine and regate's own refusals name a place: `--> a.rego:3:7`, `a.rego:3: …`.
static PLACE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?m)^(?:\s*-->\s*)?(?P<file>[^\n]+?\.rego):(?P<line>\d+)(?::(?P<column>\d+))?:?").ok()
});

/// How many columns a tab is to the engine.
const TAB_WIDTH: usize = 4;

/// Compiles what is served as `serve` would, then everything as `test` would.
pub(super) fn compile(sources: &[CheckedSource], options: &CheckOptions) -> Vec<Finding> {
    let served: Vec<RegoSource> =
        sources.iter().filter(|source| !source.is_test).map(|source| source.source.clone()).collect();
    let all: Vec<RegoSource> = sources.iter().map(|source| source.source.clone()).collect();
    let whole = &folder_of(&served);
    let optional = |index: usize| options.optional_entrypoints.get(index).cloned().unwrap_or_default();
    let serving = options.entrypoints.iter().map(|entrypoint| {
        let compile_options = CompileOptions {
            entrypoints: EntrypointPaths {
                decision: entrypoint.clone(),
                management: optional(0),
                authzen: optional(1),
            },
            rego_version: options.rego_version,
            mounts: Arc::from(options.mounts.clone()),
            ..CompileOptions::default()
        };
        let revision = PolicyRevision::from_digest(&[]);
        Bundle::compile(&served, options.data.clone(), revision, &compile_options)
    });
    let (compiled, failed): (Vec<_>, Vec<_>) = serving.partition(Result::is_ok);
    let interpreted = compiled.into_iter().flatten().filter_map(|bundle| match bundle.engine() {
        EvaluatingEngine::VirtualMachine => None,
        EvaluatingEngine::Interpreter(reason) => {
            Some(Finding { code: Code::Interpreted, ..finding_in(reason, whole) })
        }
    });
    let interpreted: Vec<Finding> = interpreted.collect();
    let testing = || {
        let interpreter = Interpreter::new(&all, options.data.clone(), options.rego_version)?;
        interpreter.tests().map(drop)
    };
    let mut findings: Vec<Finding> =
        failed.into_iter().filter_map(Result::err).map(|error| finding(&error, whole)).collect();
    if findings.is_empty() {
        findings.extend(testing().err().map(|error| finding(&error, whole)));
    }
    findings.extend(interpreted);
    findings.dedup();
    findings
}

/// What is named when no file is to blame: the folder in which all lie.
fn folder_of(sources: &[RegoSource]) -> String {
    let Some((first, others)) = sources.split_first() else { return ".".to_owned() };
    let holds_all = |folder: &&Path| others.iter().all(|other| Path::new(&other.name).starts_with(folder));
    let folder =
        Path::new(&first.name).ancestors().find(holds_all).filter(|path| !path.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).display().to_string()
}

/// An error of the compiler. One that names no place is the whole bundle's.
pub(super) fn finding(error: &CompileError, whole: &str) -> Finding {
    finding_in(&error.to_string(), whole)
}

fn finding_in(text: &str, whole: &str) -> Finding {
    let found = PLACE.as_ref().and_then(|place| place.captures(text));
    let number = |name: &str| found.as_ref()?.name(name)?.as_str().parse().ok();
    let file = found.as_ref().and_then(|found| found.name("file")).map_or(whole, |file| file.as_str());
    let place = number("line")
        .map(|line: usize| Place { line: line.max(1), column: number("column").unwrap_or(1).max(1) });
    Finding { file: file.to_owned(), place, code: Code::Compile, message: said(text) }
}

/// The column in characters, in place of the engine's, which counts a tab as four.
pub(super) fn in_characters(finding: &mut Finding, sources: &[CheckedSource]) {
    let source = sources.iter().find(|checked| checked.source.name == finding.file);
    let (Some(source), Some(place)) = (source, &mut finding.place) else { return };
    let line = source.source.text.lines().nth(place.line - 1).unwrap_or_default();
    let mut before = place.column - 1;
    let passed = line.chars().take_while(|character| {
        let width = if *character == '\t' { TAB_WIDTH } else { 1 };
        let passed = before >= width;
        before = before.saturating_sub(width);
        passed
    });
    place.column = passed.count() + 1;
}

/// What the engine says, without its picture of the place.
fn said(text: &str) -> String {
    match text.rsplit_once("\nerror: ") {
        Some((_, said)) => said.trim().to_owned(),
        None => PLACE.as_ref().map_or(text.into(), |place| place.replace(text, "")).trim().to_owned(),
    }
}
