//! A look at a folder: which files are of the bundle, and what marks them. No file is read.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use walkdir::{DirEntry, WalkDir};

use super::load_error::LoadError;

/// How much a bundle may be. The bounds keep a link to `/`, or a dump that somebody left in the folder,
/// from taking the memory of a process that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleLimits {
    /// Bytes of all its files.
    pub bytes: u64,
    /// Files and folders below it, of whatever name.
    pub entries: usize,
}

impl Default for BundleLimits {
    fn default() -> Self {
        Self { bytes: 64 * 1024 * 1024, entries: 100_000 }
    }
}

/// What marks a file or folder: if none of it has changed, most likely nothing has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Stamp {
    pub device: u64,
    pub inode: u64,
    bytes: u64,
    modified: (i64, i64),
    /// Moves with permissions and names too, and cannot be set to an earlier time by whoever writes.
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A file of the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its name within the source that it belongs to.
    pub within: PathBuf,
    stamp: Stamp,
}

/// A folder that was looked into.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FoundFolder {
    pub path: PathBuf,
    /// Another folder may come to stand at the same path.
    pub device: u64,
    /// See `device`.
    pub inode: u64,
}

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// By source, then by name.
    pub files: Vec<FoundFile>,
    /// Every folder on the way, also when the look ended with a problem.
    pub folders: Vec<FoundFolder>,
    /// Why it ended before its end.
    pub problem: Option<LoadError>,
    /// How many files were passed over because they are of another look.
    pub known: usize,
    bytes: u64,
    entries: usize,
}

impl Survey {
    /// Looks at all that is below `paths`. What is among `known` already is passed over, so that a folder
    /// of tests may lie within the policy folder.
    pub fn of(paths: &[PathBuf], limits: BundleLimits, known: Option<&Self>) -> Self {
        let known: HashSet<_> =
            known.iter().flat_map(|known| &known.files).map(|f| (f.stamp.device, f.stamp.inode)).collect();
        let mut survey = Self::default();
        for root in paths {
            if let Err(problem) = survey.walk(root, limits, &known) {
                survey.problem = Some(problem);
                break;
            }
        }
        survey
    }

    fn walk(
        &mut self,
        root: &Path,
        limits: BundleLimits,
        known: &HashSet<(u64, u64)>,
    ) -> Result<(), LoadError> {
        let entries = WalkDir::new(root)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name()));
        for entry in entries {
            self.entries += 1;
            if self.entries > limits.entries {
                return Err(LoadError::TooMany { path: root.to_owned(), limit: limits.entries });
            }
            match entry {
                Ok(entry) => self.note(root, &entry, limits, known)?,
                // A hidden link that leads nowhere is how Emacs marks a file that is being edited.
                Err(error)
                    if error.depth() > 0 && error.path().and_then(Path::file_name).is_some_and(is_hidden) => {
                }
                Err(error) => {
                    let path = error.path().unwrap_or(root).to_owned();
                    return Err(LoadError::Read { path, source: error.into() });
                }
            }
        }
        Ok(())
    }

    fn note(
        &mut self,
        root: &Path,
        entry: &DirEntry,
        limits: BundleLimits,
        known: &HashSet<(u64, u64)>,
    ) -> Result<(), LoadError> {
        let path = entry.path();
        let is_folder = entry.file_type().is_dir();
        if !is_folder && !is_policy_file(path) {
            return Ok(());
        }
        let metadata = entry
            .metadata()
            .map_err(|error| LoadError::Read { path: path.to_owned(), source: error.into() })?;
        let stamp = Stamp::of(&metadata);
        if is_folder {
            let Stamp { device, inode, .. } = stamp;
            self.folders.push(FoundFolder { path: path.to_owned(), device, inode });
            return Ok(());
        }
        if !metadata.is_file() {
            return Err(LoadError::NotAFile { path: path.to_owned() });
        }
        if known.contains(&(stamp.device, stamp.inode)) {
            self.known += 1;
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(stamp.bytes);
        if self.bytes > limits.bytes {
            return Err(LoadError::TooLarge { path: path.to_owned(), limit: limits.bytes });
        }
        let within = match path.strip_prefix(root) {
            Ok(within) if !within.as_os_str().is_empty() => within.to_owned(),
            // The source is this one file.
            _ => path.file_name().map(PathBuf::from).unwrap_or_default(),
        };
        self.files.push(FoundFile { path: path.to_owned(), within, stamp });
        Ok(())
    }

    /// Whether nothing tells the two apart.
    pub fn is_like(&self, other: &Self) -> bool {
        let problem = |survey: &Self| survey.problem.as_ref().map(LoadError::in_words);
        self.files == other.files && self.folders == other.folders && problem(self) == problem(other)
    }
}

/// The copies of a Kubernetes ConfigMap volume, an editor's own files, `.git`.
fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Whether a file of this name belongs to a bundle.
fn is_policy_file(path: &Path) -> bool {
    is_rego(path) || path.file_name().is_some_and(|name| name == "data.json" || name == "data.yaml")
}

/// Whether a file of this name holds rules.
pub(super) fn is_rego(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rego")
}
