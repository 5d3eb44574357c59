//! What nothing uses: `unused-import`, `unused-variable`, `unreachable-rule`.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Bundle, Found,
    code::Code,
    definitions::{Kind, Path},
    reading::imported,
    reference::{Callee, Root, VariableKind},
};

/// How the names of rules begin that are run for their own sake.
const TEST_PREFIXES: [&str; 3] = ["test_", "todo_test_", "invariant_"];

pub(super) fn imports(bundle: &Bundle<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (index, file) in bundle.files.iter().enumerate() {
        let used: BTreeSet<usize> =
            bundle.readings_of(index).flat_map(|reading| &reading.imports).copied().collect();
        for (place, import) in file.module.imports.iter().enumerate() {
            let Some((name, names)) = imported(file, place) else { continue };
            // Those of the language switch words on, and are not used by name.
            let root_known = matches!(names.first(), Some(&"data" | &"input"));
            if root_known && !used.contains(&place) {
                let message = format!("nothing in this file uses the import `{name}`: remove it");
                found.push(Found { file: index, at: import.span.start, code: Code::UnusedImport, message });
            }
        }
    }
    found
}

pub(super) fn variables(bundle: &Bundle<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (file, reading) in bundle.readings() {
        for (name, span, kind) in &reading.unread {
            let message = match kind {
                VariableKind::Assigned => format!(
                    "nothing reads the variable `{name}`: remove it, or name it `_{name}` if only its being \
                     defined matters"
                ),
                VariableKind::Some => format!("nothing reads the variable `{name}`: write `_` in its place"),
                VariableKind::Parameter => {
                    format!("nothing reads the parameter `{name}`: write `_` in its place")
                }
                VariableKind::Every => continue,
            };
            found.push(Found { file, at: span.start, code: Code::UnusedVariable, message });
        }
    }
    found
}

pub(super) fn rules(bundle: &Bundle<'_>) -> Vec<Found> {
    let mut calls: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for (path, definitions) in bundle.definitions.iter() {
        let touched = calls.entry(path).or_default();
        for reading in definitions.iter().map(|definition| bundle.reading(definition)) {
            for reference in reading.references.iter().filter(|r| r.root == Root::Data && !r.mocked) {
                touched.extend(bundle.definitions.touched(&reference.names()));
            }
            for call in &reading.calls {
                if let Callee::Rule(callee) = &call.callee {
                    touched.extend(bundle.definitions.touched(callee));
                }
            }
        }
    }
    let is_test = |path: &Path| {
        path.last().is_some_and(|name| TEST_PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
    };
    let mut waiting: Vec<&Path> = calls.keys().copied().filter(|path| is_test(path)).collect();
    let asked: Vec<&Path> =
        bundle.entrypoints().flat_map(|entrypoint| bundle.definitions.touched(&entrypoint)).collect();
    if asked.is_empty() {
        // The entrypoint is misspelt, which is said already: then nothing is reached.
        return Vec::new();
    }
    waiting.extend(asked);
    let mut reached: BTreeSet<&Path> = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        if reached.insert(path) {
            waiting.extend(calls.get(path).into_iter().flatten().copied());
        }
    }
    let mut found = Vec::new();
    for (path, definitions) in bundle.definitions.iter().filter(|(path, _)| !reached.contains(path)) {
        let Some(first) = definitions.first() else { continue };
        let what = match meant(bundle, &reached, path, first.file) {
            Some(package) => format!(
                "did you mean {package}, whose rule of this name is collected? Else remove the rule, or use it"
            ),
            None => "remove the rule, or use it".to_owned(),
        };
        let message = format!("neither an entrypoint nor a test reaches `data.{}`: {what}", path.join("."));
        let at = first.rule.span().start;
        found.push(Found { file: first.file, at, code: Code::UnreachableRule, message });
    }
    found
}

/// The package one letter from a rule's own in which a rule of the same name is made of parts, and reached.
fn meant(bundle: &Bundle<'_>, reached: &BTreeSet<&Path>, path: &Path, file: usize) -> Option<String> {
    let package = &bundle.files.get(file)?.package;
    let below = path.strip_prefix(&package[..])?;
    let one_letter = |other: &&Path| strsim::damerau_levenshtein(&other.join("."), &package.join(".")) == 1;
    let collected = |other: &&Path| {
        let same = [&other[..], below].concat();
        let parts = bundle.definitions.at(&same).iter().any(|definition| definition.kind == Kind::Partial);
        parts && reached.contains(&same)
    };
    let meant = bundle.definitions.packages().filter(one_letter).find(collected)?;
    Some(meant.join("."))
}
