//! What Rego lets pass in silence: `regate check`.
//!
//! **For:** finding, in rules that compile, what is not meant: a field that does not exist, a function that
//! nobody defines, a rule that nothing reaches. Rules, data and options in; findings out. `reading` resolves
//! names, `definitions` knows the rules, and each other module has one group of codes.
//!
//! **Must never know:** files, the command line, how findings are printed.
//!
//! **To add one more** code: see `code.rs`.

mod allow;
mod calls;
mod code;
mod conflicts;
mod defined;
mod definitions;
mod entrypoints;
mod expression;
mod finding;
mod guards;
mod known;
mod nearest;
mod negation;
mod reading;
mod reference;
mod serving;
#[cfg(test)]
mod tests;
mod tree;
mod unused;
mod values;
mod whole;

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::Value;

use definitions::{Definition, Definitions, File, Path};
use finding::Text;
use guards::Guards;
use reference::{Reading, Reference};
use tree::Module;

pub use code::Code;
pub use finding::{Finding, Place, Severity};

use crate::decision::{Document, EntrypointPaths, Mount, RegoSource, RegoVersion, syntax_trees};

/// A file of rules, and whether it is served.
#[derive(Clone, Debug)]
pub struct CheckedSource {
    /// Its name and text.
    pub source: RegoSource,
    /// It holds tests, or what tests share: it is not part of what decides.
    pub is_test: bool,
}

/// What the rules are held against.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// The rules that are asked, such as `data.regate.decision`. Each must exist.
    pub entrypoints: Vec<String>,
    /// The rules that are asked if there are such: of regate's own management API, then of AuthZEN.
    pub optional_entrypoints: Vec<String>,
    /// The language.
    pub rego_version: RegoVersion,
    /// Where the organisation's own documents stand.
    pub mounts: Vec<Mount>,
    /// What the data files of the bundle say.
    pub data: Document,
    /// Whether `input` is what regate gives. Otherwise nothing is known of it.
    pub input_schema: bool,
}

/// The rules, read.
struct Bundle<'t> {
    files: &'t [File<'t>],
    definitions: Definitions<'t>,
    /// By file, then by rule.
    readings: Vec<Vec<Reading>>,
    /// By file.
    imports: Vec<Vec<Reference>>,
    /// What the data files say.
    data: Value,
    options: &'t CheckOptions,
    /// What was found out of a rule once is not looked for again: rules stand on each other many levels deep.
    proven: RefCell<BTreeMap<Path, Guards>>,
    total: RefCell<BTreeMap<Path, bool>>,
}

/// A finding before its byte is made a place.
struct Found {
    file: usize,
    at: usize,
    code: Code,
    message: String,
}

impl<'t> Bundle<'t> {
    fn new(files: &'t [File<'t>], options: &'t CheckOptions) -> Self {
        let definitions = Definitions::of(files);
        let rules = |file: &File<'t>| {
            file.module.rules.iter().map(|rule| reading::read_rule(file, &definitions, rule)).collect()
        };
        let readings = files.iter().map(rules).collect();
        let imports = files.iter().map(|file| reading::read_imports(file, &definitions)).collect();
        // A document is JSON but for sets, which data files cannot have.
        let data = serde_json::to_value(&options.data).unwrap_or_default();
        let (proven, total) = Default::default();
        Self { files, definitions, readings, imports, data, options, proven, total }
    }

    /// The paths of the rules that are asked, without `data`.
    fn entrypoints(&self) -> impl Iterator<Item = Vec<String>> {
        self.deciding().chain(self.candidates())
    }

    /// Those of them that decide.
    fn deciding(&self) -> impl Iterator<Item = Vec<String>> {
        let all = self.options.entrypoints.iter().chain(&self.options.optional_entrypoints);
        all.map(|path| names(path))
    }

    /// Those that name what AuthZEN's searches look at: undefined, they name nothing.
    fn candidates(&self) -> impl Iterator<Item = Vec<String>> {
        let authzen = self.options.optional_entrypoints.get(1).cloned();
        let of = |authzen| EntrypointPaths { authzen, ..EntrypointPaths::default() }.candidates();
        authzen.map(of).into_iter().flatten().map(|path| names(&path))
    }

    /// What each rule mentions, with its file.
    fn readings(&self) -> impl Iterator<Item = (usize, &Reading)> {
        self.readings.iter().enumerate().flat_map(|(file, readings)| readings.iter().map(move |r| (file, r)))
    }

    fn readings_of(&self, file: usize) -> impl Iterator<Item = &Reading> {
        self.readings.get(file).into_iter().flatten()
    }

    fn reading(&self, definition: &Definition<'_>) -> &Reading {
        &self.readings[definition.file][definition.index]
    }

    /// What each rule refers to, with its file.
    fn references(&self) -> impl Iterator<Item = (usize, &Reference)> {
        self.readings().flat_map(|(file, reading)| reading.references.iter().map(move |r| (file, r)))
    }

    /// What each file imports.
    fn imports(&self) -> impl Iterator<Item = (usize, &Reference)> {
        self.imports.iter().enumerate().flat_map(|(file, imports)| imports.iter().map(move |r| (file, r)))
    }
}

/// The names of a path, without `data`.
fn names(path: &str) -> Vec<String> {
    path.split('.').skip(1).map(str::to_owned).collect()
}

/// Checks rules. The findings are in the order of files and places; those that a comment silences are not
/// among them. A bundle that does not compile gives a [`Code::Compile`], and the rest as far as it can be had.
pub fn check(sources: &[CheckedSource], options: &CheckOptions) -> Vec<Finding> {
    let (files, mut findings) = read(sources, options.rego_version);
    // With a file missing, much would seem unknown or unused that is not.
    if findings.is_empty() {
        findings.extend(serving::compile(sources, options));
        let bundle = Bundle::new(&files, options);
        let concerns = [
            known::find,
            values::find,
            calls::find,
            unused::imports,
            unused::variables,
            unused::rules,
            entrypoints::find,
            negation::find,
            conflicts::find,
            defined::find,
            whole::find,
        ];
        let found: Vec<Found> = concerns.iter().flat_map(|find| find(&bundle)).collect();
        findings.extend(allow::apply(&files, found, options));
    }
    let of_the_engine = findings.iter_mut().filter(|finding| finding.code == Code::Compile);
    of_the_engine.for_each(|finding| serving::in_characters(finding, sources));
    findings.sort_by(Finding::in_order);
    findings.dedup();
    findings
}

/// Reads each file on its own, so that every one that does not parse is named.
fn read(sources: &[CheckedSource], version: RegoVersion) -> (Vec<File<'_>>, Vec<Finding>) {
    let (mut files, mut broken) = (Vec::new(), Vec::new());
    for CheckedSource { source, is_test } in sources {
        let module = syntax_trees(std::slice::from_ref(source), version)
            .and_then(|mut trees| trees.first_mut().map(Module::read).transpose());
        match module {
            Ok(Some(module)) => {
                let names = module.package.refr.names().unwrap_or_default();
                let package = names.into_iter().map(str::to_owned).collect();
                let text = Text::new(&source.text);
                files.push(File { name: &source.name, text, module, package, is_test: *is_test });
            }
            Ok(None) => {}
            Err(error) => broken.push(serving::finding(&error, &source.name)),
        }
    }
    (files, broken)
}
