//! A policy bundle, compiled: what `policy` makes from a folder, and what decisions run on.

use std::{
    num::NonZeroU32,
    sync::{Arc, OnceLock},
    time::Duration,
};

use regorus::{
    CompiledPolicy, Engine, Value,
    languages::rego::compiler::{Compiler, CompilerError},
    rvm::Program,
};
use thiserror::Error;

use super::{
    DATABASE_DOCUMENTS, Document, assignments,
    explain::{self, Mask, Why},
    mount::Mount,
    nesting,
    outcome::Explanation,
    recursion, refused, syntax,
    trace::{self, Tracer},
};
use crate::types::PolicyRevision;

/// One file of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegoSource {
    /// Its name, as messages show it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Which version of the language a bundle is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegoVersion {
    /// Rego v0, as OPA before 1.0 read it.
    V0,
    /// Rego v1.
    #[default]
    V1,
}

/// The rules that are asked, each as a path below `data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntrypointPaths {
    /// For gateways' questions. The bundle must have it.
    pub decision: String,
    /// For calls of regate's own management API. A bundle without it leaves them to admin tokens.
    pub management: String,
    /// For AuthZEN. A bundle without it answers `decision: false`.
    pub authzen: String,
}

impl Default for EntrypointPaths {
    fn default() -> Self {
        Self {
            decision: "data.regate.decision".into(),
            management: "data.regate.management.decision".into(),
            authzen: "data.regate.authzen.decision".into(),
        }
    }
}

/// Which rule is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrypoint {
    /// Gateways' questions.
    Decision,
    /// regate's own management API.
    Management,
    /// AuthZEN.
    Authzen,
}

/// How much one evaluation may cost before it is stopped and denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluationBudget {
    /// Instructions of the virtual machine.
    pub instructions: usize,
    /// Wall-clock time, looked at every [`TIME_CHECK_INTERVAL`] instructions.
    pub time: Duration,
}

/// How many instructions pass between two looks at the clock: some ten microseconds.
pub const TIME_CHECK_INTERVAL: NonZeroU32 = NonZeroU32::new(256).unwrap();

impl Default for EvaluationBudget {
    fn default() -> Self {
        Self { instructions: 250_000, time: Duration::from_millis(50) }
    }
}

/// What to compile with.
#[derive(Clone, Debug)]
pub struct CompileOptions {
    /// The rules that are asked.
    pub entrypoints: EntrypointPaths,
    /// The language.
    pub rego_version: RegoVersion,
    /// The budget of each evaluation.
    pub budget: EvaluationBudget,
    /// How many copies of the program to make: one for each worker, because workers that share one
    /// wait for each other at its reference counts.
    pub workers: usize,
    /// Where the organisation's own documents will stand.
    pub mounts: Arc<[Mount]>,
    /// What is to evaluate the rules.
    pub engine: EngineChoice,
}

/// What is to evaluate the rules of a bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineChoice {
    /// The virtual machine; the interpreter for a bundle that the machine cannot run as Rego says.
    #[default]
    Auto,
    /// The virtual machine; a bundle that it cannot run as Rego says is broken.
    VirtualMachine,
    /// The interpreter, which is slower by far.
    Interpreter,
}

/// What evaluates the rules of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvaluatingEngine<'a> {
    /// The virtual machine.
    VirtualMachine,
    /// The interpreter, for this reason.
    Interpreter(&'a str),
}

/// The rules, ready to be evaluated.
#[derive(Debug)]
enum Machine {
    /// One program for each worker.
    Virtual(Vec<Arc<Program>>),
    /// The virtual machine cannot run them, for this reason.
    Interpreter(String),
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self {
            entrypoints: EntrypointPaths::default(),
            rego_version: RegoVersion::default(),
            budget: EvaluationBudget::default(),
            workers: 1,
            mounts: Arc::default(),
            engine: EngineChoice::default(),
        }
    }
}

