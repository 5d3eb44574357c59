//! nginx, from Debian's package, with a configuration in a temporary folder.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::supervised::{Supervised, program};

const INSTALL: &str = "the tests need nginx, and are never skipped without: install it, on Debian with \
    `apt-get install nginx-light`, or put its folder on PATH";

/// A running nginx.
pub struct Nginx {
    pub running: Supervised,
    _folder: TempDir,
}

impl Nginx {
    /// Starts one with what `configuration` makes of its port; `more` are files beside it.
    pub fn start(configuration: impl Fn(u16) -> String, more: &[(&str, &str)]) -> Self {
        let nginx = program("nginx", INSTALL);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let running = Supervised::start(&path, |port| {
            // Its processes run as whoever runs the tests, in this folder alone.
            let here = path.display();
            let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .iter()
                .map(|kind| format!("    {kind}_temp_path {here}/{kind};\n"))
                .collect();
            let text = configuration(port).replacen("http {\n", &format!("http {{\n{temporary}"), 1);
            let user = if is_root(&path) { "user root;\n" } else { "" };
            write(&path, "nginx.conf", &format!("{user}daemon off;\n{text}"));
            for (name, text) in more {
                write(&path, name, text);
            }
            let arguments = ["-p", &format!("{here}/"), "-c", "nginx.conf", "-e", "stderr"];
            [nginx.as_str()].into_iter().chain(arguments).map(str::to_owned).collect()
        });
        Self { running, _folder: folder }
    }

    pub fn address(&self) -> String {
        self.running.address()
    }
}

fn is_root(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(folder).unwrap().uid() == 0
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}
