//! The commands of `docs/upstreams.md` do what the page says.

use std::{fs, path::PathBuf, process::Command};

use crate::harness::{
    postgres,
    program::{REGATE, stderr, stdout},
};

/// The blocks of a language, in their order.
fn blocks(language: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/upstreams.md");
    let page = fs::read_to_string(path).unwrap();
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

fn the_commands_run(url: &str) {
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
        assert!(output.status.success(), "{script}: {}", stderr(&output));
        stdout(&output)
    };
    let [new_key, rotate, lost, people, reach, billing, credentials, oauth] = &blocks("sh")[..] else {
        panic!("a block was added or taken away: is it run?")
    };
    let [section] = &blocks("toml")[..] else { panic!("one section") };
    fs::write(folder.path().join("regate.toml"), section).unwrap();
    assert!(shell(new_key).contains("a new key is in keys"));
    shell("printf 'upstream-secret-of-ada' > github.token; printf s > client-secret");
    assert_eq!(shell(people).lines().count(), 1);
    let minted = fs::read_to_string(folder.path().join("token.json")).unwrap();
    let minted: serde_json::Value = serde_json::from_str(&minted).unwrap();
    let id = minted["id"].as_str().unwrap();
    let with_id =
        |block: &str| block.replace(" ID ", &format!(" {id} ")).replace(" ID\n", &format!(" {id}\n"));
    assert!(shell(&with_id(reach)).contains("grants for 1 upstream"));
    shell(billing);
    let said = shell(&with_id(credentials));
    assert!(said.contains("credential of user ada for github was added"), "{said}");
    assert!(said.contains(&format!("token {id}")) && said.contains("orphaned"), "{said}");
    assert!(said.contains("credential of user ada for github was removed"), "{said}");
    assert!(shell(oauth).contains("upstream github was changed"));
    let said = shell(rotate);
    assert!(
        said.contains("secrets were sealed anew") && said.contains("; 0 left that other keys sealed"),
        "{said}"
    );
    assert!(shell("regate credentials check --config regate.toml").contains("configured"));
    let said = shell("! regate credentials check");
    assert!(said.contains("no configuration was given") && said.contains("MISSING"), "{said}");
    // The key is lost: what it sealed is named, and given anew.
    shell("rm keys; regate credentials new-key --output keys");
    let said = shell(&format!("set +e\n{}true", with_id(lost)));
    for expected in [
        "2 secrets: MISSING",
        "does not open, and stays as it is: the client secret for github",
        "does not open, and stays as it is: the credential of token",
        "for billing was removed",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(shell("regate credentials check --config regate.toml").contains("nothing is sealed"));
}

#[test]
fn on_sqlite() {
    the_commands_run("sqlite://regate.sqlite");
}

#[test]
fn on_postgres() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    the_commands_run(&runtime.block_on(postgres::new_database()));
}
