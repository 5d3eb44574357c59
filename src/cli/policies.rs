//! How commands get a compiled bundle, and which files they look at.

use std::path::{Path, PathBuf};

use super::{configuration::Configuration, exit::CommandError};
use crate::{
    decision::Bundle,
    policy::{self, PolicySource, is_test_file},
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

/// The files that are tested or checked.
pub(super) struct Places {
    /// Folders and files.
    pub paths: Vec<PathBuf>,
    /// The configuration's folder of tests, whatever its name.
    tests: Option<PathBuf>,
}

impl Places {
    /// Those of the command line; if it names none, those of the configuration; if it names none either,
    /// ./policies and ./policy-tests.
    pub(super) fn of(given: &[PathBuf], configuration: &Configuration) -> Self {
        let tests = configuration.policy.tests.clone();
        if !given.is_empty() {
            return Self { paths: given.to_vec(), tests };
        }
        let folder = configuration.policy.folder.clone();
        // The tests beside the shipped policies are not those of another folder.
        let others = if folder.is_none() { Some(PathBuf::from("policy-tests")) } else { None };
        let folder = folder.unwrap_or_else(|| "policies".into());
        // What lies within the folder is read with it.
        let beside = tests.clone().or(others).filter(|tests| !tests.starts_with(&folder));
        Self { paths: std::iter::once(folder).chain(beside).collect(), tests }
    }

    /// All of them.
    pub(super) fn source(&self) -> PolicySource {
        PolicySource::Paths(self.paths.clone())
    }

    /// Whether a file holds tests, or what they share.
    pub(super) fn is_test(&self, file: &Path) -> bool {
        self.tests.as_ref().is_some_and(|tests| file.starts_with(tests))
            || self.paths.iter().any(|root| is_test_file(root, file))
    }
}

/// The path of a rule, as flags take it.
pub(super) fn rule_path(text: &str) -> Result<String, String> {
    let is_path = text.strip_prefix("data.").is_some_and(|path| path.split('.').all(|name| !name.is_empty()));
    is_path.then(|| text.to_owned()).ok_or_else(|| "a rule's path, such as data.regate.decision".to_owned())
}
