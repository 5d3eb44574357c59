//! The files of a bundle: which they are, where a data file lands, and the hash of it all.

use std::{
    fs::OpenOptions,
    io::Read as _,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    load_error::LoadError,
    shipped,
    survey::{BundleLimits, Survey, is_rego},
};
use crate::{
    decision::{Document, RegoSource, document},
    types::PolicyRevision,
};

/// Where a bundle comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySource {
    /// The bundle that is built into the program.
    Shipped,
    /// A folder, or single files.
    Paths(Vec<PathBuf>),
}

/// A bundle's files, read but not compiled.
#[derive(Clone, Debug)]
pub struct Files {
    /// The rules, in the order of their names.
    pub sources: Vec<RegoSource>,
    /// All data files, merged into one object.
    pub data: Document,
    /// The hash of names and contents.
    pub revision: PolicyRevision,
    /// Each file, by name.
    pub digests: Vec<FileDigest>,
}

/// One file of a bundle, as others may compare it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDigest {
    /// Its name within the bundle.
    pub name: String,
    /// The SHA-256 of its content.
    pub sha256: [u8; 32],
}

impl FileDigest {
    /// The digest as 64 hex digits.
    pub fn hex(&self) -> String {
        self.sha256.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl PolicySource {
    /// The source's name, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Shipped => "the shipped bundle (built in)".to_owned(),
            Self::Paths(paths) => {
                paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// Reads every `.rego`, `data.json` and `data.yaml` of a source.
///
/// A data file lands below `data` at the path of its folder within the source, as in OPA: the
/// content of `routes/data.json` is `data.routes`. Files and folders whose name begins with a dot
/// are passed over, so that the hidden copies of a Kubernetes ConfigMap volume are not read twice.
///
/// # Errors
/// [`LoadError`], which names the file.
pub fn load(source: &PolicySource) -> Result<Files, LoadError> {
    let limits = BundleLimits::default();
    match source {
        PolicySource::Shipped => shipped(),
        PolicySource::Paths(paths) => {
            let mut gathering = Gathering::default();
            gathering.read(Survey::of(paths, limits, None), limits)?;
            gathering.finish(paths)
        }
    }
}

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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{LoadError, PolicySource, load};

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    fn source(path: &Path) -> PolicySource {
        PolicySource::Paths(vec![path.to_owned()])
    }

    #[test]
    fn a_data_file_lands_at_the_path_of_its_folder() {
        let folder = folder(&[
            ("a.rego", b"package a"),
            ("data.json", br#"{"top": 1}"#),
            ("routes/data.json", br#"{"x": 2}"#),
            ("routes/deep/data.yaml", b"y: [3]"),
            ("routes/other.json", b"not read"),
            ("notes.txt", b"not read"),
        ]);
        let files = load(&source(folder.path())).unwrap();
        let expected = r#"{"routes":{"deep":{"y":[3]},"x":2},"top":1}"#;
        assert_eq!(serde_json::to_string(&files.data).unwrap(), expected);
        assert_eq!(files.sources.len(), 1);
    }

    #[test]
    fn the_revision_is_that_of_the_content_wherever_it_lies() {
        let one = folder(&[("a.rego", b"package a"), ("b.rego", b"package b")]);
        let same = folder(&[("b.rego", b"package b"), ("a.rego", b"package a")]);
        let other = folder(&[("a.rego", b"package a"), ("b.rego", b"package c")]);
        let revision = |f: &tempfile::TempDir| load(&source(f.path())).unwrap().revision;
        assert_eq!(revision(&one), revision(&same));
        assert_ne!(revision(&one), revision(&other));
    }

    #[test]
    fn each_failure_names_its_file() {
        type Case<'a> = (&'a [(&'a str, &'a [u8])], &'a str);
        let cases: &[Case<'_>] = &[
            (&[], "no .rego file"),
            (&[("a.rego", b"package a"), ("data.json", b"{")], "data.json"),
            (&[("a.rego", b"package a"), ("data.json", b"[1]")], "must be an object"),
            (&[("a.rego", b"package a"), ("data.yaml", b"a: [")], "data.yaml"),
            (&[("a.rego", b"\xff")], "a.rego: is not UTF-8"),
            (
                &[("a.rego", b"package a"), ("data.json", br#"{"b": 1}"#), ("b/data.json", br#"{"c": 1}"#)],
                "data.b is also defined",
            ),
        ];
        for (files, expected) in cases {
            let folder = folder(files);
            let error = load(&source(folder.path())).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let missing = load(&source(Path::new("/nonexistent/policies"))).unwrap_err();
        assert!(matches!(missing, LoadError::Read { .. }));
        assert!(missing.to_string().contains("/nonexistent/policies"));
    }

    #[test]
    fn a_configmap_volume_is_read_once() {
        let folder = folder(&[("..2026/a.rego", b"package a"), ("..2026/data.json", b"{}")]);
        std::os::unix::fs::symlink("..2026", folder.path().join("..data")).unwrap();
        for name in ["a.rego", "data.json"] {
            let target = Path::new("..data").join(name);
            std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
        }
        assert_eq!(load(&source(folder.path())).unwrap().sources.len(), 1);
    }

    #[test]
    fn the_shipped_bundle_is_the_policies_folder() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        assert_eq!(
            load(&PolicySource::Shipped).unwrap().revision,
            load(&source(&root)).unwrap().revision,
            "list every file of policies/ in src/policy/shipped.rs"
        );
    }
}
