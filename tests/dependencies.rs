//! The parts that others wrote are those that are said, and none of ours is `unsafe`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use regex::Regex;
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What regate itself names in `Cargo.toml`, with licences: for this machine's system, since no other's was fetched.
fn direct() -> BTreeMap<String, String> {
    let version = String::from_utf8(cargo(&["-vV"])).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host];
    let metadata: Value = serde_json::from_slice(&cargo(&arguments)).unwrap();
    let packages: BTreeMap<&str, &Value> =
        metadata["packages"].as_array().unwrap().iter().map(|p| (p["id"].as_str().unwrap(), p)).collect();
    let own = metadata["resolve"]["root"].as_str().unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let node = nodes.iter().find(|node| node["id"] == own).unwrap();
    let dependencies = node["deps"].as_array().unwrap().iter().map(|dependency| {
        let package = packages[dependency["pkg"].as_str().unwrap()];
        (package["name"].as_str().unwrap().to_owned(), package["license"].as_str().unwrap().to_owned())
    });
    dependencies.collect()
}

#[test]
fn the_page_names_every_dependency_with_its_licence_and_no_other() {
    let page = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let row = Regex::new(r"(?m)^\| `([A-Za-z0-9_-]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$").unwrap();
    let listed: Vec<(String, String)> =
        row.captures_iter(&page).map(|cells| (cells[1].to_owned(), cells[4].to_owned())).collect();
    let count = listed.len();
    let listed: BTreeMap<String, String> = listed.into_iter().collect();
    assert_eq!(listed.len(), count, "a crate is listed twice");
    assert_eq!(listed, direct());
}

/// The words of a text, without what comments say.
fn words(text: &str) -> BTreeSet<&str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).collect()
}

/// All Rust files of the project.
fn rust_files() -> Vec<PathBuf> {
    let ours = ["src", "tests", "benches", "fuzz", "build.rs"].map(|name| root().join(name));
    let entries = ours.iter().filter(|path| path.exists()).flat_map(|path| {
        let built = |entry: &walkdir::DirEntry| entry.file_name() == "target";
        walkdir::WalkDir::new(path).into_iter().filter_entry(move |entry| !built(entry)).map(Result::unwrap)
    });
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    entries.map(walkdir::DirEntry::into_path).filter(is_rust).collect()
}

#[test]
fn nothing_of_ours_is_unsafe() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, lints) = manifest.split_once("\n[lints.rust]\n").unwrap();
    let lints = lints.split("\n[").next().unwrap();
    assert!(lints.lines().any(|line| line == "unsafe_code = \"forbid\""), "{lints}");

    // The lint looks at what is compiled: not at code for other systems, nor at what a macro of another crate makes.
    let files = rust_files();
    assert!(files.len() > 400, "{}", files.len());
    let this_file = Path::new(file!());
    for path in files.iter().filter(|path| !path.ends_with(this_file)) {
        assert!(!words(&fs::read_to_string(path).unwrap()).contains("unsafe"), "{}", path.display());
    }
}

#[test]
fn all_parts_come_from_one_registry_as_they_were_looked_at() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let packages: Vec<&str> = lock.split("[[package]]\n").skip(1).collect();
    assert!(packages.len() > 100);
    for package in packages.iter().filter(|package| !package.starts_with("name = \"regate\"")) {
        assert!(
            package.contains("source = \"registry+https://github.com/rust-lang/crates.io-index\"\n"),
            "{package}"
        );
        assert!(package.contains("\nchecksum = \""), "{package}");
    }
}
