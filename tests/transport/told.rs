//! Upstream credentials: told where nobody else can read them, and nowhere else.

use std::fs;

use serde_json::{Value, json};

use super::{
    certificates::{Authority, SETTINGS, open},
    wire::{connect, read_answer},
};
use crate::{harness::program::Serving, management::scene::Scene};

/// An address of this machine that is not the loopback's.
fn own_address() -> String {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    // Nothing is sent: the system only says from where it would be. TEST-NET-3 is on no machine.
    socket.connect("203.0.113.1:9").expect("the machine has an address that is not the loopback's");
    socket.local_addr().unwrap().ip().to_string()
}

struct Stage {
    scene: Scene,
    caller: String,
    gateway: String,
}

impl Stage {
    fn new() -> Self {
        let scene = Scene::sqlite();
        let put = |path: &str, body: Value| {
            let answer = scene.call(&scene.admin, "PUT", path, Some(&body));
            assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.json());
        };
        put("/v1/upstreams/github", json!({"url": "https://mcp.example/github", "credential": "per_user"}));
        let (id, caller) = scene.mint(&json!({"kind": "global", "name": "ci", "user_id": "u1"}));
        put(&format!("/v1/tokens/{id}/grants"), json!({"upstreams": ["github"]}));
        put("/v1/upstreams/github/credentials/user/u1", json!({"token": "upstream-secret-of-u1"}));
        let (_, gateway) = scene.mint(&json!({"kind": "gateway", "name": "edge"}));
        Self { scene, caller, gateway }
    }

    /// The same service, reached in another way.
    fn also(&self, configuration: &str, settings: &str, arguments: &[&str]) -> Serving {
        let folder = self.scene.folder.path();
        let text = fs::read_to_string(folder.join("regate.toml")).unwrap();
        fs::write(folder.join(configuration), format!("{settings}\n{text}")).unwrap();
        let fixed =
            ["--config", configuration, "--database-url", &self.scene.url, "--gateways-must-authenticate"];
        Serving::start(folder, &[&fixed, arguments].concat())
    }

    fn question(&self) -> Vec<u8> {
        let question = json!({
            "token": self.caller, "upstream": "github",
            "request": {"method": "GET", "path": "/api/v1/projects/p1"},
        });
        let body = question.to_string();
        let (gateway, length) = (&self.gateway, body.len());
        format!(
            "POST /v1/decide HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {gateway}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn ask(mut stream: impl std::io::Read + std::io::Write, stage: &Stage) -> Value {
    stream.write_all(&stage.question()).unwrap();
    body(&read_answer(&mut stream))
}

fn is_told(answer: &Value) -> bool {
    answer["allow"] == true && answer["headers"]["set"]["authorization"] == "Bearer upstream-secret-of-u1"
}

#[test]
fn a_credential_is_told_over_tls_and_unix_sockets_and_not_over_a_plain_port() {
    let stage = Stage::new();
    let folder = stage.scene.folder.path();
    let own = own_address();
    let outside = format!("{own}:0");

    let socket = folder.join("s");
    let local = stage.also("local.toml", "", &["--listen", &format!("unix:{}", socket.display())]);
    assert!(is_told(&ask(std::os::unix::net::UnixStream::connect(&socket).unwrap(), &stage)));
    drop(local);

    let plain = stage.also("plain.toml", "", &["--listen", &outside]);
    assert!(plain.address.starts_with(&own));
    let refused = ask(connect(&plain.address), &stage);
    assert_eq!((&refused["allow"], &refused["reason"]), (&json!(false), &json!("upstream.channel_insecure")));
    assert_eq!(refused["headers"]["set"], json!({}));
    drop(plain);

    let authority = Authority::new("ours");
    authority.certify().write(folder);
    let private = stage.also("tls.toml", SETTINGS, &["--listen", &outside]);
    assert!(private.address.starts_with(&own));
    assert!(is_told(&ask(open(&private.address, &authority.client(None)), &stage)));
}
