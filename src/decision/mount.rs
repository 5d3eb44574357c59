//! Where the organisation's own documents stand below `data`.

use std::{fmt, str::FromStr, sync::Arc};

use regorus::{Value, value::Object};
use thiserror::Error;

use super::{DATABASE_DOCUMENTS, Document};

/// A place below `data`, such as `infrabox.collaborators.collaborators`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DocumentPath(Arc<[Arc<str>]>);

/// Not a place where a document of one's own can stand.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidDocumentPath {
    /// A name is empty, or is not a name that Rego could write after a dot.
    #[error(
        "{0:?} is not a path of names with dots between, such as \"company.teams\" (`data.` is left out)"
    )]
    Malformed(String),
    /// The database provides that name.
    #[error("`data.{0}` is provided by regate's own tables")]
    Taken(&'static str),
}

impl FromStr for DocumentPath {
    type Err = InvalidDocumentPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let names: Vec<&str> = text.split('.').collect();
        if names.first() == Some(&"data") || !names.iter().all(|name| is_name(name)) {
            return Err(InvalidDocumentPath::Malformed(text.to_owned()));
        }
        if let Some(taken) = DATABASE_DOCUMENTS.into_iter().find(|taken| names.first() == Some(taken)) {
            return Err(InvalidDocumentPath::Taken(taken));
        }
        Ok(Self(names.into_iter().map(Arc::from).collect()))
    }
}

impl fmt::Display for DocumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl DocumentPath {
    /// The first name of it.
    pub(super) fn first(&self) -> Option<&str> {
        self.0.first().map(AsRef::as_ref)
    }

    /// Whether one of the two lies in the other.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0.iter()).all(|(ours, theirs)| ours == theirs)
    }

    /// Whether a rule with these names lies in this place, or this place in the rule's.
    pub(super) fn meets(&self, rule: &[&str]) -> bool {
        self.0.iter().zip(rule).all(|(ours, theirs)| **ours == **theirs)
    }

    /// Whether the data has something here, or something on the way that is no object.
    pub(super) fn is_defined_in(&self, data: &Document) -> bool {
        let mut value = data;
        for name in self.0.iter() {
            let Value::Object(object) = value else { return true };
            match object.get(&Value::String(Arc::clone(name))) {
                Some(next) => value = next,
                None => return false,
            }
        }
        true
    }
}

/// One document of the organisation's own: where it stands, and of what shape it is.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Where.
    pub path: DocumentPath,
    /// An array of rows; else an object by key.
    pub list: bool,
}

impl Mount {
    /// The document of a tenant that has no rows in it.
    pub fn nothing(&self) -> Document {
        if self.list { Value::new_array() } else { Value::new_object() }
    }

    /// Puts the document in its place below `data`. Objects on the way are made; what is no object
    /// there is left alone: [`Bundle::compile`](super::Bundle::compile) has refused it.
    pub(super) fn place(&self, data: &mut Object, document: Document) {
        let Some((last, way)) = self.path.0.split_last() else { return };
        let mut object = data;
        for name in way {
            let next = object.get_or_insert_with(Value::String(Arc::clone(name)), Value::new_object);
            let Ok(next) = next.as_object_mut() else { return };
            object = next;
        }
        object.insert(Value::String(Arc::clone(last)), document);
    }
}
