//! Regate is run as the examples say: by systemd, in Kubernetes, in a container, and by a CI for policies.

mod ci;
mod container;
mod kubernetes;
mod systemd;

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn example(path: &str) -> PathBuf {
    root().join("examples").join(path)
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// The time that `key = "10s"` in a configuration says, in seconds.
fn seconds(toml: &str, key: &str) -> u64 {
    let line = toml.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap();
    line.trim_matches([' ', '=', '"', 's']).parse().unwrap()
}

/// What the end takes beyond the time in which connections are still taken: `docs/gateways/transport.md`.
const LONGEST_END: u64 = 40;

/// A folder of one test of the shipped bundle, which takes no time: all of them are run where policies are tested.
fn write_policy_tests(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    let test = "package example_test\n\ntest_the_shipped_data_is_there if data.routes.safe_methods.GET\n";
    std::fs::write(folder.join("example_test.rego"), test).unwrap();
}

#[test]
fn every_example_of_running_regate_has_a_page_whose_links_lead_somewhere() {
    let link = regex::Regex::new(r"\]\(([^)#]+)").unwrap();
    let pages = ["container", "systemd", "kubernetes", "ci"].map(|name| example(name).join("README.md"));
    for page in pages.into_iter().chain([root().join("SECURITY.md")]) {
        for target in link.captures_iter(&read(&page)).map(|found| found[1].to_owned()) {
            let leads = target.contains("://") || page.parent().unwrap().join(&target).exists();
            assert!(leads, "{}: {target}", page.display());
        }
    }
}
