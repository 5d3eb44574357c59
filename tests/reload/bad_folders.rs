//! Whatever is wrong with the folder: the last good bundle decides, one line says what and where, and mending
//! the files is enough.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Scene, TOLD_ALONE, ready, until, write_bundle};
use crate::harness::http::send;

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// What is put into the folder, the stage that refuses it, and words of the message.
type Case = (&'static str, fn(&Path), &'static str, &'static str);

const CASES: &[Case] = &[
    (
        "not Rego",
        |f| fs::write(f.join("bad.rego"), "package bad\n\nx :=\n").unwrap(),
        "compile",
        "bad.rego:4:1",
    ),
    (
        "not UTF-8",
        |f| fs::write(f.join("bad.rego"), b"package bad\n# \xff\n").unwrap(),
        "load",
        "bad.rego: is not UTF-8",
    ),
    ("not JSON", |f| fs::write(f.join("data.json"), "{").unwrap(), "load", "data.json: "),
    ("no rules", |f| fs::remove_file(f.join("rules.rego")).unwrap(), "load", "no .rego file"),
    (
        "tests that are all to do",
        |f| fs::write(f.join("later_test.rego"), "package later\n\ntodo_test_x if false\n").unwrap(),
        "test",
        "no test was run",
    ),
    (
        "no entrypoint",
        |f| fs::write(f.join("rules.rego"), "package other\n\nx := 1\n").unwrap(),
        "compile",
        "no rule at the entrypoint data.regate.decision",
    ),
    (
        "a rule and data at one path",
        |f| fs::write(f.join("data.json"), r#"{"regate": {"decision": true}}"#).unwrap(),
        "compile",
        "regate",
    ),
    (
        "rules that conflict",
        |f| fs::write(f.join("bad.rego"), "package regate\n\ndecision contains 1\n").unwrap(),
        "compile",
        "data.regate.decision",
    ),
    (
        "functions that conflict",
        |f| fs::write(f.join("bad.rego"), "package bad\n\nf(x) := x\n\nf(x, y) := y\n").unwrap(),
        "compile",
        "bad.rego:5:1",
    ),
    (
        "rules that need themselves",
        |f| {
            fs::write(
                f.join("bad.rego"),
                "package regate\n\ndecision := data.regate.a\n\na if b\n\nb if a\n",
            )
            .unwrap();
        },
        "compile",
        "itself",
    ),
    (
        "a function that calls itself, in a test",
        |f| {
            fs::write(f.join("bad_test.rego"), "package bad_test\n\nf(n) := f(n + 1)\n\ntest_f if f(1)\n")
                .unwrap()
        },
        "test",
        "data.bad_test.f -> data.bad_test.f",
    ),
    (
        "a test that does not pass",
        |f| fs::write(f.join("bad_test.rego"), "package bad_test\n\ntest_f if false\n").unwrap(),
        "test",
        "bad_test.rego:3 data.bad_test.test_f",
    ),
    (
        "a test that fails in the engine",
        |f| {
            fs::write(f.join("bad_test.rego"), "package bad_test\n\ntest_f if to_number(\"x\") == 1\n")
                .unwrap()
        },
        "test",
        "bad_test.rego",
    ),
    (
        "a test that does not end",
        |f| {
            let text = "package bad_test\n\ntest_f if {\n\tsome i in numbers.range(1, 10000)\n\tsome j in numbers.range(1, 10000)\n\ti == 0 - j\n}\n";
            fs::write(f.join("bad_test.rego"), text).unwrap();
        },
        "test",
        "bad_test.rego:3",
    ),
    (
        "a file of tests without a test",
        |f| fs::write(f.join("bad_test.rego"), "package bad_test\n\nf := 1\n").unwrap(),
        "test",
        "no test",
    ),
    (
        "a data file beyond the limit",
        |f| fs::write(f.join("data.json"), format!("{{\"large\": \"{}\"}}", "x".repeat(50_000_000))).unwrap(),
        "load",
        "data.json: with this file the bundle is larger than 1000000 bytes ([policy] max_bundle_bytes)",
    ),
    ("a link that leads nowhere", |f| symlink("nowhere", f.join("bad.rego")).unwrap(), "load", "bad.rego: "),
    ("a folder that leads to itself", |f| symlink(".", f.join("loop")).unwrap(), "load", "loop"),
    (
        "a file that leads to itself",
        |f| symlink("bad.rego", f.join("bad.rego")).unwrap(),
        "load",
        "bad.rego: ",
    ),
    ("a pipe", |f| fifo(&f.join("bad.rego")), "load", "bad.rego: is not a regular file"),
    (
        "a device",
        |f| symlink("/dev/zero", f.join("data.json")).unwrap(),
        "load",
        "data.json: is not a regular file",
    ),
    ("no folder", |f| fs::rename(f, f.with_file_name("elsewhere")).unwrap(), "load", "policies: "),
];

#[test]
fn each_is_refused_with_one_clear_line_and_mended_by_mending_the_files() {
    let toml = "[policy]\ncheck_interval = \"50ms\"\nmax_bundle_bytes = 1000000\nmax_test_time = \"500ms\"\n";
    let scene = Scene::start(&format!("{toml}[metrics]\nlisten = \"127.0.0.1:0\"\n"));
    let metrics = scene.serving.metrics_address();
    let folder = scene.path("policies");
    let failures = || {
        let state = scene.policies();
        state["attempts"].as_u64().unwrap() - state["activations"].as_u64().unwrap()
    };
    // What is not of the bundle is not looked at.
    fifo(&folder.join("notes.txt"));
    for (name, spoil, stage, words) in CASES {
        let (said, failed) = (scene.refusals(), failures());
        spoil(&folder);
        let failure = until(|| scene.policies()["failure"].clone(), |failure| failure["stage"] == *stage);
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains(words), "{name}: {message}");
        let file = failure["file"].as_str().unwrap_or_default();
        assert!(
            message.contains(file) && (file.contains("policies") || *stage != "load"),
            "{name}: {failure}"
        );
        assert_eq!(scene.decided_by(), "A", "{name}");
        let (status, body) = ready(&scene.serving.address);
        assert_eq!((status, &body["policy"]["problem"]), (200, &Value::from(*stage)), "{name}");
        assert_eq!(failures(), failed + 1, "{name}");
        // It stays the same through some looks and calls, and is said once.
        let looked = Instant::now();
        while looked.elapsed() < Duration::from_millis(200) {
            scene.policies();
        }
        assert_eq!(scene.refusals(), said + 1, "{name}: {}", scene.serving.log());
        let numbers = send(&metrics, "GET", "/metrics", &[], b"");
        let numbers = String::from_utf8(numbers.body).unwrap();
        for line in [
            "regate_policy_failing 1.0",
            &format!("regate_policy_activation_failures_total {}.0", failed + 1),
        ] {
            assert!(numbers.contains(line), "{name}: {numbers}");
        }

        fs::remove_dir_all(&folder).ok();
        // That there is none for a moment may be seen as one more failure.
        write_bundle(&scene.path("new"), "A");
        fs::rename(scene.path("new"), &folder).unwrap();
        until(
            || scene.policies(),
            |policies| {
                policies["failure"].is_null() && policies["active"]["files"].as_array().unwrap().len() == 2
            },
        );
        assert_eq!(scene.decided_by(), "A");
    }
    let numbers = String::from_utf8(send(&metrics, "GET", "/metrics", &[], b"").body).unwrap();
    assert!(numbers.contains("regate_policy_failing 0.0"), "{numbers}");
    assert!(numbers.contains("regate_policy_watching 1.0"), "{numbers}");
    assert!(numbers.contains("regate_policy_active_since_seconds 1"), "{numbers}");
}

#[test]
fn a_large_data_file_is_loaded_and_not_read_at_each_look() {
    const LARGE: u64 = 50_000_000;
    let folder = tempfile::tempdir().unwrap();
    write_bundle(&folder.path().join("policies"), "A");
    let scene = Scene::over(folder, "[policy]\ncheck_interval = \"20ms\"\n", &["--policies", "policies"]);
    let large = format!("{{\"large\": \"{}\"}}", "x".repeat(usize::try_from(LARGE).unwrap()));
    fs::write(scene.path("large.json"), large).unwrap();
    fs::rename(scene.path("large.json"), scene.path("policies/data.json")).unwrap();
    until(|| scene.policies()["active"]["files"].as_array().unwrap().len(), |files| *files == 3);
    let read = || {
        let text = fs::read_to_string(format!("/proc/{}/io", scene.serving.process())).unwrap();
        let (_, rest) = text.split_once("rchar: ").unwrap();
        rest.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    let (before, begun) = (read(), Instant::now());
    while begun.elapsed() < Duration::from_millis(1_500) {
        assert_eq!(scene.decided_by(), "A");
    }
    // Some 70 looks, of which each tenth reads.
    let count = (read() - before) / LARGE;
    assert!(count < 15, "the file was read {count} times");
    assert_eq!(scene.refusals(), 0);
}

#[test]
fn a_start_from_a_bad_folder_ends_with_the_message() {
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    for (name, spoil, _, words) in CASES.iter().filter(|(name, ..)| !name.contains("does not end")) {
        fs::remove_dir_all(&policies).ok();
        write_bundle(&policies, "A");
        spoil(&policies);
        fs::write(folder.path().join("regate.toml"), "[policy]\nmax_bundle_bytes = 1000000\n").unwrap();
        let arguments = ["--demo", "--policies", "policies", "--config", "regate.toml"];
        let started = crate::harness::program::Serving::try_start(folder.path(), &arguments);
        let (code, log) = started.err().unwrap_or_else(|| panic!("{name}: it started"));
        assert_eq!(code, Some(3), "{name}: {log}");
        // The message is indented below the first line.
        assert!(log.contains(words), "{name}: {log}");
    }
}

#[test]
fn what_is_bad_in_a_row_is_told_apart() {
    let scene = Scene::start(TOLD_ALONE);
    let bad = scene.path("policies/bad.rego");
    for (text, line) in [("package bad\nx :=\n", 3), ("package bad\n\n\nx :=\n", 5)] {
        fs::write(&bad, text).unwrap();
        let failure = until(|| scene.policies()["failure"].clone(), |failure| failure["line"] == line);
        assert_eq!(failure["file"], "policies/bad.rego");
        assert_eq!(failure["column"], 1);
        assert_eq!(failure["revision"].as_str().unwrap().len(), 64);
    }
    until(|| scene.refusals(), |refusals| *refusals == 2);
    // Only somebody who may is shown a line of the file.
    assert!(!ready(&scene.serving.address).1.to_string().contains("bad"));
}

/// A link may lead to a file that is not for everybody who reads the log or asks the API.
#[test]
fn lines_of_files_are_not_shown_to_others() {
    let scene = Scene::start(TOLD_ALONE);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("shadow"), "root:$6$SALTSECRET$:20228:0:99999:7:::\n").unwrap();
    std::os::unix::fs::symlink(outside.path().join("shadow"), scene.path("policies/x.rego")).unwrap();
    let failure = scene.wait_for_failure("compile");
    assert!(failure["file"].as_str().unwrap().ends_with("x.rego"), "{failure}");
    let reload = scene.call("POST", "/v1/policies/reload", "operator").json();
    for shown in [failure.to_string(), scene.policies().to_string(), reload.to_string(), scene.serving.log()]
    {
        assert!(!shown.contains("SALTSECRET"), "{shown}");
    }
}
