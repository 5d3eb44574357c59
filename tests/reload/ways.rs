//! However a folder is changed, it is noticed.

use std::{fs, os::unix::fs::symlink, path::Path};

use super::{Scene, TOLD_ALONE, data, ready, rules, swap_link, until, write_bundle};
use crate::harness::program::Serving;

/// A file as an editor saves it: a new one takes the old one's name.
fn save(path: &Path, text: &str) {
    let new = path.with_extension("saving");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn a_file_that_is_saved_in_place_or_by_renaming() {
    let scene = Scene::start(TOLD_ALONE);
    until(|| scene.policies()["watching"].clone(), |watching| watching == true);
    for (name, save) in [("B", save as fn(&Path, &str)), ("C", |path, text| fs::write(path, text).unwrap())] {
        save(&scene.path("policies/release/data.json"), &data(name));
        save(&scene.path("policies/rules.rego"), &rules(name));
        // In between the two files are of two releases, which nothing tests here.
        until(
            || scene.policies()["active"]["revision"].clone(),
            |revision| *revision == expected_revision(name),
        );
        assert_eq!(scene.decided_by(), name);
    }
    // The lock of an editor is a link that leads nowhere, and is nobody's business.
    symlink("somebody@host.1:2", scene.path("policies/.#rules.rego")).unwrap();
    save(&scene.path("policies/more.rego"), "package more\n");
    until(|| scene.policies()["active"]["files"].as_array().unwrap().len(), |files| *files == 3);
    assert_eq!(scene.refusals(), 0, "{}", scene.serving.log());
}

fn expected_revision(name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    write_bundle(folder.path(), name);
    let source = regate::policy::PolicySource::Paths(vec![folder.path().to_owned()]);
    regate::policy::load(&source).unwrap().revision.to_string()
}

#[test]
fn a_kubernetes_configmap() {
    let folder = tempfile::tempdir().unwrap();
    let volume = folder.path().join("policies");
    let publish = |name: &str| {
        write_bundle(&volume.join(format!("..2026_{name}")), name);
        swap_link(&volume.join("..data"), Path::new(&format!("..2026_{name}")));
    };
    publish("A");
    for file in ["rules.rego", "release"] {
        symlink(Path::new("..data").join(file), volume.join(file)).unwrap();
    }
    let scene = Scene::over(folder, TOLD_ALONE, &["--policies", "policies"]);
    for (before, name) in [("A", "B"), ("B", "C"), ("C", "D")] {
        let volume = scene.path("policies");
        write_bundle(&volume.join(format!("..2026_{name}")), name);
        swap_link(&volume.join("..data"), Path::new(&format!("..2026_{name}")));
        fs::remove_dir_all(volume.join(format!("..2026_{before}"))).unwrap();
        scene.wait_for(name);
    }
}

#[test]
fn a_folder_that_is_a_link_and_one_that_vanishes_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["A", "B"] {
        write_bundle(&folder.path().join("releases").join(name), name);
    }
    swap_link(&folder.path().join("policies"), Path::new("releases/A"));
    let scene = Scene::over(folder, TOLD_ALONE, &["--policies", "policies"]);
    let link = scene.path("policies");
    swap_link(&link, Path::new("releases/B"));
    scene.wait_for("B");

    fs::remove_dir_all(scene.path("releases")).unwrap();
    let failure = scene.wait_for_failure("load");
    assert!(failure["message"].as_str().unwrap().contains("policies"), "{failure}");
    assert_eq!(scene.decided_by(), "B");
    write_bundle(&scene.path("releases/B"), "C");
    scene.wait_for("C");
    // The watch is on the new folder.
    write_bundle(&scene.path("releases/B"), "D");
    scene.wait_for_recovery();
    until(|| scene.policies()["active"]["revision"].clone(), |r| *r == expected_revision("D"));
    fs::remove_file(&link).unwrap();
    scene.wait_for_failure("load");
    write_bundle(&link, "E");
    scene.wait_for("E");
    // The watcher's own housekeeping is not news.
    assert!(!scene.serving.log().contains("inotify"), "{}", scene.serving.log());
}

#[test]
fn a_checkout_of_many_files_is_one_change() {
    let folder = tempfile::tempdir().unwrap();
    let write = |folder: &Path, name: &str| {
        write_bundle(folder, name);
        for number in 0..200 {
            let path = folder.join(format!("part{}/file{number}.rego", number % 7));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            save(&path, &format!("package part{number}\n\nname := \"{name}\"\n"));
        }
    };
    write(&folder.path().join("policies"), "A");
    let scene = Scene::over(folder, TOLD_ALONE, &["--policies", "policies"]);
    write(&scene.path("policies"), "B");
    scene.wait_for("B");
    let expected = {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "B");
        let source = regate::policy::PolicySource::Paths(vec![folder.path().to_owned()]);
        regate::policy::load(&source).unwrap().revision.to_string()
    };
    let active = until(|| scene.policies(), |policies| policies["active"]["revision"] == expected);
    assert!(active["attempts"].as_u64().unwrap() < 20, "{}", active["attempts"]);
}

