//! What exists below `input` and `data`: `unknown-input`, `unknown-data`.
//!
//! **Must never know:** scopes and aliases, which [`reading`](super::reading) has resolved.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Bundle, Found,
    code::Code,
    definitions::Kind,
    nearest::did_you_mean,
    reference::{Reference, Root, Step},
};
use crate::decision::schema::{DOCUMENTS, INPUT, Shape};

/// What stands at a place below `data`.
#[derive(Debug)]
enum Known {
    /// Whatever is below cannot be known.
    Anything,
    Shape(Shape),
    /// These names and no other.
    Names(BTreeMap<String, Known>),
    /// A value with nothing below.
    Scalar,
}

pub(super) fn find(bundle: &Bundle<'_>) -> Vec<Found> {
    let data = provided(bundle);
    let mut found = Vec::new();
    for (file, reference) in bundle.references().chain(bundle.imports()) {
        let wrong = match reference.root {
            Root::Input if bundle.options.input_schema => in_shape(&INPUT, reference, 0),
            Root::Data => in_data(&data, reference),
            _ => None,
        };
        let Some((index, problem)) = wrong else { continue };
        // What an import or a variable stands for is reported where it is made.
        let Some((_, at)) = reference.steps.get(index).filter(|_| index >= reference.elsewhere) else {
            continue;
        };
        let (code, whole) = match reference.root {
            Root::Input => (Code::UnknownInput, "`input`"),
            _ => (Code::UnknownData, "`data`"),
        };
        let above = reference.steps.iter().take(index).all(|(step, _)| matches!(step, Step::Name(_)));
        let above = match above {
            true if index > 0 => format!("`{}`", reference.spelling(index)),
            true => whole.to_owned(),
            false => format!("what is here below {whole}"),
        };
        found.push(Found { file, at: *at, code, message: format!("{above} {problem}") });
    }
    found
}

/// The first step that leads nowhere, and why.
type Wrong = Option<(usize, String)>;

/// Follows a reference from its step `from` on.
fn in_shape(shape: &Shape, reference: &Reference, from: usize) -> Wrong {
    let mut shape = *shape;
    for (index, (step, _)) in reference.steps.iter().enumerate().skip(from) {
        while let Shape::Nullable(inner) = shape {
            shape = *inner;
        }
        shape = match (shape, step) {
            (Shape::Any, _) | (Shape::Object(_), Step::Dynamic(_)) => return None,
            (Shape::Object(fields), Step::Name(name)) => match fields.iter().find(|(field, _)| field == name)
            {
                Some((_, below)) => *below,
                None => return Some((index, has_no(name, fields.iter().map(|(field, _)| *field)))),
            },
            (Shape::Object(_), Step::Number(_)) => {
                return Some((index, "is an object, not a list: name one of its fields".to_owned()));
            }
            (Shape::List(_), Step::Name(name)) => {
                return Some((
                    index,
                    format!("is a list and has no field `{name}`: use a number or a variable"),
                ));
            }
            (Shape::List(below), _) | (Shape::Map(below), _) => *below,
            _ => return Some((index, format!("is {} and has nothing below it", plain_name(&shape)))),
        };
    }
    None
}

fn plain_name(shape: &Shape) -> &'static str {
    match shape {
        Shape::Boolean => "true or false",
        Shape::Number => "a number",
        _ => "a text",
    }
}

fn has_no<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.collect();
    format!("has no `{name}`{}", did_you_mean(name, &names))
}

fn in_data(data: &Known, reference: &Reference) -> Wrong {
    let mut known = data;
    for (index, (step, _)) in reference.steps.iter().enumerate() {
        known = match (known, step) {
            (Known::Anything, _) | (Known::Names(_), Step::Dynamic(_)) => return None,
            (Known::Shape(shape), _) => return in_shape(shape, reference, index),
            (Known::Names(below), Step::Name(name) | Step::Number(name)) => match below.get(name) {
                Some(known) => known,
                None => {
                    let names: Vec<&str> = below.keys().map(String::as_str).collect();
                    let more = did_you_mean(name, &names);
                    let problem =
                        format!("has no `{name}`: no rule, data file or document provides it{more}");
                    return Some((index, problem));
                }
            },
            (Known::Scalar, _) => return Some((index, "is a value with nothing below it".to_owned())),
        };
    }
    None
}

/// The shape of what a reference finds in `input` or in a document of the database, as far as it has one.
pub(super) fn shape_of(bundle: &Bundle<'_>, reference: &Reference) -> Option<Shape> {
    let (mut shape, from) = match (&reference.root, reference.steps.first()) {
        (Root::Input, _) if bundle.options.input_schema => (INPUT, 0),
        (Root::Data, Some((Step::Name(document), _))) => {
            (DOCUMENTS.iter().find(|(name, _)| name == document)?.1, 1)
        }
        _ => return None,
    };
    for (step, _) in reference.steps.iter().skip(from) {
        while let Shape::Nullable(inner) = shape {
            shape = *inner;
        }
        shape = match (shape, step) {
            (Shape::Object(fields), Step::Name(name)) => fields.iter().find(|(field, _)| field == name)?.1,
            (Shape::List(below) | Shape::Map(below), _) => *below,
            _ => return None,
        };
    }
    Some(shape)
}

/// Everything that something provides below `data`.
fn provided(bundle: &Bundle<'_>) -> Known {
    let mut known = of_value(&bundle.data);
    for (name, shape) in DOCUMENTS {
        place(&mut known, &[name.to_owned()], Known::Shape(shape));
    }
    for mount in bundle.options.mounts.iter() {
        let path: Vec<String> = mount.path.to_string().split('.').map(str::to_owned).collect();
        place(&mut known, &path, Known::Anything);
    }
    for package in bundle.definitions.packages() {
        place(&mut known, package, Known::Names(BTreeMap::new()));
    }
    for (path, definitions) in bundle.definitions.iter() {
        // What is below a rule's value is not looked into.
        let function = definitions.iter().all(|definition| matches!(definition.kind, Kind::Function(_)));
        place(&mut known, path, if function { Known::Scalar } else { Known::Anything });
    }
    known
}

fn of_value(value: &Value) -> Known {
    match value {
        Value::Object(fields) => {
            Known::Names(fields.iter().map(|(name, value)| (name.clone(), of_value(value))).collect())
        }
        Value::Array(_) => Known::Anything,
        _ => Known::Scalar,
    }
}

/// Puts something at a path. What is there already and is more stays.
fn place(known: &mut Known, path: &[String], what: Known) {
    let Known::Names(names) = known else { return };
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        match (names.get(first), &what) {
            (Some(Known::Names(_)), Known::Names(_)) => {}
            _ => {
                names.insert(first.clone(), what);
            }
        }
    } else {
        place(names.entry(first.clone()).or_insert_with(|| Known::Names(BTreeMap::new())), rest, what);
    }
}
