//! `examples/systemd`: the unit as systemd's own program reads it, and regate with what the unit gives it.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use super::{LONGEST_END, example, read, root, seconds, write_policy_tests};
use crate::harness::{
    http::send,
    program::{REGATE, Serving, run, stderr, stdout},
    supervised::program,
};

const INSTALL: &str = "the tests need systemd's programs, and are never skipped without: install them, on Debian with \
    `apt-get install systemd`";

/// The values of a key of the unit, in their order.
fn values(unit: &str, key: &str) -> Vec<String> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(name, _)| *name == key).map(|(_, value)| value.to_owned()).collect()
}

fn unit() -> String {
    read(example("systemd/regate.service"))
}

/// systemd's program about the unit, with the program that was built in place of the installed one.
fn analyze(arguments: &[&str], unit: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("regate.service");
    fs::write(&path, unit.replace("/usr/local/bin/regate", REGATE)).unwrap();
    Command::new(program("systemd-analyze", INSTALL)).args(arguments).arg(&path).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", stdout(output), stderr(output))
}

#[test]
fn systemd_reads_the_unit_and_finds_little_open() {
    let verified = analyze(&["verify", "--man=no"], &unit());
    assert!(verified.status.success() && said(&verified).is_empty(), "{}", said(&verified));
    // In tenths, as the page says it.
    let page = read(example("systemd/README.md"));
    let (_, score) = page.split_once("exposure ").unwrap();
    let score = score.split(' ').next().unwrap().replace('.', "");
    let threshold = format!("--threshold={score}");
    let security = ["security", "--offline=yes", "--no-pager", &threshold];
    let scored = analyze(&security, &unit());
    assert!(scored.status.success(), "{}", said(&scored));

    // Both can fail.
    let misspelt = analyze(&["verify", "--man=no"], &unit().replace("ProtectHome=", "ProtectHomes="));
    assert!(said(&misspelt).contains("ProtectHomes"), "{}", said(&misspelt));
    let open = analyze(&security, &unit().replace("PrivateUsers=yes\n", "").replace("ProtectHome=yes\n", ""));
    assert!(!open.status.success());
}

/// Starts a program that can make no memory executable that was written: `MemoryDenyWriteExecute` of systemd, as far as a
/// process can do it to itself. (A kernel before 6.3 does not know it.)
const NO_NEW_CODE: &str =
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])";

#[test]
fn regate_runs_with_what_the_unit_gives_it() {
    let unit = unit();
    let folder = tempfile::tempdir().unwrap();
    let here = |text: &str| {
        let root = folder.path().to_str().unwrap();
        text.replace("/etc/regate", &format!("{root}/etc"))
            .replace("/var/lib/regate", &format!("{root}/state"))
    };
    for name in ["etc", "state", "credentials"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let toml = read(example("systemd/regate.toml"));
    let [stop] = &values(&unit, "TimeoutStopSec")[..] else { panic!("one TimeoutStopSec") };
    assert!(stop.parse::<u64>().unwrap() > seconds(&toml, "drain_delay") + LONGEST_END);
    let configuration = here(&toml)
        .replace("drain_delay = \"5s\"", "drain_delay = \"0s\"")
        .replace("127.0.0.1:9464", "127.0.0.1:0");
    fs::write(folder.path().join("etc/regate.toml"), &configuration).unwrap();
    std::os::unix::fs::symlink(root().join("policies"), folder.path().join("etc/policies")).unwrap();
    write_policy_tests(&folder.path().join("etc/policy-tests"));
    // As the page has it, with a database that is at hand.
    let new_key = run(folder.path(), &["credentials", "new-key", "--output", "etc/keys"], "");
    assert!(new_key.status.success(), "{}", stderr(&new_key));
    let url = format!("sqlite://{}/state/regate.sqlite", folder.path().display());
    fs::write(folder.path().join("etc/database-url"), url).unwrap();
    for credential in values(&unit, "LoadCredential") {
        let (name, from) = credential.split_once(':').unwrap();
        fs::copy(here(from), folder.path().join("credentials").join(name)).unwrap();
        // Who serves has the copies alone; root's commands had the others.
        fs::rename(here(from), format!("{}.of-root", here(from))).unwrap();
    }
    let credentials = folder.path().join("credentials").to_str().unwrap().to_owned();
    let variables = values(&unit, "Environment").into_iter().map(|text| text.replace("%d", &credentials));
    let python = program("python3", "the tests need Python: run ./test, which installs it");
    let mut starter = vec!["/usr/bin/env".to_owned(), "-i".to_owned()];
    starter.extend(variables);
    starter.extend([python, "-c".to_owned(), NO_NEW_CODE.to_owned()]);
    let starter: Vec<&str> = starter.iter().map(String::as_str).collect();

    let [start] = &values(&unit, "ExecStart")[..] else { panic!("one ExecStart") };
    let arguments = here(start.strip_prefix("/usr/local/bin/regate serve ").unwrap());
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let serving = Serving::start_under(&starter, &folder.path().join("state"), &arguments);
    assert_eq!(send(&serving.address, "GET", "/ready", &[], b"").status, 200);
    let unknown = send(&serving.address, "POST", "/v1/decide", &[], b"{\"request\":{}}");
    assert_eq!(unknown.json()["code"], "gateway.unauthenticated", "{:?}", unknown.json());
    assert!(folder.path().join("state/spool").is_dir());
    let keys = serving.log();
    assert!(!keys.contains("ERROR"), "{keys}");

    let [reload] = &values(&unit, "ExecReload")[..] else { panic!("one ExecReload") };
    assert_eq!(reload, "/bin/kill -HUP $MAINPID");
    fs::write(folder.path().join("etc/regate.toml"), configuration + "\n[log]\nlevel = \"warn\"\n").unwrap();
    let process = serving.process().to_string();
    assert!(Command::new("/bin/kill").args(["-HUP", &process]).status().unwrap().success());
    serving.wait_for_log("the log level has changed");
    assert_eq!(send(&serving.address, "GET", "/health", &[], b"").status, 200);
    assert_eq!(serving.stop(), Some(0));
    assert_eq!(values(&unit, "RestartPreventExitStatus"), ["64"]);
    assert!(Path::new(&here("/var/lib/regate")).join("regate.sqlite").is_file());
}
