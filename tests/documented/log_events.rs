//! The table of log lines is what the code logs.

use std::{fs, path::Path};

use regex::Regex;

/// Between these the page has the table, and around it what people wrote.
const BEGINS: &str = "| level | target | line | fields |\n|---|---|---|---|\n";

struct Event {
    level: String,
    target: String,
    message: String,
    fields: Vec<String>,
}

#[test]
fn the_page_names_every_line_and_its_fields() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut rows: Vec<String> = Vec::new();
    for entry in walkdir::WalkDir::new(root.join("src")).sort_by_file_name() {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|end| end == "rs") {
            let module = path.strip_prefix(root.join("src")).unwrap().with_extension("");
            let module = module.to_str().unwrap().trim_end_matches("/mod").replace('/', "::");
            let text = fs::read_to_string(&path).unwrap();
            rows.extend(events(&text, &format!("regate::{module}")).iter().map(row));
        }
    }
    assert!(rows.len() > 80, "{}", rows.len());
    rows.sort();
    rows.dedup();
    let expected = rows.concat();
    let page = fs::read_to_string(root.join("docs/operating/log-lines.md")).unwrap();
    let (_, table) = page.split_once(BEGINS).expect("the page has the table");
    let written: String =
        table.lines().take_while(|line| line.starts_with('|')).map(|line| format!("{line}\n")).collect();
    assert!(written == expected, "the table of docs/operating/log-lines.md has to be:\n{BEGINS}{expected}");
}

fn row(event: &Event) -> String {
    let fields: Vec<String> = event.fields.iter().map(|field| format!("`{field}`")).collect();
    let message = event.message.replace('|', "\\|");
    format!("| {} | `{}` | {message} | {} |\n", event.level, event.target, fields.join(", "))
}

fn events(text: &str, module: &str) -> Vec<Event> {
    let call = Regex::new(r"tracing::(error|warn|info)!\(").unwrap();
    // The next line of a text begins where its words do.
    let next_line = Regex::new(r"\\\n\s*").unwrap();
    let found = call.captures_iter(text).map(|call| {
        let mut event = Event {
            level: call[1].to_owned(),
            target: module.to_owned(),
            message: String::new(),
            fields: Vec::new(),
        };
        for argument in arguments(&text[call.get(0).unwrap().end()..]) {
            if let Some(message) = argument.strip_prefix('"') {
                event.message = next_line.replace_all(message.trim_end_matches('"'), "").into_owned();
            } else if let Some(target) = argument.strip_prefix("target:") {
                event.target = target.trim().trim_matches('"').to_owned();
            } else {
                let name = argument.split('=').next().unwrap().trim().trim_start_matches(['%', '?']);
                event.fields.push(name.to_owned());
            }
        }
        event
    });
    found.collect()
}

/// Up to the bracket that ends them.
fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut in_text, mut before) = (0, false, ' ');
    let mut arguments = vec![String::new()];
    for c in text.chars() {
        match c {
            '"' if before != '\\' => in_text = !in_text,
            '(' | '[' | '{' if !in_text => depth += 1,
            ')' if !in_text && depth == 0 => break,
            ')' | ']' | '}' if !in_text => depth -= 1,
            ',' if !in_text && depth == 0 => {
                arguments.push(String::new());
                before = c;
                continue;
            }
            _ => {}
        }
        arguments.last_mut().unwrap().push(c);
        before = c;
    }
    arguments
        .into_iter()
        .map(|argument| argument.trim().to_owned())
        .filter(|argument| !argument.is_empty())
        .collect()
}
