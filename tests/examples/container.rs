//! `examples/container`: what an image is built from and how it is started. Images themselves are not built here: that
//! needs a daemon, and a registry.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;

use super::{LONGEST_END, example, read, root, seconds, write_policy_tests};
use crate::{
    harness::{
        http::send,
        program::{Serving, run, stderr, stdout},
        python,
    },
    live::until,
};

/// The instructions of the Containerfile, with what each says.
fn instructions() -> Vec<(String, String)> {
    let text = read(example("container/Containerfile")).replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, rest) = line.split_once(' ').unwrap();
            (name.to_owned(), rest.trim().to_owned())
        })
        .collect()
}

fn said(name: &str) -> Vec<String> {
    instructions().into_iter().filter(|(instruction, _)| instruction == name).map(|(_, rest)| rest).collect()
}

/// The list that an instruction says as JSON.
fn list(name: &str) -> Vec<String> {
    serde_json::from_str(said(name).last().unwrap()).unwrap()
}

#[test]
fn an_image_is_built_from_all_that_the_source_needs_and_from_nothing_else() {
    // What is taken over from this folder, and not from the stage before.
    let copied: BTreeSet<String> = said("COPY")
        .iter()
        .filter(|rest| !rest.starts_with("--from="))
        .flat_map(|rest| {
            let mut words: Vec<String> = rest.split(' ').map(str::to_owned).collect();
            words.pop();
            words
        })
        .chain(["LICENSE".to_owned()])
        .collect();
    let context = read(root().join(".dockerignore"));
    assert!(context.lines().any(|line| line == "*"));
    let sent: BTreeSet<String> =
        context.lines().filter_map(|line| line.strip_prefix('!')).map(str::to_owned).collect();
    assert_eq!(copied, sent);

    // What the source takes in beside itself.
    let taken =
        regex::Regex::new(r#"include_(?:str|bytes)!\((?:concat!\()?"([^"]+)"|migrate!\("([^"]+)""#).unwrap();
    let mut count = 0;
    for entry in walkdir::WalkDir::new(root().join("src")).into_iter().map(Result::unwrap) {
        let path = entry.into_path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        for found in taken.captures_iter(&read(&path)) {
            let file = match (found.get(1), found.get(2)) {
                (Some(beside), _) => within(path.parent().unwrap(), beside.as_str()),
                (None, migrations) => root().join(migrations.unwrap().as_str()),
            };
            let file = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let is_copied = |place: &String| file == *place || file.starts_with(&format!("{place}/"));
            assert!(copied.iter().any(is_copied), "{file} of {} is not sent", path.display());
            count += 1;
        }
    }
    assert!(count > 7, "{count}");
    for name in copied {
        assert!(root().join(&name).exists(), "{name}");
    }
}

/// A path as the compiler finds it, beside a source file.
fn within(folder: &Path, path: &str) -> PathBuf {
    let mut place = folder.to_owned();
    for part in path.split('/') {
        match part {
            ".." => assert!(place.pop()),
            "" => {}
            part => place.push(part),
        }
    }
    place
}

#[test]
fn an_image_has_one_program_one_user_and_one_folder() {
    let known =
        ["FROM", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"];
    assert!(instructions().iter().all(|(name, _)| known.contains(&name.as_str())));
    let [builder, base] = &said("FROM")[..] else { panic!("two stages") };
    assert!(builder.ends_with(" AS build") && base.contains("-slim"), "{builder} {base}");
    // The program needs the C library that it was built with.
    assert!(builder.contains("trixie") && base.contains("trixie"));
    let manifest = read(root().join("Cargo.toml"));
    let (_, needs) = manifest.split_once("rust-version = \"1.").unwrap();
    let needs: u32 = needs.split('"').next().unwrap().parse().unwrap();
    let (_, has) = builder.split_once("rust:1.").unwrap();
    assert!(has.split('-').next().unwrap().parse::<u32>().unwrap() >= needs);
    assert_eq!(said("USER"), ["65532:65532"]);
    assert_eq!(list("VOLUME"), ["/var/lib/regate"]);
    assert_eq!(list("ENTRYPOINT"), ["/usr/local/bin/regate"]);
    assert!(said("RUN").iter().any(|run| run.contains("cargo build --release --locked")));
}

#[test]
fn the_compose_file_is_one_and_leaves_nothing_open() {
    let path = example("container/compose.yaml");
    let schema = ["--builtin-schema", "vendor.compose-spec", path.to_str().unwrap()];
    let output = python::run("check-jsonschema", &schema, &root());
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));

    let regate = &compose()["services"]["regate"];
    assert_eq!(regate["read_only"], true);
    assert_eq!(regate["cap_drop"], serde_json::json!(["ALL"]));
    for port in regate["ports"].as_array().unwrap() {
        assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{port}");
    }
    let grace = regate["stop_grace_period"].as_str().unwrap().trim_end_matches('s').parse::<u64>().unwrap();
    assert!(grace > seconds(&read(example("container/regate.toml")), "drain_delay") + LONGEST_END);
}

