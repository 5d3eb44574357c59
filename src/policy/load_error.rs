//! Why files cannot be read as a bundle.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::types::causes;

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
    /// A pipe or a device under the name of a policy file.
    #[error("{path}: is not a regular file")]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// The files are more than a bundle may be.
    #[error(
        "{path}: with this file the bundle is larger than {limit} bytes ([policy] max_bundle_bytes): move data \
         of that size into a table, as a document ([[documents]])"
    )]
    TooLarge {
        /// The file with which the limit is passed.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// There are more files and folders than one bundle should have.
    #[error("{path}: there are more than {limit} files and folders in it: does a link lead out of it?")]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// Somebody is writing.
    #[error("{path}: the files change while they are read")]
    Unsteady {
        /// The folder.
        path: PathBuf,
    },
}

impl LoadError {
    /// The file or folder.
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. }
            | Self::NotUtf8 { path }
            | Self::Data { path, .. }
            | Self::Conflict { path, .. }
            | Self::NoRules { path }
            | Self::NotAFile { path }
            | Self::TooLarge { path, .. }
            | Self::TooMany { path, .. }
            | Self::Unsteady { path } => path,
        }
    }

    /// The error with what the operating system said.
    pub(super) fn in_words(&self) -> String {
        causes(self).join(": ")
    }
}
