//! The commands of a page, and what it shows of their output.

use std::process::{Command, Output};

use regex::Regex;

/// A block of commands.
pub struct Block {
    /// The line of the page that it begins in.
    pub line: usize,
    /// Its commands: lines, and several lines where one command has them.
    pub commands: Vec<String>,
    /// What the page shows directly behind it.
    pub shown: Option<Shown>,
}

/// Output that a page shows.
pub enum Shown {
    /// In a block of `json`.
    Json(String),
    /// In a block of `text`.
    Text(String),
}

/// The languages of blocks that are commands.
const COMMANDS: [&str; 4] = ["sh", "bash", "console", "shell"];

/// All blocks of commands, in their order.
pub fn blocks(page: &str) -> Vec<Block> {
    let fences = fences(page);
    let mut found = Vec::new();
    for (place, fence) in fences.iter().enumerate() {
        if !COMMANDS.contains(&fence.language) {
            // What begins with the name of a file is that file.
            found.extend(file(fence).map(|command| Block {
                line: fence.line,
                commands: vec![command],
                shown: None,
            }));
            continue;
        }
        let behind = fences.get(place + 1).filter(|next| next.is_directly_behind);
        let shown = behind.and_then(|next| match next.language {
            "json" => Some(Shown::Json(next.text.clone())),
            "text" => Some(Shown::Text(next.text.clone())),
            _ => None,
        });
        found.push(Block { line: fence.line, commands: commands(&fence.text), shown });
    }
    found
}

/// The command that makes the file which the first line names, `# policies/archive.rego`.
fn file(fence: &Fence<'_>) -> Option<String> {
    let name = Regex::new(r"^# ([0-9A-Za-z_./-]+\.[a-z]+)\n").unwrap().captures(&fence.text)?[1].to_owned();
    Some(format!("mkdir -p \"$(dirname {name})\"\ncat > {name} <<'THE_FILE'\n{}THE_FILE", fence.text))
}

/// Whether a page has commands at all.
pub fn has_commands(page: &str) -> bool {
    fences(page).iter().any(|fence| COMMANDS.contains(&fence.language))
}

struct Fence<'a> {
    language: &'a str,
    line: usize,
    text: String,
    /// Nothing but empty lines stands between it and the one before.
    is_directly_behind: bool,
}

fn fences(page: &str) -> Vec<Fence<'_>> {
    let mut found: Vec<Fence<'_>> = Vec::new();
    let (mut open, mut is_directly_behind) = (false, false);
    for (number, line) in page.lines().enumerate() {
        // Also within a list, where it is set in.
        match (line.trim_start().strip_prefix("```"), open) {
            (Some(language), false) => {
                open = true;
                found.push(Fence { language, line: number + 1, text: String::new(), is_directly_behind });
            }
            (Some(_), true) => (open, is_directly_behind) = (false, true),
            (None, true) => {
                let fence = found.last_mut().expect("an open one");
                fence.text.push_str(line);
                fence.text.push('\n');
            }
            (None, false) if line.trim().is_empty() => {}
            (None, false) => is_directly_behind = false,
        }
    }
    assert!(!open, "a block does not end");
    found
}

/// Each ends where the shell says that nothing is open any more.
fn commands(text: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut command = String::new();
    for line in text.lines() {
        if !command.is_empty() {
            command.push('\n');
        }
        command.push_str(line);
        let read = || Command::new("bash").args(["-n", "-c", &command]).output().expect("bash starts");
        // Of a here-document that does not end it warns.
        let is_whole = |read: Output| read.status.success() && read.stderr.is_empty();
        if !line.ends_with('\\') && is_whole(read()) {
            commands.push(std::mem::take(&mut command));
        }
    }
    assert!(command.is_empty(), "a command does not end: {command}");
    commands.retain(|command| !command.trim().is_empty() && !command.trim_start().starts_with('#'));
    commands
}

#[test]
fn commands_end_where_the_shell_says() {
    let page = "Text.\n\n```sh\na 'b\nc'  # it's\n\nf() {\n  x\n}\nd \\\n  e\ncat > f <<'EOF'\ng 'h\nEOF\n# i\nj \"k\\\"l\"\n```\n\n```json\n{}\n```\n\n\
                ```sh\nm\n```\n\nText.\n\n```text\nn\n```\n\n```toml\n# a.toml\nx = 1\n```\n";
    const FILE: &str = "mkdir -p \"$(dirname a.toml)\"\ncat > a.toml <<'THE_FILE'\n# a.toml\nx = 1\nTHE_FILE";
    let found = blocks(page);
    let commands: Vec<&str> = found.iter().flat_map(|block| &block.commands).map(String::as_str).collect();
    let expected = [
        "a 'b\nc'  # it's",
        "f() {\n  x\n}",
        "d \\\n  e",
        "cat > f <<'EOF'\ng 'h\nEOF",
        "j \"k\\\"l\"",
        "m",
        FILE,
    ];
    assert_eq!(commands, expected);
    assert!(matches!(&found[0].shown, Some(Shown::Json(text)) if text == "{}\n") && found[0].line == 3);
    assert!(found[1].shown.is_none(), "what it says stands between");
}
