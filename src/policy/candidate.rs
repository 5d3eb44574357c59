//! The files of a bundle and of its tests, read at one moment: nothing in them was half written.

use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{
    folder::{Files, PolicySource},
    gathering::{Gathering, digest, shipped},
    load_error::LoadError,
    survey::{BundleLimits, Survey},
};
use crate::types::PolicyRevision;

/// So often files are read at most until two readings agree.
const READINGS: u32 = 10;
/// Between two readings.
const PAUSE: Duration = Duration::from_millis(10);

/// Where a bundle and its tests are.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub source: PolicySource,
    /// Folders or files of tests beside the bundle's own.
    pub tests: Vec<PathBuf>,
    pub limits: BundleLimits,
}

/// What identifies the content of a bundle and of its tests.
pub(super) type Fingerprint = (PolicyRevision, Option<PolicyRevision>);

/// A bundle that was read, and may become the live one.
#[derive(Debug)]
pub(super) struct Candidate {
    /// What decisions would be made by.
    pub policy: Files,
    /// The same with the tests; `None` where there are none to run.
    pub tests: Option<Files>,
    pub fingerprint: Fingerprint,
}

/// A look at all places.
#[derive(Debug)]
pub(super) struct Look {
    pub policy: Survey,
    pub tests: Survey,
}

impl Look {
    pub fn is_like(&self, other: &Self) -> bool {
        self.policy.is_like(&other.policy) && self.tests.is_like(&other.tests)
    }
}

impl Places {
    /// What may change: all but what is built in.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.policy_paths().iter().chain(&self.tests)
    }

    /// Looks at the files without reading them.
    pub fn look(&self) -> Look {
        let policy = match &self.source {
            PolicySource::Shipped => Survey::default(),
            PolicySource::Paths(paths) => Survey::of(paths, self.limits, None),
        };
        let tests = Survey::of(&self.tests, self.limits, Some(&policy));
        Look { policy, tests }
    }

    /// Reads everything, again and again until two readings agree, or both fail in the same way: in the
    /// middle of a checkout the files are neither the old nor the new ones.
    ///
    /// # Errors
    /// [`LoadError`], which names the file.
    pub fn read(&self) -> Result<Candidate, LoadError> {
        let mut before: Option<Result<Candidate, LoadError>> = None;
        for _ in 0..READINGS {
            match before.take() {
                // The second reading need not understand anything.
                Some(Ok(candidate)) => match self.fingerprint() {
                    Ok(fingerprint) if fingerprint == candidate.fingerprint => return Ok(candidate),
                    _ => {}
                },
                Some(Err(error)) => match self.read_once() {
                    Err(again) if again.in_words() == error.in_words() => return Err(again),
                    other => before = Some(other),
                },
                None => {}
            }
            if before.is_none() {
                before = Some(self.read_once());
            }
            thread::sleep(PAUSE);
        }
        Err(LoadError::Unsteady { path: self.paths().next().cloned().unwrap_or_default() })
    }

    fn read_once(&self) -> Result<Candidate, LoadError> {
        let Look { policy, tests } = self.look();
        let brings_tests = policy.files.iter().any(|file| is_test_file(&file.path));
        let mut gathering = Gathering::default();
        match &self.source {
            PolicySource::Shipped => gathering.take_shipped()?,
            PolicySource::Paths(_) => gathering.read(policy, self.limits)?,
        }
        if self.tests.is_empty() || (tests.problem.is_none() && tests.files.is_empty() && tests.known > 0) {
            let policy = gathering.finish(self.policy_paths())?;
            // Named as the folder of tests or not: if it brings some, they are run.
            let tests = (brings_tests || !self.tests.is_empty()).then(|| policy.clone());
            let fingerprint = (policy.revision.clone(), self.fingerprint()?.1);
            return Ok(Candidate { fingerprint, policy, tests });
        }
        let mut beside = Gathering::default();
        beside.read(tests, self.limits)?;
        let beside = beside.joined_with(&gathering, &self.tests)?;
        let policy = gathering.finish(self.policy_paths())?;
        let tests = Files {
            sources: policy.sources.iter().cloned().chain(beside.sources).collect(),
            data: beside.data.unwrap_or_else(|| policy.data.clone()),
            revision: beside.revision.clone(),
            digests: Vec::new(),
        };
        let fingerprint = (policy.revision.clone(), Some(beside.revision));
        Ok(Candidate { policy, tests: Some(tests), fingerprint })
    }

    /// What identifies the content of this moment, read but not understood.
    ///
    /// # Errors
    /// [`LoadError`], which names the file.
    pub fn fingerprint(&self) -> Result<Fingerprint, LoadError> {
        let Look { policy, tests } = self.look();
        let policy = match &self.source {
            PolicySource::Shipped => shipped()?.revision,
            PolicySource::Paths(_) => digest(policy, self.limits)?,
        };
        let tests = if self.tests.is_empty() { None } else { Some(digest(tests, self.limits)?) };
        Ok((policy, tests))
    }

    fn policy_paths(&self) -> &[PathBuf] {
        match &self.source {
            PolicySource::Shipped => &[],
            PolicySource::Paths(paths) => paths,
        }
    }
}

/// A file of tests among the rules, by its name.
fn is_test_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(b"_test.rego"))
}
