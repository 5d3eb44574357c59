//! How commands get a compiled bundle.

use super::{configuration::Configuration, exit::CommandError};
use crate::{
    decision::Bundle,
    policy::{self, PolicySource},
};

/// Loads and compiles the bundle that the configuration names, once for each worker.
pub(super) fn compile(configuration: &Configuration, workers: usize) -> Result<Bundle, CommandError> {
    compile_source(&configuration.policy_source(), configuration, workers)
}

/// Loads and compiles a bundle from a source of the command's own.
pub(super) fn compile_source(
    source: &PolicySource,
    configuration: &Configuration,
    workers: usize,
) -> Result<Bundle, CommandError> {
    let files = policy::load(source)?;
    let options = configuration.compile_options(workers)?;
    Ok(Bundle::compile(&files.sources, files.data, files.revision, &options)?)
}
