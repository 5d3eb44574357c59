//! What `rules.toml` says: what stands for what, and what is not run.

use std::{cell::RefCell, collections::BTreeSet, fs, path::PathBuf};

use serde::Deserialize;

/// All of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Ports of the pages: each page that is run has free ones in their places.
    pub ports: Vec<u16>,
    replace: Vec<Replace>,
    not_run: Vec<NotRun>,
    ends: Vec<Ends>,
    /// Which rules were needed.
    #[serde(skip)]
    used: RefCell<BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replace {
    text: String,
    by: String,
    why: String,
}

/// A command that is not run: one of a page, or all that begin with a program's name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NotRun {
    page: Option<String>,
    begins: String,
    why: String,
}

/// A command that does not end with 0.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ends {
    page: String,
    begins: String,
    with: i32,
    why: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/documented")
}

impl Rules {
    pub fn read() -> Self {
        let file = config::File::from(folder().join("rules.toml"));
        let read = config::Config::builder().add_source(file).build().unwrap();
        let rules: Self = read.try_deserialize().unwrap();
        let reasons =
            rules.replace.iter().map(|rule| &rule.why).chain(rules.not_run.iter().map(|rule| &rule.why));
        assert!(
            reasons.chain(rules.ends.iter().map(|rule| &rule.why)).all(|why| why.len() > 5),
            "a rule says why"
        );
        rules
    }

    fn use_rule(&self, rule: String) {
        self.used.borrow_mut().insert(rule);
    }

    /// The command as it is run: `None` if it is not.
    pub fn apply(&self, page: &str, command: &str) -> Option<String> {
        let is_it = |rule: &&NotRun| {
            rule.page.as_ref().is_none_or(|name| name == page)
                && begins(if rule.page.is_some() { command } else { program(command) }, &rule.begins)
        };
        if let Some(rule) = self.not_run.iter().find(is_it) {
            self.use_rule(format!("not_run {:?} {}", rule.page, rule.begins));
            return None;
        }
        let mut run = command.to_owned();
        for rule in &self.replace {
            if run.contains(&rule.text) {
                self.use_rule(format!("replace {}", rule.text));
                run = run.replace(&rule.text, &rule.by);
            }
        }
        let ends = self.ends.iter().find(|rule| rule.page == page && begins(command, &rule.begins));
        if let Some(rule) = ends {
            self.use_rule(format!("ends {page} {}", rule.begins));
            run = format!("if {run}\nthen false; else [ $? = {} ]; fi", rule.with);
        }
        Some(run)
    }

    /// The rules that no page needs.
    pub fn unused(&self) -> Vec<String> {
        let not_run = self.not_run.iter().map(|rule| format!("not_run {:?} {}", rule.page, rule.begins));
        let replace = self.replace.iter().map(|rule| format!("replace {}", rule.text));
        let ends = self.ends.iter().map(|rule| format!("ends {} {}", rule.page, rule.begins));
        let used = self.used.borrow();
        not_run.chain(replace).chain(ends).filter(|rule| !used.contains(rule)).collect()
    }
}

/// A whole word of it, at least.
fn begins(command: &str, words: &str) -> bool {
    let rest = command.strip_prefix(words);
    rest.is_some_and(|rest| {
        rest.is_empty()
            || words.ends_with(' ')
            || !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-')
    })
}

/// The command from its program on.
fn program(command: &str) -> &str {
    let mut rest = command.trim_start();
    loop {
        let word = rest.split_whitespace().next().unwrap_or_default();
        let is_before = word == "sudo"
            || word.split_once('=').is_some_and(|(name, _)| {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
            });
        if !is_before {
            return rest;
        }
        rest = rest[word.len()..].trim_start();
    }
}

/// What a page needs before its first command: files that it says are there.
pub fn before(page: &str) -> String {
    fs::read_to_string(before_file(page)).unwrap_or_default()
}

fn before_file(page: &str) -> PathBuf {
    folder().join("before").join(page.replace('/', "-").replace(".md", ".sh"))
}

/// Every file that says so belongs to one of these pages.
pub fn check_before(pages: &[String]) {
    let known: Vec<PathBuf> = pages.iter().map(|page| before_file(page)).collect();
    for entry in fs::read_dir(folder().join("before")).unwrap() {
        let path = entry.unwrap().path();
        assert!(known.contains(&path), "{} belongs to no page with commands", path.display());
    }
}