fn compose() -> Value {
    const TO_JSON: &str = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let path = example("container/compose.yaml");
    let output = python::run("python3", &["-c", TO_JSON, path.to_str().unwrap()], &root());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn regate_runs_as_in_the_container_and_is_found_healthy_while_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let inside = |path: &str| folder.path().join(path.trim_start_matches('/'));
    // The image's own folder; what compose mounts; its secrets.
    fs::create_dir_all(inside("/var/lib/regate")).unwrap();
    fs::create_dir_all(inside("/run/secrets")).unwrap();
    fs::create_dir_all(inside("/etc/regate")).unwrap();
    let compose = compose();
    let regate = &compose["services"]["regate"];
    for mount in regate["volumes"].as_array().unwrap() {
        let parts: Vec<&str> = mount.as_str().unwrap().split(':').collect();
        if let [from, to, "ro"] = parts[..] {
            let from = example("container").join(from);
            assert!(from.exists(), "{}", from.display());
            match to.ends_with("/policy-tests") {
                true => write_policy_tests(&inside(to)),
                false => std::os::unix::fs::symlink(from, inside(to)).unwrap(),
            }
        }
    }
    let key = run(folder.path(), &["credentials", "new-key", "--output", "run/secrets/keys"], "");
    assert!(key.status.success(), "{}", stderr(&key));
    let url = format!("sqlite://{}/regate.sqlite", inside("/var/lib/regate").display());
    fs::write(inside("/run/secrets/database-url"), url).unwrap();
    for secret in regate["secrets"].as_array().unwrap() {
        let name = secret.as_str().unwrap();
        assert!(compose["secrets"][name]["file"].is_string() && inside("/run/secrets").join(name).is_file());
    }

    let arguments: Vec<String> = list("CMD")
        .iter()
        .map(|word| word.replace("/etc/", &format!("{}/etc/", folder.path().display())))
        .collect();
    let toml = read(inside("/etc/regate/regate.toml"))
        .replace("\"/", &format!("\"{}/", folder.path().display()))
        .replace("drain_delay = \"5s\"", "drain_delay = \"0s\"");
    fs::remove_file(inside("/etc/regate/regate.toml")).unwrap();
    fs::write(inside("/etc/regate/regate.toml"), toml).unwrap();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ["serve", rest @ ..] = &arguments[..] else { panic!("{arguments:?}") };
    let serving = Serving::start_under(&["/usr/bin/env", "-i"], &inside("/var/lib/regate"), rest);
    let unknown = send(&serving.address, "POST", "/v1/decide", &[], b"{\"request\":{}}");
    assert_eq!(unknown.status, 401);

    let (_, check) =
        said("HEALTHCHECK")[0].split_once("CMD ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let check: Vec<String> = serde_json::from_str(&check).unwrap();
    let is_healthy = |address: &str| {
        let port = address.rsplit(':').next().unwrap();
        let words = check.iter().map(|word| word.replace("/8181", &format!("/{port}")));
        let mut command = Command::new(&check[0]);
        command.args(words.skip(1)).env_clear().stderr(Stdio::null()).status().unwrap().success()
    };
    // On a busy machine the data may be out of date for a moment.
    until(|| is_healthy(&serving.address), |healthy| *healthy);
    assert_eq!(serving.stop(), Some(0));
    assert!(!is_healthy(&not_ready()));
}

/// Where somebody answers, once, as a process that cannot decide.
fn not_ready() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 256];
        let _ = stream.read(&mut request);
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    address
}

#[test]
fn the_notices_have_the_licence_of_every_crate_of_the_program() {
    let output = Command::new(example("container/notices"))
        .current_dir(root())
        .env("CARGO_NET_OFFLINE", "true")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let notices = String::from_utf8_lossy(&output.stdout);
    let crates = notices.lines().filter(|line| line.starts_with("==== ")).count();
    let without = notices.matches("The crate brings no text of its licence").count();
    assert!(crates > 200 && without * 10 < crates, "{crates}, {without} without a text");
    for name in ["tokio", "sqlx", "regorus", "aws-lc-sys"] {
        assert!(notices.contains(&format!("==== {name} ")), "{name}");
    }
}
