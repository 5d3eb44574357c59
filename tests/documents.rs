//! What the documentation says is so.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::harness::{http::send, program::Serving};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_demo_prints_lines_that_answer_what_their_comments_say() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    // The last line ends the output that comes with the first.
    let printed = loop {
        let printed = serving.output.lock().unwrap().clone();
        if printed.matches("\ncurl ").count() == 6 && printed.ends_with("'\n") {
            break printed;
        }
        std::thread::yield_now();
    };
    let lines: Vec<&str> = printed.lines().filter(|line| !line.is_empty()).collect();
    for pair in lines.chunks(2) {
        let [comment, curl] = pair else { panic!("a comment without its line: {pair:?}") };
        assert!(curl.starts_with(&format!("curl -sw '\\n' http://{}/v1/decide ", serving.address)), "{curl}");
        let body = curl.split_once("-d '").unwrap().1.trim_end_matches('\'');
        let answer = send(&serving.address, "POST", "/v1/decide", &[], body.as_bytes()).json();
        assert_eq!(answer["allow"] == false, comment.ends_with(": denied"), "{comment}: {answer}");
    }
}

#[test]
fn every_json_example_in_the_readme_is_json() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut blocks = 0;
    for block in readme.split("```json\n").skip(1) {
        let text = block.split("```").next().unwrap();
        serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        blocks += 1;
    }
    assert!(blocks > 0);
}

/// The names by which a page's headings are linked to, as GitHub makes them.
fn anchors(page: &str) -> Vec<String> {
    let mut in_block = false;
    let mut anchors = Vec::new();
    for line in page.lines() {
        in_block ^= line.starts_with("```");
        let title = line.trim_start_matches('#');
        if in_block || title == line || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        anchors.push(kept.collect::<String>().to_lowercase().replace(' ', "-"));
    }
    anchors
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let link = regex::Regex::new(r"\]\(([^)\s]+)").unwrap();
    let mut pages = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(|name| root().join(name)).to_vec();
    let entries = walkdir::WalkDir::new(root().join("docs")).into_iter().map(|entry| entry.unwrap());
    pages.extend(entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for target in link.captures_iter(&text).map(|c| c[1].to_owned()).filter(|t| !t.contains("://")) {
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            assert!(file.exists(), "{}: {target}", page.display());
            let is_there = || anchors(&fs::read_to_string(&file).unwrap()).iter().any(|name| name == anchor);
            assert!(anchor.is_empty() || is_there(), "{}: no heading for {target}", page.display());
        }
    }
}

/// The first fenced block of a language in a page.
fn block(page: &str, language: &str) -> String {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let (_, rest) = text.split_once(&format!("```{language}\n")).unwrap();
    rest.split("```").next().unwrap().to_owned()
}

#[test]
fn the_configuration_reference_is_accepted_and_is_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("regate.toml");
    fs::write(&path, block("docs/configuration.md", "toml")).unwrap();
    let documented = regate::cli::Configuration::read(Some(&path), std::iter::empty()).unwrap();
    let defaults = regate::cli::Configuration::default();
    assert_eq!(format!("{documented:?}"), format!("{defaults:?}"));
}

#[test]
fn the_references_are_what_the_program_prints() {
    for name in ["configuration", "commands"] {
        let printed = crate::harness::program::run(&root(), &["reference", name], "");
        let page = fs::read_to_string(root().join(format!("docs/{name}.md"))).unwrap();
        let same = printed.status.success() && printed.stdout == page.as_bytes();
        assert!(same, "run: cargo run -- reference {name} > docs/{name}.md");
    }
}

#[test]
fn the_documented_issuer_is_accepted_and_says_the_defaults() {
    let page = fs::read_to_string(root().join("docs/operating/sessions.md")).unwrap();
    let blocks = page.split("```toml\n").map(|rest| rest.split("```").next().unwrap());
    let documented = blocks.filter(|block| block.starts_with("[[issuers]]")).last().unwrap();
    let required = ["[[issuers]]", "issuer =", "keys_url =", "audience =", "algorithms =", "tenant ="];
    let is_required = |line: &&str| required.iter().any(|start| line.starts_with(start));
    let least: Vec<&str> = documented.lines().filter(is_required).collect();
    assert_eq!(least.len(), required.len());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("regate.toml");
    let [documented, least] = [documented.to_owned(), least.join("\n")].map(|toml| {
        fs::write(&path, toml).unwrap();
        let read = regate::cli::Configuration::read(Some(&path), std::iter::empty()).unwrap();
        assert!(read.sessions(std::sync::Arc::new(regate::types::SystemClock)).unwrap().is_some());
        format!("{read:?}")
    });
    assert_eq!(documented, least);
}

