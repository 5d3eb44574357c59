//! From sources to what the engines run.

use std::{collections::BTreeSet, sync::Arc};

use regorus::{
    CompiledPolicy, Engine, Value,
    languages::rego::compiler::{Compiler, CompilerError},
    rvm::Program,
};

use super::{CompileError, CompileOptions, RegoSource, RegoVersion, words};
use crate::decision::{Document, assignments, nesting, recursion, refused, syntax, trace};

/// An engine that has read the sources and the data.
pub(in crate::decision) fn engine_with(
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
            .map_err(|error| CompileError::Rego(words::of_parser(message(&error))))?;
    }
    if !matches!(data, Value::Object(_)) {
        return Err(CompileError::DataNotObject);
    }
    engine.add_data(data).map_err(|error| CompileError::Rego(message(&error)))?;
    Ok(engine)
}

/// The engine's message without the blank line that it begins with.
pub(in crate::decision) fn message(error: &impl std::fmt::Display) -> String {
    error.to_string().trim().to_owned()
}

/// The programs for the virtual machine, one for each worker, or why it cannot run these rules: Rego that it does
/// not know, or would evaluate to something else than Rego says.
///
/// # Errors
/// [`CompileError`] when the interpreter could not run them either.
pub(super) fn programs(
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
    let refused = match refused::find(&modules, &modules) {
        None => None,
        // What no entrypoint reaches (tests that lie next to the rules) is not run by the machine.
        Some(_) => {
            let (_, outline) = trace::mark(sources, &modules).map_err(CompileError::Unmarked)?;
            let reached = outline.packages_reached(entrypoints);
            let asked = modules.iter().filter(|module| reached.contains(&trace::package(module)));
            refused::find(&asked.cloned().collect::<Vec<_>>(), &modules)
        }
    };
    let compiled = engine_with(&guarded, data.clone(), options.rego_version)?
        .compile_with_entrypoint(&options.entrypoints.decision.as_str().into())
        .map_err(|error| CompileError::Rego(message(&error)))?;
    let compile = || Compiler::compile_from_policy(&compiled, entrypoints);
    let program = match compile() {
        Ok(program) => program,
        // What it takes for unknown may be what it does not know how to run.
        Err(_) if refused.is_some() => return Ok(Err(refused.unwrap_or_default())),
        Err(error) if is_the_machines_limit(&error.error) => {
            let with = matches!(error.error, CompilerError::WithKeywordUnsupported);
            let instead = ": write a function that takes what `with` replaces as an argument";
            return Ok(Err(message(&error) + if with { instead } else { "" }));
        }
        Err(error) => return Err(CompileError::Rego(words::of_compiler(message(&error), &modules))),
    };
    if let Some(chain) = recursion::find(&program) {
        return Err(chain.into());
    }
    if let Some(place) = refused {
        return Ok(Err(place));
    }
    program
        .check_rule_data_conflicts(data)
        .map_err(|error| CompileError::Conflict(path(&error.to_string())))?;
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
    ) || matches!(error, CompilerError::General { message } if message.contains("not yet supported"))
}

/// The path in the engine's message about rules and data that collide.
fn path(message: &str) -> String {
    let path = message.split_once("path '").and_then(|(_, rest)| rest.split_once('\''));
    path.map_or_else(|| message.to_owned(), |(path, _)| format!("data.{path}"))
}

/// The paths of all rules that the engine has read.
pub(super) fn rule_paths(engine: &Engine) -> Result<BTreeSet<String>, CompileError> {
    Ok(compile_all(engine)?.get_rules().keys().map(ToString::to_string).collect())
}

/// Compiles whatever the engine has read. The engine compiles for a rule that must exist: a rule of
/// our own does for sure, also when the entrypoint is the thing that is missing, or there is none.
pub(in crate::decision) fn compile_all(engine: &Engine) -> Result<CompiledPolicy, CompileError> {
    let mut probe = engine.clone();
    let package = "package regate_probe\n\nhere := true\n";
    let compiled = probe
        .add_policy("probe".into(), package.into())
        .and_then(|_| probe.compile_with_entrypoint(&"data.regate_probe.here".into()));
    compiled.map_err(|error| CompileError::Rego(message(&error)))
}
