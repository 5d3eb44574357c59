//! `./proof`, the command that prints the tables of what regate promises: what it says that it runs is there.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use walkdir::WalkDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn proof(arguments: &[&str]) -> Output {
    Command::new("./proof").args(arguments).current_dir(ROOT).output().expect("bash is there")
}

/// The commands that it would run, each behind its name.
fn listed(arguments: &[&str]) -> Vec<(String, String)> {
    let output = proof(&[arguments, &["--list"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let split = |line: &str| line.split_once(": ").map(|(name, what)| (name.to_owned(), what.to_owned()));
    text.lines()
        .map(|line| split(line).unwrap_or_else(|| panic!("not a name and a command: {line}")))
        .collect()
}

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn help_names_every_option() {
    let output = proof(&["--help"]);
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    let script = file("proof");
    let options = script.lines().filter_map(|line| line.trim_start().strip_prefix("--")?.split_once(')'));
    let mut found = 0;
    for (option, _) in options {
        let option = option.split(' ').next().unwrap_or(option);
        assert!(help.contains(&format!("--{option}")), "--help does not name --{option}");
        found += 1;
    }
    assert!(found >= 6, "the script's options were not found");
    for part in ["speed", "unbroken"] {
        assert!(help.contains(part), "--help does not name the part {part}");
    }
}

#[test]
fn what_it_would_run_is_there() {
    let benchmarks = file("benches/decisions/main.rs");
    let listed = listed(&[]);
    for (name, command) in &listed {
        let words: Vec<&str> = command.split(' ').collect();
        let behind = words.iter().position(|word| *word == "--").map(|at| words[at + 1]);
        match words[..] {
            ["cargo", "bench", ..] => {
                let word = behind.expect("the benchmark's name");
                assert!(benchmarks.contains(&format!("[\"{word}\"")), "{name}: no benchmark {word}");
            }
            ["cargo", "test", ..] => {
                let word = behind.expect("which tests");
                let named =
                    |entry: &walkdir::DirEntry| entry.path().file_stem().is_some_and(|stem| stem == word);
                let mut entries = WalkDir::new(Path::new(ROOT).join("tests")).into_iter().flatten();
                assert!(entries.any(|entry| named(&entry)), "{name}: no tests {word}");
            }
            ["cargo", "deny", ..] => drop(file("deny.toml")),
            ["cargo", "audit", ..] => drop(file("Cargo.lock")),
            [program, ..] => {
                let metadata = fs::metadata(Path::new(ROOT).join(program));
                let mode = metadata
                    .unwrap_or_else(|error| panic!("{name}: {program}: {error}"))
                    .permissions()
                    .mode();
                assert!(mode & 0o111 != 0, "{name}: {program} cannot be run");
            }
            [] => panic!("{name}: no command"),
        }
    }
    assert!(listed.len() >= 8, "{listed:?}");
}

#[test]
fn parts_and_durations_are_chosen() {
    let names =
        |arguments: &[&str]| -> Vec<String> { listed(arguments).into_iter().map(|(name, _)| name).collect() };
    let (speed, unbroken) = (names(&["--only", "speed"]), names(&["--only", "unbroken"]));
    assert_eq!(names(&[]), [speed.clone(), unbroken.clone()].concat());
    assert!(speed.contains(&"growth".to_owned()) && unbroken.contains(&"soak".to_owned()));
    let durations = |arguments: &[&str]| -> String {
        listed(arguments).into_iter().map(|(_, command)| command + "\n").collect()
    };
    let usual = durations(&[]);
    assert!(usual.contains("--minutes 30 ") && usual.contains("fuzz/run 600\n"), "{usual}");
    let chosen = durations(&["--minutes", "7", "--fuzz-seconds", "9"]);
    assert!(chosen.contains("--minutes 7 ") && chosen.contains("fuzz/run 9\n"), "{chosen}");
    assert!(durations(&["--quick"]).contains("speed --output"), "{chosen}");
    assert_eq!(durations(&["--quick"]).matches(" --quick").count(), 2);
}

#[test]
fn what_it_does_not_know_is_refused() {
    for arguments in [
        &["--fast"][..],
        &["--only", "slow"],
        &["--minutes", "some"],
        &["--fuzz-seconds", "0"],
        &["--minutes"],
    ] {
        let output = proof(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--help"), "{arguments:?}");
    }
}
