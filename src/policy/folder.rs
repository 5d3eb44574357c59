//! The files of a bundle: which they are, where a data file lands, and the hash of it all.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use thiserror::Error;
use walkdir::WalkDir;

use super::shipped;
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
}

/// Why files could not be read as a bundle. Each names the file.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file system said no.
    #[error("{path}: cannot be read")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// Rego and data files are UTF-8.
    #[error("{path}: is not UTF-8")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// Not JSON, or not YAML.
    #[error("{path}: {message}")]
    Data {
        /// The file.
        path: PathBuf,
        /// The parser's message.
        message: String,
    },
    /// Two data files give one place two values.
    #[error("{path}: data.{place} is also defined by another data file")]
    Conflict {
        /// The later file.
        path: PathBuf,
        /// The path below `data`.
        place: String,
    },
    /// There is nothing to decide with.
    #[error("{path}: there is no .rego file in it")]
    NoRules {
        /// The folder.
        path: PathBuf,
    },
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
    let mut gathering = Gathering::default();
    match source {
        PolicySource::Shipped => {
            for (name, text) in shipped::FILES {
                gathering.take(Path::new(""), Path::new(name), (*text).to_owned())?;
            }
        }
        PolicySource::Paths(paths) => {
            for path in paths {
                gathering.read(path)?;
            }
            if gathering.sources.is_empty() {
                let path = paths.first().cloned().unwrap_or_default();
                return Err(LoadError::NoRules { path });
            }
        }
    }
    Ok(gathering.finish())
}

#[derive(Default)]
struct Gathering {
    sources: Vec<RegoSource>,
    data: Map<String, Value>,
    hashed: Vec<(String, [u8; 32])>,
}

impl Gathering {
    fn read(&mut self, root: &Path) -> Result<(), LoadError> {
        let visible = |name: &std::ffi::OsStr| !name.as_encoded_bytes().starts_with(b".");
        let entries = WalkDir::new(root)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| entry.depth() == 0 || visible(entry.file_name()));
        for entry in entries {
            let entry = entry.map_err(|error| LoadError::Read {
                path: error.path().unwrap_or(root).to_owned(),
                source: error.into(),
            })?;
            if entry.file_type().is_file() && is_policy_file(entry.path()) {
                let path = entry.path();
                let bytes =
                    fs::read(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
                let text =
                    String::from_utf8(bytes).map_err(|_| LoadError::NotUtf8 { path: path.to_owned() })?;
                self.take(root, path, text)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, root: &Path, path: &Path, text: String) -> Result<(), LoadError> {
        let within = path.strip_prefix(root).unwrap_or(path);
        self.hashed.push((within.display().to_string(), Sha256::digest(text.as_bytes()).into()));
        if path.extension().is_some_and(|extension| extension == "rego") {
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

    fn finish(mut self) -> Files {
        self.hashed.sort();
        let mut digest = Sha256::new();
        for (name, content) in &self.hashed {
            // Each name with its length, so that no two sets of files run together to the same bytes.
            digest.update((name.len() as u64).to_be_bytes());
            digest.update(name.as_bytes());
            digest.update(content);
        }
        Files {
            sources: self.sources,
            data: document(Value::Object(self.data)),
            revision: PolicyRevision::from_digest(&digest.finalize()),
        }
    }
}

/// Whether a file below a root holds tests, or what tests share: its name ends in `_test.rego`, or it lies in
/// a folder called `test`, `tests`, or something that ends in `-tests`
/// or `_tests`. The root's own name counts too.
pub fn is_test_file(root: &Path, file: &Path) -> bool {
    let Ok(within) = file.strip_prefix(root) else { return false };
    let is_test_folder = |name: &std::ffi::OsStr| {
        let name = name.to_string_lossy();
        let last_word = name.rsplit(['-', '_']).next();
        matches!(last_word, Some("test" | "tests"))
    };
    root.file_name().into_iter().chain(within.parent().into_iter().flatten()).any(is_test_folder)
        || file.to_string_lossy().ends_with("_test.rego")
}

fn is_policy_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rego")
        || path.file_name().is_some_and(|name| name == "data.json" || name == "data.yaml")
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
