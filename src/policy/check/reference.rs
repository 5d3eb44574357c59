//! What a rule mentions, with names resolved: what [`reading`](super::reading) makes and all others look at.
//!
//! **Must never know:** scopes, the syntax tree's statements.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    definitions::Path,
    tree::{Expression, Span},
};

/// What a reference begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Root {
    Input,
    Data,
    /// A variable, by name.
    Variable(String),
    /// The result of an expression.
    Result,
}

/// One step of a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// `.name` or `["name"]`
    Name(String),
    /// `[0]`
    Number(String),
    /// `[expression]`, in one spelling for one meaning.
    Dynamic(String),
}

/// `input.token.kind`, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub root: Root,
    /// With the byte at which each step stands.
    pub steps: Vec<(Step, usize)>,
    /// So many of the first steps do not stand here, but in an import or the definition of a variable.
    pub elsewhere: usize,
    /// So many of the first steps have a value for sure, since a variable has it.
    pub given: usize,
    pub span: Span,
    /// The target of a `with`: it is replaced, not read.
    pub mocked: bool,
}

/// A call of a function.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub callee: Callee,
    pub arguments: usize,
    /// Where its name stands.
    pub span: Span,
}

/// Which function a call names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Callee {
    /// A rule's path below `data`.
    Rule(Path),
    /// A builtin's name, or nobody's.
    Builtin(String),
}

/// What sort of thing a name was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VariableKind {
    Assigned,
    Some,
    Parameter,
    Every,
}

/// Everything that one definition of a rule mentions.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub references: Vec<Reference>,
    pub calls: Vec<Call>,
    /// Variables that nothing reads, and where they stand.
    pub unread: Vec<(String, Span, VariableKind)>,
    /// The imports that are used, by their place in the file's list.
    pub imports: BTreeSet<usize>,
    /// Which expressions are references.
    pub(super) by_span: BTreeMap<Span, usize>,
    /// The text of sums and of indexes, which have no name.
    pub(super) texts: BTreeMap<Span, String>,
}

impl Reading {
    /// How an index is spelled: by what it refers to, else by its text.
    pub(super) fn index_spelling(&self, index: &Expression) -> String {
        match self.reference(index) {
            Some(reference) => reference.spelling(usize::MAX),
            None => format!("text {}", self.texts.get(&index.span()).map_or("", String::as_str)),
        }
    }

    /// The reference that an expression is.
    pub(super) fn reference(&self, expression: &Expression) -> Option<&Reference> {
        self.by_span.get(&expression.span()).and_then(|index| self.references.get(*index))
    }
}

impl Reference {
    /// The root alone.
    pub(super) fn new(root: Root) -> Self {
        Self { root, steps: Vec::new(), elsewhere: 0, given: 0, span: Span::default(), mocked: false }
    }

    /// The names at its beginning, up to what is found in evaluation.
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.steps.iter().map_while(|(step, _)| match step {
            Step::Name(name) => Some(name.clone()),
            Step::Number(_) | Step::Dynamic(_) => None,
        });
        names.collect()
    }

    /// One spelling for one meaning: of the first `length` steps.
    pub(super) fn spelling(&self, length: usize) -> String {
        let mut text = match &self.root {
            Root::Input => "input".to_owned(),
            Root::Data => "data".to_owned(),
            Root::Variable(name) => format!("variable {name}"),
            Root::Result => format!("result {}", self.span.start),
        };
        for (step, _) in self.steps.iter().take(length) {
            match step {
                Step::Name(name) => text.extend([".", name]),
                Step::Number(name) | Step::Dynamic(name) => text.extend(["[", name, "]"]),
            }
        }
        text
    }
}
