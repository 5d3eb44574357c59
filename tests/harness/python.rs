//! Programs from PyPI, which `./test` installs beside what is built.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

const INSTALL: &str = "it is never skipped without: run ./test, which installs it from PyPI";

/// Runs one to its end.
pub fn run(program: &str, arguments: &[&str], folder: &Path) -> Output {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path: PathBuf = built.join("test-python/bin").join(program);
    let output = Command::new(&path).args(arguments).current_dir(folder).output();
    output.unwrap_or_else(|error| panic!("{} does not run ({error}), and {INSTALL}", path.display()))
}
