//! What `cargo fuzz` kept: each file of a property's corpus, findings among them, once.

use std::{fs, path::PathBuf};

use super::{authorization, ext_authz, forward_auth, import, mcp, path, question, spool, token_format};

/// Asks a property about every file that is kept for it.
fn holds_for_all(target: &str, holds: fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzzed/corpus").join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort_unstable();
    assert!(!files.is_empty(), "nothing is kept in {}", folder.display());
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let held = std::panic::catch_unwind(|| holds(&bytes));
        assert!(held.is_ok(), "it does not hold for {}", file.display());
    }
}

macro_rules! kept {
    ($($target:ident)+) => {
        $(#[test]
        fn $target() {
            holds_for_all(stringify!($target), $target::holds);
        })+

        #[test]
        fn nothing_is_kept_for_nobody() {
            let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzzed/corpus");
            let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            found.sort_unstable();
            assert_eq!(found, [$(stringify!($target)),+]);
        }
    };
}

kept! { authorization ext_authz forward_auth import mcp path question spool token_format }
