//! Which rules the files define, and under which paths below `data`.
//!
//! **Must never know:** what stands in bodies.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    finding::Text,
    tree::{Expression, Head, Module, Rule},
};

/// A file of rules, read.
#[derive(Debug)]
pub(super) struct File<'t> {
    pub name: &'t str,
    pub text: Text<'t>,
    pub module: Module,
    /// The names of its package, without `data`.
    pub package: Vec<String>,
    /// It is not served: policy tests, and what they share.
    pub is_test: bool,
}

/// One definition of a rule. A rule may have several, in several files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition<'t> {
    pub file: usize,
    /// Its place among the rules of the file.
    pub index: usize,
    pub rule: &'t Rule,
    pub kind: Kind,
}

/// What sort of rule a definition makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One value.
    Complete,
    /// A set, or an object whose keys are found in evaluation.
    Partial,
    /// A function of so many arguments.
    Function(usize),
    /// What a rule is when nothing else holds.
    Default,
}

/// A path below `data`, without `data`.
pub(super) type Path = Vec<String>;

/// All rules by path.
#[derive(Debug, Default)]
pub(super) struct Definitions<'t> {
    rules: BTreeMap<Path, Vec<Definition<'t>>>,
    /// By package: the first names of its rules.
    names: BTreeMap<Path, BTreeSet<String>>,
}

/// The names at the beginning of a rule's head, and whether there is more that is found in evaluation.
fn head_names(name: &Expression) -> (Vec<String>, bool) {
    match name {
        Expression::Var { value, .. } => (vec![value.clone()], false),
        Expression::RefDot { refr, field, .. } => extend(refr, Some(&field.1)),
        Expression::RefBrack { refr, index, .. } => extend(refr, index.text()),
        _ => (Vec::new(), true),
    }
}

fn extend(above: &Expression, name: Option<&str>) -> (Vec<String>, bool) {
    let (mut names, open) = head_names(above);
    match name {
        Some(name) if !open => names.push(name.to_owned()),
        _ => return (names, true),
    }
    (names, open)
}

impl<'t> Definitions<'t> {
    pub(super) fn of(files: &'t [File<'t>]) -> Self {
        let mut definitions = Self::default();
        for (file_index, file) in files.iter().enumerate() {
            let names = definitions.names.entry(file.package.clone()).or_default();
            for (index, rule) in file.module.rules.iter().enumerate() {
                let (below, open) = head_names(rule.name());
                names.extend(below.first().cloned());
                let kind = match rule {
                    Rule::Default { .. } => Kind::Default,
                    Rule::Spec { head: Head::Func { args, .. }, .. } => Kind::Function(args.len()),
                    Rule::Spec { head: Head::Compr { .. }, .. } if !open => Kind::Complete,
                    Rule::Spec { .. } => Kind::Partial,
                };
                let path = [&file.package[..], &below].concat();
                definitions.rules.entry(path).or_default().push(Definition {
                    file: file_index,
                    index,
                    rule,
                    kind,
                });
            }
        }
        definitions
    }

    /// All paths with their definitions, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Path, &[Definition<'t>])> {
        self.rules.iter().map(|(path, definitions)| (path, &definitions[..]))
    }

    /// The definitions at exactly this path.
    pub(super) fn at(&self, path: &[String]) -> &[Definition<'t>] {
        self.rules.get(path).map_or(&[], |definitions| definitions)
    }

    /// Whether rules lie below this path, and none at it or above it.
    pub(super) fn is_branch(&self, path: &[String]) -> bool {
        let above = (0..=path.len()).any(|length| self.rules.contains_key(&path[..length]));
        !above && self.below(path).next().is_some()
    }

    /// The paths below a path, itself among them.
    pub(super) fn below(&self, path: &[String]) -> impl Iterator<Item = &Path> {
        let path = path.to_vec();
        let from = self.rules.range(path.clone()..);
        from.map(|(other, _)| other).take_while(move |other| other.starts_with(&path))
    }

    /// The rules that a reference to this path is answered from: those below it, or the one above it.
    pub(super) fn touched(&self, path: &[String]) -> Vec<&Path> {
        let above = (0..path.len()).filter_map(|length| self.rules.get_key_value(&path[..length]));
        above.map(|(path, _)| path).chain(self.below(path)).collect()
    }

    /// Whether a package has a rule whose path begins with this name.
    pub(super) fn package_has(&self, package: &[String], name: &str) -> bool {
        self.names.get(package).is_some_and(|names| names.contains(name))
    }

    /// The names of all packages.
    pub(super) fn packages(&self) -> impl Iterator<Item = &Path> {
        self.names.keys()
    }
}