/// Why a bundle cannot be used. The text is for the engineer who edits it.
#[derive(Debug, Error)]
pub enum CompileError {
    /// The compiler's own message, with file, line and column.
    #[error("{0}")]
    Rego(String),
    /// There is no rule at the path that gateways ask.
    #[error("no rule at the entrypoint {0}: set [policy] entrypoint to a rule that the bundle defines")]
    EntrypointMissing(String),
    /// The rules could not be prepared for the virtual machine.
    #[error("the rules could not be prepared for the virtual machine: {0}")]
    Unguarded(String),
    /// Brackets within brackets, deeper than the engine's parser can read in reasonable time.
    #[error(
        "{file}:{line}: brackets are nested more than {limit} deep here: the time to read them doubles with each level"
    )]
    Nested {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// The most levels.
        limit: usize,
    },
    /// The rules could not be marked for explanations.
    #[error("the rules could not be marked for explanations: {0}")]
    Unmarked(String),
    /// Rego that would not be evaluated as it is meant; file, line and what to write instead.
    #[error("{0}")]
    Refused(String),
    /// A rule can reach itself.
    #[error("a rule calls itself, which Rego does not allow: {0}")]
    Recursion(String),
    /// A rule or a data file stands where the database's documents go.
    #[error("{place} collides with data.{document}, which comes from the database: move it")]
    ReservedDocument {
        /// The rule or data file.
        place: String,
        /// The first name below `data`.
        document: &'static str,
    },
    /// A rule, a data file or another document stands where one of the organisation's own goes.
    #[error("the document data.{path} (a [[documents]] section) collides with {place}: give it another path")]
    Mounted {
        /// The document's path below `data`.
        path: String,
        /// What is there.
        place: String,
    },
    /// A data file stands where a rule is.
    #[error("a data file and a rule define the same path: {0}")]
    Conflict(String),
    /// The data files are not one object.
    #[error("the bundle's data is not an object")]
    DataNotObject,
}

/// A compiled bundle. Immutable; shared by all workers.
#[derive(Debug)]
pub struct Bundle {
    pub(super) revision: PolicyRevision,
    pub(super) data: Document,
    pub(super) budget: EvaluationBudget,
    machine: Machine,
    paths: [Option<String>; 3],
    interpreted: Engine,
    mounts: Arc<[Mount]>,
    /// For explanations: made when the first is asked for.
    sources: Vec<RegoSource>,
    version: RegoVersion,
    tracer: OnceLock<Result<Tracer, String>>,
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
        if !has_rule(&engine, &entry.decision)? {
            return Err(CompileError::EntrypointMissing(entry.decision.clone()));
        }
        let compiled = engine
            .compile_with_entrypoint(&entry.decision.as_str().into())
            .map_err(|error| CompileError::Rego(message(&error)))?;
        refuse_reserved_names(&compiled, &data)?;
        refuse_mounted_names(&compiled, &data, &options.mounts)?;
        let rules = compiled.get_rules();
        let paths = [&entry.decision, &entry.management, &entry.authzen]
            .map(|path| rules.contains_key(path).then(|| path.clone()));
        let present: Vec<&str> = paths.iter().flatten().map(String::as_str).collect();
        let machine = match options.engine {
            EngineChoice::Interpreter => {
                Machine::Interpreter("the configuration says so ([policy] engine)".to_owned())
            }
            choice => match programs(&engine, sources, &data, &present, options)? {
                Ok(programs) => Machine::Virtual(programs),
                Err(reason) if choice == EngineChoice::VirtualMachine => {
                    return Err(CompileError::Refused(reason));
                }
                Err(reason) => Machine::Interpreter(reason),
            },
        };
        if let Machine::Interpreter(_) = machine {
            let trees = syntax::trees(&engine)?;
            let (_, outline) = trace::mark(sources, &trees).map_err(CompileError::Unmarked)?;
            if let Some(chain) = recursion::find_in(&outline) {
                return Err(CompileError::Recursion(chain.join(" -> ")));
            }
        }
        Ok(Self {
            revision,
            data,
            budget: options.budget,
            machine,
            paths,
            interpreted: engine,
            mounts: Arc::clone(&options.mounts),
            sources: sources.to_vec(),
            version: options.rego_version,
            tracer: OnceLock::new(),
        })
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
    pub(super) fn path(&self, entrypoint: Entrypoint) -> Option<&str> {
        self.paths[entrypoint as usize].as_deref()
    }

    /// The entrypoint's index in the program: absent ones take no place.
    pub(super) fn program_index(&self, entrypoint: Entrypoint) -> Option<usize> {
        let before = entrypoint as usize;
        self.paths[before].as_ref()?;
        Some(self.paths[..before].iter().flatten().count())
    }

