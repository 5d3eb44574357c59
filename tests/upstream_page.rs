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
            .env("REGATE_CREDENTIALS__KEY_FILE", "keys")
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}: {}", stderr(&output));
        stdout(&output)
    };
    let [reach, billing, credentials, oauth, new_key, rotate] = &blocks("sh")[..] else {
        panic!("a block was added or taken away: is it run?")
    };
    // The key first: without its file no other command would find the configuration good.
    assert!(shell(new_key).contains("a new key is in keys"));
    shell("regate user put ada; printf 'upstream-secret-of-ada' > github.token; printf s > client-secret");
    let minted = shell("regate token mint --kind mcp --name x --user ada --json");
    let minted: serde_json::Value = serde_json::from_str(&minted).unwrap();
    let id = minted["id"].as_str().unwrap();
    let with_id = |block: &str| block.replace(" ID ", &format!(" {id} "));
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
    let [section] = &blocks("toml")[..] else { panic!("one section") };
    fs::write(folder.path().join("regate.toml"), section).unwrap();
    assert!(
        shell("unset REGATE_CREDENTIALS__KEY_FILE; regate credentials check --config regate.toml")
            .contains("configured")
    );
    let said = shell("! env -u REGATE_CREDENTIALS__KEY_FILE regate credentials check");
    assert!(said.contains("MISSING"), "{said}");
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
