//! The options of the benchmarks that have some.

use std::path::PathBuf;

use serde::{Serialize, de::DeserializeOwned};

/// What `--quick`, `--redraw` and `--output FOLDER` say.
pub struct Options {
    /// Small and short: to see that it works, for no figure.
    pub quick: bool,
    /// Nothing is measured: what was measured before is shown again.
    pub redraw: bool,
    /// Where data and pictures go.
    pub output: PathBuf,
}

impl Options {
    /// Reads the words behind the benchmark's name. Output goes to this folder below `target`, unless they say another.
    pub fn read(words: &[&str], name: &str) -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        let mut options = Self { quick: false, redraw: false, output: target.join(name) };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match (*word, word.strip_prefix("--output=")) {
                ("--quick", _) => options.quick = true,
                ("--redraw", _) => options.redraw = true,
                ("--output", _) => options.output = words.next().expect("a folder after --output").into(),
                (_, Some(folder)) => options.output = folder.into(),
                _ => {
                    eprintln!("{name}: {word}? There are --quick, --redraw and --output FOLDER");
                    std::process::exit(64);
                }
            }
        }
        options
    }

    /// Writes the data, and says where.
    pub fn write(&self, file: &str, data: &impl Serialize) {
        std::fs::create_dir_all(&self.output).expect("a folder for the data");
        let file = self.output.join(file);
        let text = serde_json::to_string_pretty(data).expect("JSON");
        std::fs::write(&file, text + "\n").expect("to write the data");
        eprintln!("data: {}", file.display());
    }

    /// Reads what was written.
    pub fn read_data<T: DeserializeOwned>(&self, file: &str) -> T {
        let text = std::fs::read(self.output.join(file)).expect("the data of a run before");
        serde_json::from_slice(&text).expect("such data")
    }
}
