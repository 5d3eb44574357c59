//! The worked example of `docs/management.md` works, line by line, with curl.

use std::{fs, path::PathBuf, process::Command};

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
    section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect()
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
