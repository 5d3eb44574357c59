//! What `docs/tokens.md` says of tokens holds for those that are minted.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use rand::{SeedableRng, rngs::StdRng};
use regate::{auth, types::TokenKind};
use regex::Regex;
use serde_json::Value;

use crate::harness::program::{run, stderr, stdout};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("docs/tokens.md")).unwrap()
}

/// The first fenced block of a language below a heading.
fn block(heading: &str, language: &str) -> String {
    let page = page();
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, rest) = section.split_once(&format!("```{language}\n")).unwrap();
    rest.split("```").next().unwrap().to_owned()
}

fn minted() -> Vec<String> {
    let mut random = StdRng::seed_from_u64(11);
    let mut tokens = Vec::new();
    for kind in TokenKind::ALL {
        tokens.extend((0..40).map(|_| auth::mint(kind, &mut random).token.expose().to_owned()));
    }
    tokens
}

#[test]
fn every_regular_expression_is_the_one_of_the_service() {
    // In a table `|` is escaped; a group that captures would be taken for the secret by some scanners.
    let text = page().replace("\\|", "|").replace("(?:", "(");
    let written = text.matches(auth::TOKEN_PATTERN).count();
    assert_eq!(written, 5, "the page, Python, gitleaks, GitHub, TruffleHog");
    assert_eq!(text.matches("rgt_(").count(), written, "another expression is written somewhere");
    let pattern = Regex::new(&format!("^{}$", block("Format", "text").trim())).unwrap();
    assert!(minted().iter().all(|token| pattern.is_match(token)));
}

#[test]
fn the_checksum_in_python_is_the_one_of_the_service() {
    let tokens = minted();
    let mut input = String::new();
    let mut expected = String::new();
    for (number, token) in tokens.iter().enumerate() {
        // Another character, at another place each time, and another kind.
        let at = token.len() - 1 - number % 49;
        let other = if token[at..].starts_with('x') { "y" } else { "x" };
        let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        let kind = if token.starts_with("rgt_mcp_") { "rgt_admin_" } else { "rgt_mcp_" };
        let renamed = format!("{kind}{}", &token[token.len() - 49..]);
        for (text, good) in [(token, "True"), (&changed, "False"), (&renamed, "False")] {
            assert!(matches!(auth::identify(text), auth::TokenFormat::Regate(_)) == (good == "True"));
            input.push_str(&format!("{text}\n"));
            expected.push_str(&format!("{good}\n"));
        }
    }
    let mut python = Command::new("python3")
        .args(["-c", &block("Format", "python")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("an example of the documentation is in Python: install python3");
    python.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    assert!(stdout(&python.wait_with_output().unwrap()) == expected, "Python and the service disagree");
}

#[test]
fn the_worked_example_of_an_import_reports_what_the_page_says() {
    let folder = tempfile::tempdir().unwrap();
    let (document, said) = (block("Keys of another system", "json"), block("Keys of another system", "text"));
    let report = run(folder.path(), &["import", "-"], &document);
    assert_eq!(stdout(&report), said, "{}", stderr(&report));
    let document: Value = serde_json::from_str(&document).unwrap();
    let hash = auth::hash("ib_mcp_test").to_string();
    assert!(document["tokens"][0]["sha256"] == hash && page().contains(&format!("gives `{hash}`")));
    // What the command of the page prints.
    let command = block("Keys of another system", "sh");
    let sum = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert!(stdout(&sum).starts_with(&hash));
}

#[test]
fn the_commands_of_the_page_and_the_readme_run() {
    let folder = tempfile::tempdir().unwrap();
    let import = fs::read_to_string(root().join("examples/decide.json")).unwrap();
    assert!(run(folder.path(), &["import", "-"], &import).status.success());
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let rows = readme.lines().filter(|line| {
        ["regate user ", "regate project ", "regate collaborator ", "regate token list"]
            .iter()
            .any(|command| line.starts_with(command))
    });
    let commands: Vec<String> = rows.map(str::to_owned).collect();
    assert_eq!(commands.len(), 4);
    let mut id = String::new();
    for line in commands.iter().map(String::as_str).chain(block("Life", "sh").lines()) {
        let line = line.replace(" ID", &format!(" {id}"));
        let arguments: Vec<&str> = line.split(' ').skip(1).collect();
        let output = run(folder.path(), &arguments, "");
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        if line.starts_with("regate token mint") {
            let listed = run(folder.path(), &["token", "list", "--kind", "mcp", "--json"], "");
            let rows = stdout(&listed);
            let row: Value = serde_json::from_str(rows.lines().last().unwrap()).unwrap();
            id = row["id"].as_str().unwrap().to_owned();
        }
    }
}
