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
    std::env::var_os("REGATE_TEST_RECORD").map(PathBuf::from)
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
    // The one place where a token is shown.
    match (status, text.split_once("\"token\":\"")) {
        (201, Some((before, rest))) => {
            let after = rest.split_once('"').map_or("", |(_, after)| after);
            append("answers", format!("{before}\"token\":\"{after}").as_bytes());
        }
        _ => append("answers", text.as_bytes()),
    }
}

/// The answer without what `headers.set` holds: texts, and nothing deeper.
fn without_headers_to_set(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("\"headers\":{\"set\":{") {
        kept.push_str(before);
        rest = behind.split_once('}').map_or("", |(_, after)| after);
    }
    kept + rest
}

/// Keeps what a process logged.
pub fn log(text: &str) {
    append("logs", text.as_bytes());
}

/// Keeps what a database's file holds.
pub fn rows(bytes: &[u8]) {
    append("rows", bytes);
}