    /// What evaluates it, and why if it is not the virtual machine.
    pub fn engine(&self) -> EvaluatingEngine<'_> {
        match &self.machine {
            Machine::Virtual(_) => EvaluatingEngine::VirtualMachine,
            Machine::Interpreter(reason) => EvaluatingEngine::Interpreter(reason),
        }
    }

    /// The first names of the documents that come from the organisation's own tables.
    pub(super) fn mounted_names(&self) -> impl Iterator<Item = String> {
        self.mounts.iter().filter_map(|mount| mount.path.first()).map(ToOwned::to_owned)
    }

    /// Whether there are packages below `data` under this name.
    pub(super) fn has_package(&self, name: &str) -> bool {
        self.interpreted.get_packages().is_ok_and(|packages| {
            packages.iter().any(|package| package.split('.').nth(1).is_some_and(|first| first == name))
        })
    }

    /// A worker's own copy of the program; `None` for a bundle that the interpreter evaluates.
    pub(super) fn program(&self, worker: usize) -> Option<Arc<Program>> {
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
    pub(super) fn explain(
        &self,
        entrypoint: Entrypoint,
        data: &Document,
        input: &Document,
        result: &Document,
    ) -> Explanation {
        let mask = Mask::of(input);
        let tracer = self
            .tracer
            .get_or_init(|| Tracer::new(&self.sources, self.version).map_err(|error| error.to_string()));
        let why = match (tracer, self.path(entrypoint)) {
            (Ok(tracer), Some(path)) => explain::explain(tracer, path, data, input, result, &mask),
            (Err(error), _) => Why { disagreement: Some(error.clone()), ..Why::default() },
            (_, None) => Why::default(),
        };
        Explanation { input: mask.input(input), result: mask.document(result), why }
    }

    /// The same rules for the interpreter, without data.
    pub(super) fn interpreter(&self) -> Engine {
        let mut engine = self.interpreted.clone();
        engine.clear_data();
        engine
    }
}

/// An engine that has read the sources and the data.
pub(super) fn engine_with(
    sources: &[RegoSource],
    data: Document,
    version: RegoVersion,
) -> Result<Engine, CompileError> {
    let mut engine = Engine::new();
    engine.set_rego_v0(version == RegoVersion::V0);
    for source in sources {
        nesting::bound(source)?;
        engine
            .add_policy(source.name.clone(), source.text.clone())
            .map_err(|error| CompileError::Rego(message(&error)))?;
    }
    if !matches!(data, Value::Object(_)) {
        return Err(CompileError::DataNotObject);
    }
    engine.add_data(data).map_err(|error| CompileError::Rego(message(&error)))?;
    Ok(engine)
}

/// The engine's message without the blank line that it begins with.
pub(super) fn message(error: &impl std::fmt::Display) -> String {
    error.to_string().trim().to_owned()
}

/// The programs for the virtual machine, one for each worker, or why it cannot run these rules: Rego that it does
/// not know, or would evaluate to something else than Rego says.
///
/// # Errors
/// [`CompileError`] when the interpreter could not run them either.
fn programs(
    engine: &Engine,
    sources: &[RegoSource],
    data: &Document,
    entrypoints: &[&str],
    options: &CompileOptions,
) -> Result<Result<Vec<Arc<Program>>, String>, CompileError> {
    let modules = syntax::trees(engine)?;
    // See `assignments`.
    let guarded = match assignments::guard(sources, &modules) {
        Ok(guarded) => guarded,
        Err(reason) => return Ok(Err(reason)),
    };
    // What no entrypoint reaches (tests that lie next to the rules) is not run by the machine.
    let (_, outline) = trace::mark(sources, &modules).map_err(CompileError::Unmarked)?;
    let reached = outline.packages_reached(entrypoints);
    let asked = modules.iter().filter(|module| reached.contains(&trace::package(module)));
    let refused = refused::find(&asked.cloned().collect::<Vec<_>>(), &modules);
    let compiled = engine_with(&guarded, data.clone(), options.rego_version)?
        .compile_with_entrypoint(&options.entrypoints.decision.as_str().into())
        .map_err(|error| CompileError::Rego(message(&error)))?;
    let compile = || Compiler::compile_from_policy(&compiled, entrypoints);
    let program = match compile() {
        Ok(program) => program,
        // What it takes for unknown may be what it does not know how to run.
        Err(_) if refused.is_some() => return Ok(Err(refused.unwrap_or_default())),
        Err(error) if is_the_machines_limit(&error.error) => return Ok(Err(message(&error))),
        Err(error) => return Err(CompileError::Rego(message(&error))),
    };
    if let Some(chain) = recursion::find(&program) {
        return Err(CompileError::Recursion(chain.join(" -> ")));
    }
    if let Some(place) = refused {
        return Ok(Err(place));
    }
    program.check_rule_data_conflicts(data).map_err(|e| CompileError::Conflict(e.to_string()))?;
    let programs = (0..options.workers.max(1)).map(|_| compile()).collect::<Result<Vec<_>, _>>();
    Ok(Ok(programs.map_err(|error| CompileError::Rego(message(&error)))?))
}

