//! Envoy, from an example configuration, with the addresses of the tests in the place of the example's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::supervised::Supervised;

/// A running Envoy. It is gone when this value is, and when the test process is.
pub struct Envoy {
    running: Supervised,
    _folder: TempDir,
}

impl Envoy {
    /// Starts it from a file of `examples/envoy`: it asks regate at one address, and forwards to another.
    pub fn start(example: &str, regate: &str, behind: &str, gateway_token: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/envoy").join(example);
        let text = fs::read_to_string(path).unwrap();
        fs::write(folder.path().join("token"), gateway_token).unwrap();
        let running = Supervised::start(folder.path(), |port| {
            let mut text = text.clone();
            let regates = if text.contains("port_value: 9191") { "9191" } else { "8181" };
            for (port, replacement) in
                [("8080", port.to_string()), (regates, port_of(regate)), ("9000", port_of(behind))]
            {
                let place = format!("address: 127.0.0.1, port_value: {port}}}");
                assert_eq!(text.matches(&place).count(), 1, "{place}");
                text = text.replace(&place, &format!("address: 127.0.0.1, port_value: {replacement}}}"));
            }
            fs::write(folder.path().join("envoy.yaml"), text).unwrap();
            // The token is never an argument: those anybody can read.
            let script = "GATEWAY_TOKEN=$(cat token) exec \"$@\"";
            let program = program().to_str().unwrap().to_owned();
            let arguments = ["--config-path", "envoy.yaml", "--disable-hot-restart", "--concurrency", "1"];
            let command = ["/bin/sh", "-c", script, "sh", &program].into_iter().chain(arguments);
            command.map(str::to_owned).collect()
        });
        Self { running, _folder: folder }
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> String {
        self.running.address()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.running.log()
    }
}

fn port_of(address: &str) -> String {
    address.strip_prefix("127.0.0.1:").unwrap().to_owned()
}

/// The binary within the package of PyPI, which `./test` installs beside what is built.
pub fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("test-python/lib");
    let versions = fs::read_dir(&built).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut programs = versions.map(|python| python.join("site-packages/envoy/_bin/envoy"));
    programs.find(|program| program.is_file()).unwrap_or_else(|| {
        panic!(
            "Envoy is not below {}; it is never skipped without: run ./test, which installs it from PyPI",
            built.display()
        )
    })
}
