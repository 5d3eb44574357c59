//! The files of a bundle: which they are, where a data file lands, and the hash of it all.

use std::path::{Path, PathBuf};

use super::{
    gathering::{Gathering, shipped},
    load_error::LoadError,
    survey::{BundleLimits, Survey},
};
use crate::{
    decision::{Document, RegoSource},
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

/// Whether a file below a root holds tests, or what tests share: its name ends in `_test.rego`, or it lies in
/// a folder called `test`, `tests`, or something that ends in `-tests` or `_tests`. The root's own name counts too.
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