/// Whether the compiler refuses something that Rego has and the machine does not.
fn is_the_machines_limit(error: &CompilerError) -> bool {
    matches!(
        error,
        CompilerError::WithKeywordUnsupported
            | CompilerError::PartialObjectConstantKeyUnsupported
            | CompilerError::PartialObjectNestedKeyUnsupported
            | CompilerError::RegisterOverflow { .. }
            | CompilerError::NotSimpleReferenceChain
            | CompilerError::UnsupportedChainedExpression
            | CompilerError::InvalidDestructuringPattern
            | CompilerError::InvalidUnaryMinus
            | CompilerError::MissingBindingPlan { .. }
            | CompilerError::UnexpectedBindingPlan { .. }
            | CompilerError::SomeInNotHoisted
    )
}

fn has_rule(engine: &Engine, path: &str) -> Result<bool, CompileError> {
    Ok(compile_all(engine)?.get_rules().contains_key(path))
}

/// Compiles whatever the engine has read. The engine compiles for a rule that must exist: a rule of
/// our own does for sure, also when the entrypoint is the thing that is missing, or there is none.
pub(super) fn compile_all(engine: &Engine) -> Result<CompiledPolicy, CompileError> {
    let mut probe = engine.clone();
    let package = "package regate_probe\n\nhere := true\n";
    let compiled = probe
        .add_policy("probe".into(), package.into())
        .and_then(|_| probe.compile_with_entrypoint(&"data.regate_probe.here".into()));
    compiled.map_err(|error| CompileError::Rego(message(&error)))
}

fn refuse_reserved_names(compiled: &CompiledPolicy, data: &Document) -> Result<(), CompileError> {
    for document in DATABASE_DOCUMENTS {
        let root = format!("data.{document}");
        let below = format!("{root}.");
        let rule = compiled.get_rules().keys().find(|path| **path == root || path.starts_with(&below));
        if let Some(rule) = rule {
            return Err(CompileError::ReservedDocument { place: format!("the rule {rule}"), document });
        }
        let defined = matches!(data, Value::Object(object) if object.contains_key(&document.into()));
        if defined {
            let place = format!("a data file that defines {document}");
            return Err(CompileError::ReservedDocument { place, document });
        }
    }
    Ok(())
}

fn refuse_mounted_names(
    compiled: &CompiledPolicy,
    data: &Document,
    mounts: &[Mount],
) -> Result<(), CompileError> {
    let rules: Vec<Vec<&str>> = compiled
        .get_rules()
        .keys()
        .filter_map(|path| Some(path.strip_prefix("data.")?.split('.').collect()))
        .collect();
    for (index, mount) in mounts.iter().enumerate() {
        let collision = |place| Err(CompileError::Mounted { path: mount.path.to_string(), place });
        if let Some(other) = mounts.iter().take(index).find(|other| other.path.overlaps(&mount.path)) {
            return collision(format!("the document data.{}", other.path));
        }
        if let Some(rule) = rules.iter().find(|rule| mount.path.meets(rule)) {
            return collision(format!("the rule data.{}", rule.join(".")));
        }
        if mount.path.is_defined_in(data) {
            return collision("a data file of the policy folder".to_owned());
        }
    }
    Ok(())
}
