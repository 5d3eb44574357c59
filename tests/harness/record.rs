//! What a whole run of the tests answered, logged and stored, kept so that it can be searched for secrets afterwards.
//!
//! `./test` names the folder in `REGATE_TEST_RECORD` and searches it when the tests are over; without that nothing
//! is kept. What is never there to begin with: the one answer that shows a token, and the headers that a gateway is told
//! to set, at the places where they stand.
//!
//! The search knows tokens and JWTs by their form. A test that gives an upstream credential puts `upstream-secret` into
//! it, so that it is found as well.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::PathBuf,
    sync::{Mutex, OnceLock},
};

fn folder() -> Option<PathBuf> {
    // An empty name would be the folder that the tests run in.
    std::env::var_os("REGATE_TEST_RECORD").filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

fn append(name: &str, bytes: &[u8]) {
    static FILES: OnceLock<Mutex<Vec<(String, File)>>> = OnceLock::new();
    let Some(folder) = folder() else { return };
    let mut files = FILES.get_or_init(Mutex::default).lock().unwrap();
    let place = files.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
        let path = folder.join(format!("{name}-{}", std::process::id()));
        files.push((name.to_owned(), OpenOptions::new().create(true).append(true).open(path).unwrap()));
        files.len() - 1
    });
    let file = &mut files[place].1;
    file.write_all(bytes).unwrap();
    file.write_all(b"\n").unwrap();
}

/// Keeps an answer.
pub fn answer(status: u16, bytes: &[u8]) {
    let text = without_headers_to_set(&String::from_utf8_lossy(bytes));
    let text = without_credential_headers(&text);
    // The one place where a token is shown.
    match (status, text.split_once("\"token\":\"")) {
        (201, Some((before, rest))) => {
            let after = rest.split_once('"').map_or("", |(_, after)| after);
            append("answers", format!("{before}\"token\":\"{after}").as_bytes());
        }
        _ => append("answers", text.as_bytes()),
    }
}

/// Where an answer names headers to set: that of a decision, and what an OPA plugin reads of an allow.
const HEADERS_TO_SET: [&str; 2] = ["\"headers\":{\"set\":{", "{\"result\":{\"allow\":true,\"headers\":{"];

/// The answer without what the headers to set hold: texts, and nothing deeper.
fn without_headers_to_set(text: &str) -> String {
    HEADERS_TO_SET.iter().fold(text.to_owned(), |text, place| {
        let mut kept = String::new();
        let mut rest = text.as_str();
        while let Some((before, behind)) = rest.split_once(place) {
            kept.push_str(before);
            rest = behind.split_once('}').map_or("", |(_, after)| after);
        }
        kept + rest
    })
}

/// The answer without the headers that tell a gateway which credential goes on.
fn without_credential_headers(text: &str) -> String {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let is_told = |line: &str| {
        let line = line.to_ascii_lowercase();
        line.starts_with("authorization:") || line.starts_with("x-api-key:")
    };
    let kept: Vec<&str> = head.split("\r\n").filter(|line| !is_told(line)).collect();
    format!("{}\r\n\r\n{body}", kept.join("\r\n"))
}

/// Keeps what a process logged.
pub fn log(text: &str) {
    append("logs", text.as_bytes());
}

/// Keeps what a database's file holds.
pub fn rows(bytes: &[u8]) {
    append("rows", bytes);
}