#[test]
fn the_import_document_of_the_documentation_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let document = block("docs/operating/data.md", "json");
    let output = crate::harness::program::run(
        folder.path(),
        &["import", "-", "--database-url", "sqlite::memory:"],
        &document,
    );
    assert!(output.status.success(), "{}", crate::harness::program::stderr(&output));
}

#[test]
fn every_code_of_a_problem_is_documented() {
    let page = fs::read_to_string(root().join("docs/api.md")).unwrap();
    let source = fs::read_to_string(root().join("src/api/problem/mod.rs")).unwrap();
    let code = regex::Regex::new(r#""([a-z]+\.[a-z_]+)""#).unwrap();
    let codes: Vec<String> = code.captures_iter(&source).map(|c| c[1].to_owned()).collect();
    assert!(codes.len() >= 11);
    for code in codes {
        assert!(page.contains(&format!("| `{code}` |")), "{code}");
    }
}

#[test]
fn the_examples_of_the_readme_decide_offline() {
    let arguments = ["decide", "--data", "examples/decide.json", "examples/question.json"];
    let output = crate::harness::program::run(&root(), &arguments, "");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), answer["reason"].clone()),
        (Some(0), serde_json::json!("global_token.read"))
    );
    assert!(
        fs::read_to_string(root().join("README.md"))
            .unwrap()
            .contains(&format!("regate {} --explain", arguments.join(" ")))
    );
}

/// The first block of each of two languages below a heading.
fn blocks(page: &str, heading: &str, languages: [&str; 2]) -> [String; 2] {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    languages.map(|language| {
        let (_, rest) = section.split_once(&format!("```{language}\n")).unwrap();
        rest.split("```").next().unwrap().to_owned()
    })
}

#[test]
fn the_example_of_an_explanation_is_what_its_command_prints() {
    let [command, shown] = blocks("docs/policies.md", "Why", ["sh", "text"]);
    let arguments: Vec<&str> = command.split_whitespace().skip(1).chain(["--format", "pretty"]).collect();
    let output = crate::harness::program::run(&root(), &arguments, "");
    assert_eq!(output.status.code(), Some(2));
    let printed = crate::harness::program::stdout(&output);
    for line in shown.lines().filter(|line| line.trim() != "…") {
        assert!(printed.lines().any(|other| other == line), "{line}\n{printed}");
    }
}

#[test]
fn the_readme_imports_what_its_question_needs() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("regate import examples/decide.json\n"));
    assert!(readme.contains("/v1/decide -d @examples/question.json\n"));
    let folder = tempfile::tempdir().unwrap();
    let document = fs::read_to_string(root().join("examples/decide.json")).unwrap();
    let output = crate::harness::program::run(folder.path(), &["import", "-"], &document);
    assert!(output.status.success(), "{}", crate::harness::program::stderr(&output));
    let serving = Serving::start(folder.path(), &[]);
    let question = fs::read(root().join("examples/question.json")).unwrap();
    let answer = send(&serving.address, "POST", "/v1/decide", &[], &question).json();
    assert_eq!(answer["reason"], "global_token.read", "{answer}");
}

#[test]
fn the_builtins_that_are_said_to_be_missing_are() {
    let page = fs::read_to_string(root().join("docs/policies.md")).unwrap();
    assert!(
        page.contains("these are missing: `http.send`, `json.patch`,\nand all of `time.*` and `io.jwt.*`")
    );
    let calls = ["http.send({})", "json.patch({}, [])", "time.parse_rfc3339_ns(\"\")", "io.jwt.decode(\"\")"];
    let rules: String = calls.iter().enumerate().map(|(n, call)| format!("a{n} := {call}\n\n")).collect();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.rego"), format!("package a\n\n{rules}")).unwrap();
    let arguments = ["check", ".", "--entrypoint", "data.a.a0", "--format", "json"];
    let output = crate::harness::program::run(folder.path(), &arguments, "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let missing = findings.filter(|finding| finding["code"].as_str().unwrap().ends_with("-function"));
    assert_eq!(missing.count(), calls.len(), "{report}");
}
