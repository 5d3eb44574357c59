//! One page, run by one shell, from its first command to its last.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

use regex::Regex;

use super::{
    blocks::blocks,
    compare,
    rules::{self, Rules},
};
use crate::harness::{envoy, postgres, program::REGATE, record};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A port below those that the system gives out by itself, so that no other test is given it meanwhile.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let start = u16::try_from(std::process::id() % 150).unwrap() * 64;
        let port = 20_000 + start + number;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Runs all commands of a page, and compares what it shows.
pub fn run(page: &str) {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let rules = Rules::read();
    let ports: BTreeMap<u16, u16> = rules.ports.iter().map(|port| (*port, free_port())).collect();
    let folder = tempfile::tempdir().unwrap();
    let (here, out) = (folder.path().join("here"), folder.path().join("out"));
    fs::create_dir(&out).unwrap();
    for name in ["examples", "policies", "policy-tests"] {
        copy(&root().join(name), &here.join(name), &ports);
    }
    let there = |text: &str| in_place(text, &here, &ports);
    let blocks = blocks(&text);
    let mut script = format!("{}\n{}\n", include_str!("prelude.sh"), there(&rules::before(page)));
    for block in &blocks {
        let commands: Vec<String> = block
            .commands
            .iter()
            .filter_map(|command| rules.apply(page, command))
            .map(|run| there(&run))
            .collect();
        let (line, commands) = (block.line, commands.join("\n"));
        script.push_str(&format!(
            "echo {line} >\"$OUT/block\"\n{{\n:\n{commands}\n}} >\"$OUT/{line}.out\" 2>\"$OUT/{line}.err\"\n"
        ));
    }
    // Envoy is in no folder of the system's.
    let more = if text.contains("envoy --config-path") {
        envoy::program().parent().unwrap().to_owned()
    } else {
        here.clone()
    };
    let status = shell(&script, &here, &out, &ports, &more);
    record::log(&fs::read_to_string(out.join("regate.log")).unwrap_or_default());
    if !status {
        let last = fs::read_to_string(out.join("block")).unwrap_or_default();
        let said = |end: &str| {
            masked(&fs::read_to_string(out.join(format!("{}.{end}", last.trim()))).unwrap_or_default())
        };
        panic!(
            "a command of the block in line {} of {page} failed:\n{}{}",
            last.trim(),
            said("out"),
            said("err")
        );
    }
    for block in &blocks {
        let Some(shown) = &block.shown else { continue };
        let printed = fs::read_to_string(out.join(format!("{}.out", block.line))).unwrap();
        let printed = ports
            .iter()
            .fold(printed, |text, (written, port)| text.replace(&format!(":{port}"), &format!(":{written}")));
        if let Some(problem) = compare::difference(shown, &printed) {
            panic!("line {} of {page}: {problem}; printed was:\n{}", block.line, masked(&printed));
        }
    }
}

/// Whether the script ended well.
fn shell(script: &str, here: &Path, out: &Path, ports: &BTreeMap<u16, u16>, more: &Path) -> bool {
    let file = out.join("script");
    fs::write(&file, script).unwrap();
    let programs = PathBuf::from(REGATE).parent().unwrap().display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command.args(["--noprofile", "--norc", "-euo", "pipefail"]).arg(&file);
    command.current_dir(here).env_clear().env("OUT", out).env("HOME", here).env("LANG", "C.UTF-8");
    command.env("PATH", format!("{programs}:{path}:/usr/sbin:/usr/bin:/bin:{}", more.display()));
    command.env("REGATE_HTTP__LISTEN", format!("127.0.0.1:{}", ports[&8181]));
    command.env("REGATE_GRPC__LISTEN", format!("127.0.0.1:{}", ports[&9191]));
    for (written, port) in ports {
        command.env(format!("PORT_{written}"), port.to_string());
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(fs::File::create(out.join("shell")).unwrap())
        .spawn()
        .expect("bash starts");
    let pipe = child.stdin.take();
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        if begun.elapsed() > Duration::from_secs(900) {
            // It ends what it started, and is not successful.
            drop(pipe);
            return child.wait().unwrap().success();
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// What the rules have in braces, and ports, as they are in this run.
fn in_place(text: &str, here: &Path, ports: &BTreeMap<u16, u16>) -> String {
    let mut text = text.replace("{folder}", &here.display().to_string());
    if text.contains("{postgres}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        text = text.replace("{postgres}", &runtime.block_on(postgres::new_database()));
    }
    for (written, port) in ports {
        text = text
            .replace(&format!(":{written}"), &format!(":{port}"))
            .replace(&format!("{{{written}}}"), &port.to_string());
    }
    text
}

fn copy(from: &Path, to: &Path, ports: &BTreeMap<u16, u16>) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let path = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(&path).unwrap();
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            let text = ports.iter().fold(text, |text, (written, port)| {
                text.replace(&format!(":{written}"), &format!(":{port}"))
            });
            fs::write(&path, text).unwrap();
        }
    }
}

/// Without what must not stand in the output of a test.
fn masked(text: &str) -> String {
    let secrets = Regex::new(r"rgt_[0-9A-Za-z_]+|eyJ[0-9A-Za-z_.-]+|upstream-secret\S*|never-shown").unwrap();
    secrets.replace_all(text, "(masked)").into_owned()
}
