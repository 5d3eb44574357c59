//! The shipped policies, with limits that no test comes near: for tests that ask more often than people do.

use std::{fs, path::Path};

/// Copies the shipped policies to `policies` in this folder, with a million calls a minute for every agent, but for
/// artifacts: those stay at ten.
pub fn with_high_limits(folder: &Path) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for entry in walkdir::WalkDir::new(&shipped).into_iter().map(Result::unwrap) {
        let to = folder.join("policies").join(entry.path().strip_prefix(&shipped).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(&to).unwrap();
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
    let limits = folder.join("policies/limits/data.json");
    let calls =
        regex::Regex::new(r#"(?m)^(.*"(?:logs|builds|jobs|projects|trigger|other)": .*"calls": )\d+"#)
            .unwrap();
    let text = fs::read_to_string(&limits).unwrap();
    let raised = calls.replace_all(&text, "${1}1000000");
    assert_eq!(raised.matches("1000000").count(), 6, "{raised}");
    fs::write(limits, raised.as_bytes()).unwrap();
}
