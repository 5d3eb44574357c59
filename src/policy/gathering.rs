//! From files to one bundle: bytes are read, checked and hashed, data files merged.

use std::{
    fs::OpenOptions,
    io::Read as _,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    folder::{FileDigest, Files},
    load_error::LoadError,
    shipped,
    survey::{BundleLimits, Survey, is_rego},
};
use crate::{
    decision::{Document, RegoSource, document},
    types::PolicyRevision,
};

/// The bundle that is built in.
pub(super) fn shipped() -> Result<Files, LoadError> {
    let mut gathering = Gathering::default();
    gathering.take_shipped()?;
    gathering.finish(&[])
}

/// A bundle on its way from bytes to [`Files`].
#[derive(Default)]
pub(super) struct Gathering {
    sources: Vec<RegoSource>,
    data: Map<String, Value>,
    hashed: Vec<FileDigest>,
}

/// Reads one file, of at most `limit` bytes.
fn bytes_of(path: &Path, limits: BundleLimits) -> Result<Vec<u8>, LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    // A pipe that took the file's place since it was looked at must not hold us up.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(LoadError::NotAFile { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.take(limits.bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limits.bytes {
        return Err(LoadError::TooLarge { path: path.to_owned(), limit: limits.bytes });
    }
    Ok(bytes)
}

/// The hash of the files that a look found, read but not understood.
pub(super) fn digest(survey: Survey, limits: BundleLimits) -> Result<PolicyRevision, LoadError> {
    if let Some(problem) = survey.problem {
        return Err(problem);
    }
    let digests = survey.files.iter().map(|file| {
        let sha256 = Sha256::digest(bytes_of(&file.path, limits)?).into();
        Ok(FileDigest { name: file.within.display().to_string(), sha256 })
    });
    Ok(revision_of(&mut digests.collect::<Result<Vec<_>, _>>()?))
}

/// Puts the files in order, and hashes them all.
fn revision_of(digests: &mut [FileDigest]) -> PolicyRevision {
    digests.sort_by(|left, right| (&left.name, left.sha256).cmp(&(&right.name, right.sha256)));
    let mut digest = Sha256::new();
    for FileDigest { name, sha256 } in digests.iter() {
        // Each name with its length, so that no two sets of files run together to the same bytes.
        digest.update((name.len() as u64).to_be_bytes());
        digest.update(name.as_bytes());
        digest.update(sha256);
    }
    PolicyRevision::from_digest(&digest.finalize())
}

impl Gathering {
    /// Reads the files that a look found.
    pub(super) fn read(&mut self, survey: Survey, limits: BundleLimits) -> Result<(), LoadError> {
        if let Some(problem) = survey.problem {
            return Err(problem);
        }
        for file in &survey.files {
            let path = &file.path;
            let text = String::from_utf8(bytes_of(path, limits)?)
                .map_err(|_| LoadError::NotUtf8 { path: path.to_owned() })?;
            self.take(&file.within, path, text)?;
        }
        Ok(())
    }

    /// Reads what is built in.
    pub(super) fn take_shipped(&mut self) -> Result<(), LoadError> {
        let mut files = shipped::FILES.iter();
        files.try_for_each(|(name, text)| self.take(Path::new(name), Path::new(name), (*text).to_owned()))
    }

    fn take(&mut self, within: &Path, path: &Path, text: String) -> Result<(), LoadError> {
        let sha256 = Sha256::digest(text.as_bytes()).into();
        self.hashed.push(FileDigest { name: within.display().to_string(), sha256 });
        if is_rego(path) {
            self.sources.push(RegoSource { name: path.display().to_string(), text });
            return Ok(());
        }
        let mut value = read_data(path, &text)?;
        let folder = within.parent().unwrap_or(Path::new(""));
        for name in folder.components().rev() {
            let name = name.as_os_str().to_string_lossy().into_owned();
            value = Value::Object(Map::from_iter([(name, value)]));
        }
        let Value::Object(object) = value else {
            let message = "the root of the data must be an object".to_owned();
            return Err(LoadError::Data { path: path.to_owned(), message });
        };
        merge(&mut self.data, object, "")
            .map_err(|place| LoadError::Conflict { path: path.to_owned(), place })
    }

    /// What was read, as one bundle from `paths`.
    pub(super) fn finish(mut self, paths: &[PathBuf]) -> Result<Files, LoadError> {
        if self.sources.is_empty() {
            return Err(LoadError::NoRules { path: paths.first().cloned().unwrap_or_default() });
        }
        let revision = revision_of(&mut self.hashed);
        let data = document(Value::Object(self.data));
        Ok(Files { sources: self.sources, data, revision, digests: self.hashed })
    }
}

/// What stands beside a bundle: the tests of it.
pub(super) struct Beside {
    /// Its own rules.
    pub sources: Vec<RegoSource>,
    /// The bundle's data and its own, merged; `None` when it has none.
    pub data: Option<Document>,
    /// The hash of its own files.
    pub revision: PolicyRevision,
}

impl Gathering {
    /// What was read from `paths`, as something that stands beside `bundle`.
    pub(super) fn joined_with(mut self, bundle: &Self, paths: &[PathBuf]) -> Result<Beside, LoadError> {
        let path = || paths.first().cloned().unwrap_or_default();
        if self.sources.is_empty() {
            return Err(LoadError::NoRules { path: path() });
        }
        let data = match self.data.is_empty() {
            true => None,
            // Copied only now: the data of a bundle may be large, and that of tests rarely is there.
            false => {
                let mut data = bundle.data.clone();
                merge(&mut data, self.data, "")
                    .map_err(|place| LoadError::Conflict { path: path(), place })?;
                Some(document(Value::Object(data)))
            }
        };
        Ok(Beside { sources: self.sources, data, revision: revision_of(&mut self.hashed) })
    }
}

fn read_data(path: &Path, text: &str) -> Result<Value, LoadError> {
    let failed = |message: String| LoadError::Data { path: path.to_owned(), message };
    if path.extension().is_some_and(|extension| extension == "yaml") {
        let document = Document::from_yaml_str(text).map_err(|error| failed(error.to_string()))?;
        serde_json::to_value(document).map_err(|error| failed(error.to_string()))
    } else {
        serde_json::from_str(text).map_err(|error| failed(error.to_string()))
    }
}

/// Adds `from` to `into`, object by object.
///
/// # Errors
/// The dotted path at which both have a value that is not an object.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>, above: &str) -> Result<(), String> {
    for (name, value) in from {
        let place = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match (into.get_mut(&name), value) {
            (Some(Value::Object(known)), Value::Object(more)) => merge(known, more, &place)?,
            (Some(_), _) => return Err(place),
            (None, value) => {
                into.insert(name, value);
            }
        }
    }
    Ok(())
}
