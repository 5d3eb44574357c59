//! What takes its time holds up nobody else: a process with one thread that decides, and rules that are slow.

use std::{
    fs,
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    http::{Answer, exchange, request, send},
    program::{Serving, run, stderr},
};

const SETTINGS: &str = "[policy]\nfolder = \"policies\"\nmax_time = \"30s\"\nmax_instructions = 1000000000\n";

/// Slow enough that many other calls are answered meanwhile.
const RULES: &str = r#"package regate

slow if count([x | some x in numbers.range(1, 10000); x % 7 == 3]) > 0

decision := {"allow": true} if slow
"#;

const AUTHZEN: &str = r#"package regate.authzen

decision := {"allow": true} if data.regate.slow

subjects := {sprintf("u%d", [n]) | some n in numbers.range(1, 30)}

actions contains "read" if count([x | some x in numbers.range(1, 300000); x % 7 == 3]) > 0
"#;

fn start() -> (TempDir, Serving) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    for (name, text) in
        [("policies/rules.rego", RULES), ("policies/authzen.rego", AUTHZEN), ("regate.toml", SETTINGS)]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let database = ["--database-url", "sqlite://data.sqlite"];
    let imported = run(folder.path(), &[&["import", "-"][..], &database].concat(), r#"{"users": []}"#);
    assert!(imported.status.success(), "{}", stderr(&imported));
    let one_thread = ["/usr/bin/env", "TOKIO_WORKER_THREADS=1"];
    let flags = [&["--config", "regate.toml"][..], &database].concat();
    let serving = Serving::start_under(&one_thread, folder.path(), &flags);
    (folder, serving)
}

/// How often `/health` is answered on other connections before this call is.
fn answered_before(address: &str, path: &str, body: &Value) -> (usize, Answer) {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // From here on the process knows the connection: what it says next is heard before what others say later.
    assert_eq!(exchange(&stream, &request(address, "GET", "/health", &[], b"")).status, 200);
    let headers = [("content-type", "application/json")];
    let message = request(address, "POST", path, &headers, body.to_string().as_bytes());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let answer = exchange(&stream, &message);
            done.store(true, Ordering::SeqCst);
            answer
        });
        let mut answered = 0;
        loop {
            assert_eq!(send(address, "GET", "/health", &[], b"").status, 200);
            if done.load(Ordering::SeqCst) {
                return (answered, asking.join().unwrap());
            }
            answered += 1;
        }
    })
}

#[test]
fn what_asks_much_of_the_rules_holds_up_nobody() {
    let (_folder, serving) = start();
    let question = json!({"request": {"method": "POST", "path": "/mcp"}});
    let mut messages = question.clone();
    messages["mcp"] = json!(vec![json!({"method": "ping"}); 20]);
    let entity = |kind: &str| json!({"type": kind, "id": "x"});
    let evaluation =
        json!({"subject": entity("user"), "action": {"name": "read"}, "resource": entity("file")});
    let mut evaluations = evaluation.clone();
    evaluations["evaluations"] = json!(vec![json!({}); 40]);
    for (path, body) in [
        ("/v1/decide", &messages),
        ("/v1/decide/batch", &json!({"requests": vec![question; 40]})),
        ("/v1/decide/batch", &json!({"requests": vec![messages.clone(); 2]})),
        ("/access/v1/evaluations", &evaluations),
        ("/access/v1/search/subject", &evaluation),
        ("/access/v1/search/action", &evaluation),
    ] {
        let (answered, answer) = answered_before(&serving.address, path, body);
        let told = answer.json();
        assert_eq!(answer.status, 200, "{path} {told}");
        assert!(!told.to_string().contains("false"), "{path} {told}");
        assert!(answered >= 3, "{path}: {answered}");
    }
}
