//! The house: no room uses what the table in `docs/architecture.md` does not name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

struct Room {
    may_use: Vec<String>,
    crates: Vec<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The table's rows, by the room's name.
fn table() -> BTreeMap<String, Room> {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let names = |cell: &str| -> Vec<String> {
        Regex::new("`([a-z0-9_:]+)`").unwrap().captures_iter(cell).map(|c| c[1].to_owned()).collect()
    };
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [name, _, may_use, crates] = cells[..] else { panic!("a row of {} cells: {row}", cells.len()) };
        let mut may_use_names = names(may_use);
        if may_use.trim() == "everything" {
            may_use_names.push("everything".to_owned());
        }
        (names(name).remove(0), Room { may_use: may_use_names, crates: names(crates) })
    })
    .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

/// A file's code without comments, so that a comment may name any room.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Every `crate::a::b` of a text, also those within `use crate::{a::b, c}`.
fn uses(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.insert(first_two(rest)),
            Some(group) => {
                let (mut depth, mut item) = (0, String::new());
                for c in group.chars() {
                    match c {
                        '}' if depth == 0 => break,
                        ',' if depth == 0 => {
                            found.insert(first_two(item.trim()));
                            item.clear();
                        }
                        _ => {
                            depth += i32::from(c == '{') - i32::from(c == '}');
                            item.push(c);
                        }
                    }
                }
                found.insert(first_two(item.trim()))
            }
        };
    }
    found.retain(|path| !path.is_empty());
    found
}

/// The first two names of a path.
fn first_two(path: &str) -> String {
    let names: Vec<&str> = path
        .split("::")
        .map(|p| p.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
        .collect();
    names.into_iter().take(2).take_while(|n| !n.is_empty()).collect::<Vec<_>>().join("::")
}

#[test]
fn the_table_and_the_source_have_the_same_rooms() {
    let rooms: BTreeSet<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(rooms, table().into_keys().collect());
}

#[test]
fn every_room_says_what_it_is_for_and_what_it_must_never_know() {
    for room in table().keys() {
        let text = fs::read_to_string(root().join("src").join(room).join("mod.rs")).unwrap();
        for word in ["//! **For:**", "//! **Must never know:**"] {
            assert!(text.contains(word), "src/{room}/mod.rs does not open with {word}");
        }
    }
}

#[test]
fn no_room_uses_a_room_that_its_row_does_not_name() {
    for (name, room) in table() {
        if room.may_use.iter().any(|may| may == "everything") {
            continue;
        }
        for file in rust_files(&root().join("src").join(&name)) {
            for used in uses(&code(&file)) {
                let other = used.split("::").next().unwrap();
                let allowed = other == name || room.may_use.iter().any(|may| *may == other || *may == used);
                assert!(
                    allowed,
                    "{} uses crate::{used}, which the row of `{name}` does not name",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn no_crate_is_used_outside_its_room() {
    for (name, room) in table() {
        for used in &room.crates {
            let mention = Regex::new(&format!(r"(^|[^A-Za-z0-9_:.]){used}::")).unwrap();
            let import = Regex::new(&format!(r"(?m)^\s*(pub )?use {used}[:;]")).unwrap();
            for file in rust_files(&root().join("src")) {
                if file.starts_with(root().join("src").join(&name)) {
                    continue;
                }
                let code = code(&file);
                let found = mention.is_match(&code) || import.is_match(&code);
                assert!(!found, "{} uses {used}, which lives in `{name}` alone", file.display());
            }
        }
    }
}

#[test]
fn this_test_sees_what_it_looks_for() {
    let sample = "use crate::{\n    a::{b, c},\n    d,\n};\nuse crate::e::f::g;\nlet x = crate::h::i();";
    let expected = ["a", "d", "e::f", "h::i"].map(String::from);
    assert_eq!(uses(sample).into_iter().collect::<Vec<_>>(), expected);
    let sample = "use crate::{decision::facts::Fact, types::TenantId};";
    assert_eq!(uses(sample).into_iter().collect::<Vec<_>>(), ["decision::facts", "types::TenantId"]);
}
