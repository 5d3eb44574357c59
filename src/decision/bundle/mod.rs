//! A policy bundle, compiled: what `policy` makes from a folder, and what decisions run on.

mod asked;
mod error;
mod options;
mod programs;
mod reads;
mod reserved;
mod words;

use std::sync::{Arc, OnceLock};

use regorus::{Engine, rvm::Program};

pub use self::{
    asked::NotAskable,
    error::CompileError,
    options::{
        CompileOptions, EngineChoice, Entrypoint, EntrypointPaths, EvaluatingEngine, EvaluationBudget,
        RegoSource, RegoVersion, TIME_CHECK_INTERVAL,
    },
};
use self::{
    asked::{Asked, AskedRule},
    programs::{programs, rule_paths},
    reserved::{refuse_mounted_names, refuse_reserved_names},
};
pub(super) use self::{
    programs::{compile_all, engine_with, message},
    reads::InputReads,
};
use super::{
    Document,
    explain::{self, Mask, Why},
    mount::Mount,
    outcome::Explanation,
    recursion, syntax,
    trace::{self, Tracer},
};
use crate::types::PolicyRevision;

/// The rules, ready to be evaluated.
#[derive(Debug)]
enum Machine {
    /// One program for each worker.
    Virtual(Vec<Arc<Program>>),
    /// The virtual machine cannot run them, for this reason.
    Interpreter(String),
}

/// A compiled bundle. Immutable; shared by all workers.
#[derive(Debug)]
pub struct Bundle {
    pub(in crate::decision) revision: PolicyRevision,
    pub(in crate::decision) data: Document,
    pub(in crate::decision) budget: EvaluationBudget,
    machine: Machine,
    paths: [Option<String>; Entrypoint::ALL.len()],
    /// Every rule that is asked, in the order of the programs' entrypoints.
    present: Vec<String>,
    asked: Asked,
    not_askable: Vec<(String, NotAskable)>,
    reads: InputReads,
    interpreted: Engine,
    mounts: Arc<[Mount]>,
    /// For explanations: made when the first is asked for.
    sources: Vec<RegoSource>,
    version: RegoVersion,
    tracer: OnceLock<Result<Tracer, ()>>,
}

impl Bundle {
    /// Compiles rules and data.
    ///
    /// # Errors
    /// [`CompileError`] when the rules do not compile, the entrypoint is missing, or the data stands
    /// where rules or the database's documents are.
    pub fn compile(
        sources: &[RegoSource],
        data: Document,
        revision: PolicyRevision,
        options: &CompileOptions,
    ) -> Result<Self, CompileError> {
        let entry = &options.entrypoints;
        let mut engine = engine_with(sources, data.clone(), options.rego_version)?;
        let path = &entry.decision;
        let all = rule_paths(&engine)?;
        if !all.contains(path) {
            let below =
                |rule: &String| rule.strip_prefix(path.as_str())?.strip_prefix('.').map(str::to_owned);
            let rules = all.iter().filter_map(below).collect();
            return Err(CompileError::EntrypointMissing { path: path.clone(), rules });
        }
        let compiled = engine
            .compile_with_entrypoint(&entry.decision.as_str().into())
            .map_err(|error| CompileError::Rego(message(&error)))?;
        refuse_reserved_names(&compiled, &data)?;
        refuse_mounted_names(&compiled, &data, &options.mounts)?;
        let rules = compiled.get_rules();
        let [subjects, resources, actions] = entry.candidates();
        let paths = [&entry.decision, &entry.management, &entry.authzen, &subjects, &resources, &actions]
            .map(|path| rules.contains_key(path).then(|| path.clone()));
        let (asked, not_askable) = asked::find(&options.asked, &all, &engine)?;
        let mut present: Vec<String> = paths.iter().flatten().cloned().collect();
        for rule in asked.values().flatten().map(|asked| &asked.rule) {
            if !present.contains(rule) {
                present.push(rule.clone());
            }
        }
        let entrypoints: Vec<&str> = present.iter().map(String::as_str).collect();
        let machine = match options.engine {
            EngineChoice::Interpreter => {
                Machine::Interpreter("the configuration says so ([policy] engine)".to_owned())
            }
            choice => match programs(&engine, sources, &data, &entrypoints, options)? {
                Ok(programs) => Machine::Virtual(programs),
                Err(reason) if choice == EngineChoice::VirtualMachine => {
                    let more = "with [policy] engine = \"auto\" the interpreter would evaluate the bundle";
                    return Err(CompileError::Refused(format!("{reason} ({more})")));
                }
                Err(reason) => Machine::Interpreter(reason),
            },
        };
        let trees = syntax::trees(&engine)?;
        if let Machine::Interpreter(_) = machine {
            let (_, outline) = trace::mark(sources, &trees).map_err(CompileError::Unmarked)?;
            if let Some(chain) = recursion::find_in(&outline) {
                return Err(chain.into());
            }
        }
        let reads = InputReads::find(trees.iter().zip(&trace::names_of_all(sources, &trees)));
        Ok(Self {
            revision,
            data,
            reads,
            budget: options.budget,
            machine,
            paths,
            present,
            asked,
            not_askable,
            interpreted: engine,
            mounts: Arc::clone(&options.mounts),
            sources: sources.to_vec(),
            version: options.rego_version,
            tracer: OnceLock::new(),
        })
    }

