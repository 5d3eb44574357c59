//! Comments that silence: `# regate:allow CODE` at the end of a line or alone above it, and
//! `# regate:allow-file CODE` anywhere in a file. One that silences nothing is a finding itself
//! (`unused-allow`), so that they go when what they excused is gone.

use super::{
    CheckOptions, Code, Finding, Found,
    definitions::File,
    finding::{Place, Text},
    nearest::did_you_mean,
};

/// A code that a comment silences.
struct Allow {
    code: Result<Code, String>,
    /// The line that it is about; `None`: the whole file.
    line: Option<usize>,
    at: Place,
    used: bool,
}

/// Makes findings of what was found, without what comments silence.
pub(super) fn apply(files: &[File<'_>], found: Vec<Found>, options: &CheckOptions) -> Vec<Finding> {
    let mut allows: Vec<Vec<Allow>> = files.iter().map(|file| allows(&file.text)).collect();
    let mut findings = Vec::new();
    for Found { file: index, at, code, message } in found {
        let (Some(file), Some(allows)) = (files.get(index), allows.get_mut(index)) else { continue };
        let place = file.text.place(at);
        let mut silenced = false;
        for allow in allows.iter_mut() {
            if allow.code == Ok(code) && allow.line.is_none_or(|line| line == place.line) {
                (allow.used, silenced) = (true, true);
            }
        }
        if !silenced {
            findings.push(Finding { file: file.name.to_owned(), place: Some(place), code, message });
        }
    }
    for (file, allows) in files.iter().zip(allows) {
        for allow in allows.into_iter().filter(|allow| !allow.used) {
            let message = match allow.code {
                // Not looked for, so not missed.
                Ok(Code::UnknownInput | Code::UnknownValue) if !options.input_schema => continue,
                Ok(code) => format!("there is no `{code}` here: remove the comment"),
                Err(name) => {
                    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
                    format!(
                        "there is no code `{name}`{}: see regate check --list",
                        did_you_mean(&name, &codes)
                    )
                }
            };
            let file = file.name.to_owned();
            findings.push(Finding { file, place: Some(allow.at), code: Code::UnusedAllow, message });
        }
    }
    findings
}

fn allows(text: &Text<'_>) -> Vec<Allow> {
    let comments = comments(text.text);
    let lines: Vec<&str> = text.text.lines().collect();
    let mut allows = Vec::new();
    for at in comments {
        let place = text.place(at);
        let line = lines.get(place.line - 1).copied().unwrap_or_default();
        let comment = text.text.get(at..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let words = comment.trim_start_matches('#').trim_start();
        let (codes, whole_file) =
            match (words.strip_prefix("regate:allow-file "), words.strip_prefix("regate:allow ")) {
                (Some(codes), _) => (codes, true),
                (_, Some(codes)) => (codes, false),
                _ => continue,
            };
        let alone = line.trim_start().starts_with('#');
        let about = match (whole_file, alone) {
            (true, _) => None,
            (false, false) => Some(place.line),
            (false, true) => Some(next_line_of_code(&lines, place.line)),
        };
        for name in listed(codes) {
            let code = Code::from_name(name).ok_or_else(|| name.to_owned());
            allows.push(Allow { code, line: about, at: place, used: false });
        }
    }
    allows
}

/// `a, b because …`: the codes; what follows them is the reason.
fn listed(codes: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for word in codes.split_whitespace() {
        let more = word.ends_with(',');
        names.extend(
            word.split(',').map(|name| name.trim_end_matches([':', '.'])).filter(|name| !name.is_empty()),
        );
        if !more {
            break;
        }
    }
    names
}

/// The first line after `line` (from 1) that is more than a comment.
fn next_line_of_code(lines: &[&str], line: usize) -> usize {
    let is_code = |line: &&str| !line.trim_start().starts_with('#') && !line.trim().is_empty();
    lines.iter().skip(line).position(is_code).map_or(line, |more| line + more + 1)
}

/// Where the comments begin: at each `#` that is not within a text.
fn comments(text: &str) -> Vec<usize> {
    let (mut found, mut quote) = (Vec::new(), None);
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (None, '#') => {
                found.push(at);
                characters.by_ref().find(|(_, next)| *next == '\n');
            }
            (None, '"' | '`') => quote = Some(character),
            (Some('"'), '\\') => {
                characters.next();
            }
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    found
}