#[test]
fn a_single_file() {
    let folder = tempfile::tempdir().unwrap();
    let rules = |name: &str| rules(name).replace("data.release.name", &format!("\"data.{name}\""));
    fs::write(folder.path().join("only.rego"), rules("A")).unwrap();
    let scene = Scene::over(folder, TOLD_ALONE, &["--policies", "only.rego"]);
    save(&scene.path("only.rego"), &rules("B"));
    scene.wait_for("B");
    fs::write(scene.path("only.rego"), rules("C")).unwrap();
    scene.wait_for("C");
}

#[test]
fn nobody_tells_and_it_is_noticed_all_the_same() {
    let scene = Scene::start("[policy]\nwatch = false\ncheck_interval = \"20ms\"\n");
    assert_eq!(scene.policies()["watching"], false);
    write_bundle(&scene.path("policies"), "B");
    until(|| scene.policies()["active"]["revision"].clone(), |r| *r == expected_revision("B"));
}

/// The system has no watch to give: its limit is 0 in the program's user namespace.
#[test]
fn a_watch_that_cannot_be_set_up_is_said_once() {
    const STARTER: [&str; 6] = [
        "unshare",
        "--user",
        "sh",
        "-c",
        "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"",
        "sh",
    ];
    let allowed = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", "echo 0 > /proc/sys/user/max_inotify_instances"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !allowed {
        eprintln!("not tested: this system gives no user namespace");
        return;
    }
    let starter = [&STARTER[..1], &["--user", "--map-root-user"], &STARTER[2..]].concat();
    let folder = tempfile::tempdir().unwrap();
    write_bundle(&folder.path().join("policies"), "A");
    let toml = "[policy]\ncheck_interval = \"20ms\"\n";
    let scene = Scene::under(&starter, folder, toml, &["--policies", "policies"]);
    for name in ["B", "C"] {
        write_bundle(&scene.path("policies"), name);
        until(|| scene.policies()["active"]["revision"].clone(), |r| *r == expected_revision(name));
    }
    assert_eq!(scene.policies()["watching"], false);
    assert_eq!(ready(&scene.serving.address).1["policy"]["watching"], false);
    let log = scene.serving.wait_for_log("cannot be watched");
    assert_eq!(log.matches("cannot be watched").count(), 1, "{log}");
}

#[test]
fn tests_alone_are_a_change_and_the_shipped_bundle_can_be_held_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let test = |holds: bool| format!("package mine_test\n\ntest_it if {holds}\n");
    fs::create_dir(folder.path().join("tests")).unwrap();
    fs::write(folder.path().join("tests/mine_test.rego"), test(true)).unwrap();
    let scene = Scene::over(folder, TOLD_ALONE, &["--policy-tests", "tests"]);
    assert_eq!(scene.policies()["active"]["tests"]["passed"], 1);
    save(&scene.path("tests/mine_test.rego"), &test(false));
    let failure = scene.wait_for_failure("test");
    assert_eq!((&failure["file"], &failure["line"]), (&"tests/mine_test.rego".into(), &3.into()));
    save(&scene.path("tests/mine_test.rego"), &test(true));
    scene.wait_for_recovery();

    fs::write(scene.path("tests/mine_test.rego"), test(false)).unwrap();
    let (code, log) =
        Serving::try_start(scene.folder.path(), &["--demo", "--policy-tests", "tests"]).err().unwrap();
    assert_eq!(code, Some(3));
    assert!(log.contains("1 of 1 tests did not pass") && log.contains("data.mine_test.test_it"), "{log}");
}

#[test]
fn tests_within_the_policy_folder_are_run_and_loaded() {
    let folder = tempfile::tempdir().unwrap();
    write_bundle(&folder.path().join("policies"), "A");
    fs::write(folder.path().join("policies/release_test.rego"), super::TESTS).unwrap();
    // Whether or not the folder is named as that of the tests as well.
    let named = ["--policies", "policies", "--policy-tests", "policies"];
    let again = Serving::start(folder.path(), &[&["--demo"], &named[..]].concat());
    again.wait_for_log("tests_passed=2");
    let scene = Scene::over(folder, TOLD_ALONE, &["--policies", "policies"]);
    assert_eq!(scene.policies()["active"]["tests"]["passed"], 2);
    save(&scene.path("policies/release/data.json"), &data("failing"));
    let failure = scene.wait_for_failure("test");
    assert!(failure["message"].as_str().unwrap().contains("2 of 2 tests did not pass"), "{failure}");
    assert_eq!(scene.decided_by(), "A");
}
