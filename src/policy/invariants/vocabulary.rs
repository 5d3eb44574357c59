//! The words that policies speak of: what questions are made from.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{comparisons::Comparisons, messages::is_method};
use crate::decision::Document;

/// A longer text is prose, not a word of a route.
const LONGEST: usize = 40;

/// Words, and routes with holes in them.
#[derive(Clone, Debug, Default)]
pub(super) struct Vocabulary {
    /// Texts that could be a segment of a path, a value, an id.
    pub words: Vec<String>,
    /// Those of them that the invariants themselves name: what they are about.
    pub named: Vec<String>,
    /// Methods beside the usual ones.
    pub methods: Vec<String>,
    /// Names of headers.
    pub headers: Vec<String>,
    /// Arrays of texts in the policies: paths, or the beginnings of paths; a hole is a variable.
    pub routes: Vec<Vec<Option<String>>>,
    /// Texts that a project's id is compared with, or could be.
    pub projects: Vec<String>,
}

impl Vocabulary {
    /// The vocabulary of these syntax trees and data files; `stating` are the files that state invariants.
    pub(super) fn new(trees: &[Json], files: &Document, stating: &BTreeSet<&str>) -> Self {
        let mut found = Found::default();
        let states = |tree: &Json| tree["source"]["file"].as_str().is_some_and(|file| stating.contains(file));
        trees.iter().filter(|tree| states(tree)).for_each(|tree| found.tree(&tree["ast"]["rules"]));
        let named = found.texts.clone();
        trees.iter().for_each(|tree| found.tree(&tree["ast"]["rules"]));
        if let Ok(files) = serde_json::to_value(files) {
            found.data(&files);
        }
        let is_http_method =
            |text: &String| text.len() >= 3 && text.chars().all(|character| character.is_ascii_uppercase());
        let (methods, rest): (Vec<String>, Vec<String>) = found.texts.into_iter().partition(is_http_method);
        // Names of headers are words with hyphens; so are some segments. Both places may have them.
        let headers = rest
            .iter()
            .filter(|text| text.contains('-') && !text.contains('/') && http_name(text))
            .cloned()
            .collect();
        let mut comparisons = Comparisons::default();
        trees.iter().for_each(|tree| comparisons.tree(tree));
        let mut routes: Vec<Vec<Option<String>>> = found.routes.into_iter().collect();
        routes.extend(comparisons.routes);
        let mut words: BTreeSet<String> = BTreeSet::new();
        for text in rest.into_iter().filter(|text| !is_method(text)) {
            if text.contains('/') {
                // The anchors of a regular expression are no part of a segment.
                let path = text.trim_start_matches('^').trim_end_matches('$');
                let segments = || path.split('/').filter(|segment| !segment.is_empty());
                let wild = |segment: &str| segment.contains(['*', '{', '?', '(', '[', '^', '$', ':']);
                routes.push(segments().map(|s| (!wild(s)).then(|| s.to_owned())).collect());
                words.extend(segments().filter(|segment| !wild(segment)).map(str::to_owned));
            } else {
                words.insert(text);
            }
        }
        routes.retain(|route| !route.is_empty());
        routes.sort();
        routes.dedup();
        let named = words.iter().filter(|word| named.contains(*word)).cloned().collect();
        // What is known to be a word of a route is no id: paths would be misread.
        let is_word = |text: &String| {
            routes.iter().any(|route| {
                route.windows(2).any(|pair| {
                    let about_projects = |word: &String| word.to_lowercase().contains("project");
                    pair[1].as_ref() == Some(text)
                        && pair[0].as_ref().is_some_and(|word| !about_projects(word))
                })
            })
        };
        let projects = comparisons.projects.into_iter().filter(|text| !is_word(text)).collect();
        Self { words: words.into_iter().collect(), named, methods, headers, routes, projects }
    }
}

#[derive(Default)]
struct Found {
    texts: BTreeSet<String>,
    routes: BTreeSet<Vec<Option<String>>>,
}

impl Found {
    fn tree(&mut self, node: &Json) {
        match node {
            Json::Array(items) => items.iter().for_each(|item| self.tree(item)),
            Json::Object(fields) => {
                for kind in ["String", "RawString"] {
                    if let Some(text) = fields.get(kind).and_then(|string| string["value"].as_str()) {
                        self.text(text);
                    }
                }
                if let Some(items) = fields.get("Array").and_then(|array| array["items"].as_array()) {
                    self.route(items);
                }
                // A name after a dot is a field of the schema, which is known.
                fields.values().for_each(|field| self.tree(field));
            }
            _ => {}
        }
    }

    fn data(&mut self, value: &Json) {
        match value {
            Json::String(text) => self.text(text),
            Json::Array(items) => items.iter().for_each(|item| self.data(item)),
            Json::Object(fields) => {
                fields.keys().for_each(|name| self.text(name));
                fields.values().for_each(|field| self.data(field));
            }
            _ => {}
        }
    }

    /// Prose and reason codes are no words of a question.
    fn text(&mut self, text: &str) {
        let is_code = text.contains('.') && !text.contains('/');
        let is_prose = text.contains(char::is_whitespace) || text.chars().any(char::is_control);
        if !text.is_empty() && text.len() <= LONGEST && !is_prose && !is_code && !text.contains('%') {
            self.texts.insert(text.to_owned());
        }
    }

    fn route(&mut self, items: &[Json]) {
        let route: Vec<Option<String>> =
            items.iter().map(|item| item["String"]["value"].as_str().map(str::to_owned)).collect();
        let words = route.iter().flatten().filter(|text| !text.contains(char::is_whitespace)).count();
        let codes = route.iter().flatten().any(|text| text.contains('.') || text.contains('%'));
        if words > 0 && route.len() > 1 && route.len() < 12 && !codes {
            self.routes.insert(route);
        }
    }
}

fn http_name(text: &str) -> bool {
    text.chars().all(|character| character.is_ascii_alphanumeric() || character == '-')
}
