//! The engine's syntax trees of rules, as JSON: for what looks at rules without evaluating them.

use serde_json::Value;

use super::bundle::{CompileError, RegoSource, RegoVersion, engine_with, message};

/// The syntax tree of each source, in the same order: an object with `source` (its `file`) and `ast`. The
/// places in it leave out what closes the last thing of a statement.
///
/// # Errors
/// [`CompileError`] when a rule does not parse.
pub fn syntax_trees(sources: &[RegoSource], version: RegoVersion) -> Result<Vec<Value>, CompileError> {
    trees(&engine_with(sources, super::Document::new_object(), version)?)
}

/// The same of what an engine has read.
pub(super) fn trees(engine: &regorus::Engine) -> Result<Vec<Value>, CompileError> {
    let text = engine.get_ast_as_json().map_err(|error| CompileError::Rego(message(&error)))?;
    serde_json::from_str(&text).map_err(|error| CompileError::Unguarded(error.to_string()))
}
