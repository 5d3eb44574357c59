//! What the threat model names is there: each test by its full name, and each file.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use regex::Regex;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The names of all tests of this binary, as it lists them.
fn integration_tests() -> BTreeSet<String> {
    let output = Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

/// Whether a test of this name stands in the source of the library, which another binary tests.
fn is_unit_test(name: &str) -> bool {
    let mut modules: Vec<&str> = name.split("::").collect();
    let function = modules.pop().unwrap();
    let attribute = format!(r"#\[(tokio::)?test[^\]]*\]\s*(#\[[^\]]*\]\s*)*(async )?fn {function}\(");
    let test = Regex::new(&attribute).unwrap();
    let has_it = |path: PathBuf| fs::read_to_string(path).is_ok_and(|text| test.is_match(&text));
    let within = |modules: &[&str]| {
        let place = modules.iter().fold(root().join("src"), |path, module| path.join(module));
        has_it(place.with_extension("rs")) || has_it(place.join("mod.rs"))
    };
    within(&modules) || modules.last() == Some(&"tests") && within(&modules[..modules.len() - 1])
}

#[test]
fn every_test_and_every_file_that_the_threat_model_names_is_there() {
    let page = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let listed = integration_tests();
    let name = Regex::new("`([a-z0-9_]+(?:::[a-z0-9_]+)+)`").unwrap();
    let mut named = 0;
    for name in name.captures_iter(&page).map(|found| found[1].to_owned()) {
        assert!(listed.contains(&name) || is_unit_test(&name), "no test {name}");
        if name.contains("::postgres::") {
            assert!(listed.contains(&name.replace("::postgres::", "::sqlite::")), "{name} on SQLite");
        }
        named += 1;
    }
    assert!(named > 100, "{named}");

    let file = Regex::new("`((?:src|policy-tests|tests)/[a-z0-9_/-]+[.][a-z]+)`").unwrap();
    for path in file.captures_iter(&page).map(|found| found[1].to_owned()) {
        assert!(root().join(&path).is_file(), "no file {path}");
    }
}

#[test]
fn every_threat_of_the_model_has_what_stops_it_and_a_test_or_the_word_that_there_is_none() {
    let page = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let mut rows = 0;
    for table in page.split("\n| they would | what stops them | test |\n|---|---|---|\n").skip(1) {
        for row in table.lines().take_while(|line| line.starts_with('|')) {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            let [_, stops, tests] = cells[..] else { panic!("a row of {} cells: {row}", cells.len()) };
            assert!(!stops.is_empty() && (tests == "no test" || tests.contains("::")), "{row}");
            rows += 1;
        }
    }
    assert!(rows > 50, "{rows}");
}

/// So that the two above can fail.
#[test]
fn a_test_that_is_not_there_is_not_found() {
    assert!(is_unit_test("decision::path::tests::no_input_panics"));
    assert!(!is_unit_test("decision::path::tests::no_such_test"));
    assert!(!is_unit_test("decision::verdict::tests::no_input_panics"));
    let here = concat!(module_path!(), "::a_test_that_is_not_there_is_not_found");
    let (_, here) = here.split_once("::").unwrap();
    assert!(integration_tests().contains(here), "{here}");
}
