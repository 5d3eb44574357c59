//! The worked example of `docs/management.md` works, line by line, with curl.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use jsonwebtoken::{Algorithm, EncodingKey, Header};

use crate::harness::{
    postgres,
    program::{REGATE, Serving, run, stderr, stdout},
};

/// What is to be typed below a heading.
fn commands(heading: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/management.md");
    let page = fs::read_to_string(path).unwrap();
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    // What serves is started by the test.
    blocks.filter(|block| !block.starts_with("regate serve")).collect()
}

/// An issuer of sessions, and one of ada's as the page takes it.
fn sessions_of_ada(folder: &Path) {
    const SECRET: &[u8] = b"a shared secret of the tests, long enough";
    let issuer = "\n[[issuers]]\nissuer = \"https://login.example\"\nshared_secret_file = \"secret\"\n\
                  audience = \"regate\"\ntenant = \"default\"\n";
    let configuration = fs::read_to_string(folder.join("regate.toml")).unwrap();
    fs::write(folder.join("regate.toml"), configuration + issuer).unwrap();
    fs::write(folder.join("secret"), SECRET).unwrap();
    let claims = serde_json::json!({
        "iss": "https://login.example", "aud": "regate", "sub": "ada", "exp": 4_000_000_000_u32,
    });
    let key = EncodingKey::from_secret(SECRET);
    let session = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
    fs::write(folder.join("ada.header"), format!("Authorization: Bearer {session}\n")).unwrap();
}

fn the_example_works(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let shell = |script: &str| {
        let programs = PathBuf::from(REGATE).parent().unwrap().display().to_string();
        let output = Command::new("sh")
            .args(["-euc", script])
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", format!("{programs}:/usr/bin:/bin"))
            .env("REGATE_DATABASE__URL", url)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    assert_eq!(shell(&commands("The first admin token")), "");
    let serving = Serving::start(folder.path(), &["--database-url", url]);
    let example = commands("A worked example");
    assert!(example.contains("URL=http://127.0.0.1:8181\n"));
    let said = shell(&example.replace("127.0.0.1:8181", &serving.address));
    let mut rest = said.as_str();
    for expected in [
        r#""id":"ada""#,
        r#""name":"Documentation""#,
        r#""role":"developer""#,
        r#""reason":"global_token.read""#,
        r#""state":"revoked""#,
        r#""reason":"token.revoked""#,
    ] {
        let found = rest.split_once(expected);
        assert!(found.is_some(), "{expected}: {}", regate::auth::find(said.as_bytes()).count());
        rest = found.unwrap().1;
    }
    drop(serving);
    // The section's first block is for before the service starts, and it goes on where the example above ended.
    let section = commands("An upstream and its credential");
    let (before, section) = section.split_once("curl").unwrap();
    assert_eq!(shell(before), "");
    sessions_of_ada(folder.path());
    let serving = Serving::start(folder.path(), &["--config", "regate.toml", "--database-url", url]);
    let setting_up: Vec<&str> = example.split("question |").next().unwrap().lines().collect();
    let functions =
        setting_up.iter().skip_while(|line| !line.starts_with("field()")).copied().collect::<Vec<_>>();
    let script = format!("URL=http://{}\n{}\ncurl{section}", serving.address, functions.join("\n"));
    let said = shell(&script);
    let mut rest = said.as_str();
    for expected in [
        r#""id":"github""#,
        r#""upstreams":["github"]"#,
        r#""header_names":["authorization"]"#,
        r#""set":{"authorization":"Bearer gho-of-ada"}"#,
        r#""connection_key":"default/user/ada/github""#,
        r#""reason":"upstream.credential_missing""#,
        r#""kind":"values""#,
        r#""state":"active""#,
        r#""set":{"authorization":"Bearer gho-of-ada"}"#,
    ] {
        let found = rest.split_once(expected);
        assert!(found.is_some(), "{expected} in {} characters", said.len());
        rest = found.unwrap().1;
    }
    assert_eq!(shell(&commands("Tenants")).lines().count(), 3);
    let arguments = ["user", "list", "--tenant", "acme", "--database-url", url];
    assert!(stdout(&run(folder.path(), &arguments, "")).contains("olga"));
}

#[test]
fn on_sqlite() {
    the_example_works("sqlite://regate.sqlite");
}

#[test]
fn on_postgres() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    the_example_works(&runtime.block_on(postgres::new_database()));
}