    /// What of a question's input the rules can see.
    pub(in crate::decision) fn reads(&self) -> &InputReads {
        &self.reads
    }

    /// The hash of the content that it was compiled from.
    pub fn revision(&self) -> &PolicyRevision {
        &self.revision
    }

    /// Whether the bundle has a rule for these questions.
    pub fn has(&self, entrypoint: Entrypoint) -> bool {
        self.path(entrypoint).is_some()
    }

    /// The path of the rule that is asked.
    pub(in crate::decision) fn path(&self, entrypoint: Entrypoint) -> Option<&str> {
        self.paths[entrypoint as usize].as_deref()
    }

    /// The entrypoint's index in the program: absent ones take no place.
    pub(in crate::decision) fn program_index(&self, entrypoint: Entrypoint) -> Option<usize> {
        let before = entrypoint as usize;
        self.paths[before].as_ref()?;
        Some(self.paths[..before].iter().flatten().count())
    }

    /// The rule that a path of [`CompileOptions::asked`] is, or is within the value of, and its index in the program.
    pub(in crate::decision) fn asked(&self, path: &str) -> Option<(usize, &AskedRule)> {
        let asked = self.asked.get(path)?.as_ref()?;
        let index = self.present.iter().position(|rule| *rule == asked.rule)?;
        Some((index, asked))
    }

    /// The paths of [`CompileOptions::asked`] that are undefined for every input, and why.
    pub fn not_askable(&self) -> &[(String, NotAskable)] {
        &self.not_askable
    }

    /// What evaluates it, and why if it is not the virtual machine.
    pub fn engine(&self) -> EvaluatingEngine<'_> {
        match &self.machine {
            Machine::Virtual(_) => EvaluatingEngine::VirtualMachine,
            Machine::Interpreter(reason) => EvaluatingEngine::Interpreter(reason),
        }
    }

    /// The first names of the documents that come from the organisation's own tables.
    pub(in crate::decision) fn mounted_names(&self) -> impl Iterator<Item = String> {
        self.mounts.iter().filter_map(|mount| mount.path.first()).map(ToOwned::to_owned)
    }

    /// Whether there are packages below `data` under this name.
    pub(in crate::decision) fn has_package(&self, name: &str) -> bool {
        self.interpreted.get_packages().is_ok_and(|packages| {
            packages.iter().any(|package| package.split('.').nth(1).is_some_and(|first| first == name))
        })
    }

    /// A worker's own copy of the program; `None` for a bundle that the interpreter evaluates.
    pub(in crate::decision) fn program(&self, worker: usize) -> Option<Arc<Program>> {
        match &self.machine {
            Machine::Virtual(programs) => programs.get(worker % programs.len()).map(Arc::clone),
            Machine::Interpreter(_) => None,
        }
    }

    /// Why the entrypoint's rule gave `result` over this data and input, rule by rule.
    pub fn why(&self, entrypoint: Entrypoint, data: &Document, input: &Document, result: &Document) -> Why {
        self.explain(entrypoint, data, input, result).why
    }

    /// Explains what the entrypoint's rule gave over this data and input. It evaluates the rules once more,
    /// with marks in them: a hundred times as long as a decision takes.
    pub(in crate::decision) fn explain(
        &self,
        entrypoint: Entrypoint,
        data: &Document,
        input: &Document,
        result: &Document,
    ) -> Explanation {
        let mask = Mask::of(input);
        let tracer = self.tracer.get_or_init(|| Tracer::new(&self.sources, self.version).map_err(drop));
        let why = match (tracer, self.path(entrypoint)) {
            (Ok(tracer), Some(path)) => explain::explain(tracer, path, data, input, result, &mask),
            (Err(()), _) => Why {
                disagreement: Some(
                    "the rules could not be marked for explanations: please report this".to_owned(),
                ),
                ..Why::default()
            },
            (_, None) => Why::default(),
        };
        Explanation { input: mask.input(input), result: mask.document(result), why }
    }

    /// The same rules for the interpreter, without data.
    pub(in crate::decision) fn interpreter(&self) -> Engine {
        let mut engine = self.interpreted.clone();
        engine.clear_data();
        engine
    }
}
