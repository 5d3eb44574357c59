//! Each code: its examples in the documentation, and the cases around it.

use serde_json::json;

use super::{CheckOptions, CheckedSource, Code, Finding, check};
use crate::decision::{Mount, RegoSource, RegoVersion, document};

fn options() -> CheckOptions {
    CheckOptions {
        entrypoints: vec!["data.regate.decision".into()],
        optional_entrypoints: Vec::new(),
        rego_version: RegoVersion::V1,
        mounts: vec![Mount { path: "company.teams".parse().unwrap(), list: false }],
        data: document(json!({"routes": {"safe": {"GET": true}, "names": ["a"]}})),
        input_schema: true,
    }
}

fn source(name: &str, text: &str) -> CheckedSource {
    let source = RegoSource { name: name.to_owned(), text: text.to_owned() };
    CheckedSource { source, is_test: name.ends_with("_test.rego") }
}

/// The findings of one file, which gets the package `acme` and an entrypoint if it has none.
fn findings_with(text: &str, options: &CheckOptions) -> Vec<Finding> {
    let text = if text.contains("package ") { text.to_owned() } else { format!("package acme\n\n{text}\n") };
    let mut sources = vec![source("a.rego", &text)];
    if !text.contains("package regate\n") {
        sources.push(source("entrypoint.rego", "package regate\n\ndecision := true\n"));
    }
    check(&sources, options)
}

/// The same, without the rules that nothing reaches: examples are not whole bundles.
fn findings(text: &str) -> Vec<Finding> {
    let mut findings = findings_with(text, &options());
    findings.retain(|finding| finding.code != Code::UnreachableRule);
    findings
}

fn codes(text: &str) -> Vec<&'static str> {
    findings(text).iter().map(|finding| finding.code.as_str()).collect()
}

#[test]
fn the_examples_of_the_documentation_are_what_they_say() {
    for code in Code::ALL {
        let section = code.explanation();
        let blocks: Vec<&str> =
            section.split("```rego\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
        let [bad, good] = blocks[..] else { panic!("{code}: {} examples", blocks.len()) };
        assert!(section.contains("Bad:\n") && section.contains("Good:\n"), "{code}");
        for (example, expected) in [(bad, true), (good, false)] {
            let mut found = findings_with(example, &options());
            found.retain(|finding| finding.code == *code || finding.code != Code::UnreachableRule);
            assert_eq!(
                found.iter().any(|finding| finding.code == *code),
                expected,
                "{code}: {example}\n{found:?}"
            );
            assert!(found.iter().all(|finding| finding.code == *code), "{code}: {example}\n{found:?}");
        }
        assert!(!section.contains("]("), "{code}: a link would lead nowhere in a terminal");
        assert!(code.help().len() > 40 && !code.help().contains('\n'), "{code}: {}", code.help());
    }
}

#[test]
fn the_example_of_silence_is_silent() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/check.md")).unwrap();
    let example = page.split("## Silence").nth(1).unwrap().split("```rego\n").nth(1).unwrap();
    assert_eq!(codes(example.split("```").next().unwrap()), Vec::<&str>::new());
}

#[test]
fn bad_rules_are_found_and_good_ones_let_alone() {
    let cases: &[(&str, &[&str])] = &[
        // unknown-input
        ("p if input.tokn.kind == \"mcp\"", &["unknown-input"]),
        ("p if input[\"tokn\"].kind == \"mcp\"", &["unknown-input"]),
        ("p if input.request.method.upper", &["unknown-input"]),
        ("p if input.request.path.first", &["unknown-input"]),
        ("p if { t := input.token; u := t; u.usr_id }", &["unknown-input"]),
        ("p if { some n, t in input.token.projects; t > 1; n.x }", &[]),
        ("p if { some segment in input.request.path; segment.name }", &["unknown-input"]),
        ("p if { [x | x := input.requst.path[_]] == [] }", &["unknown-input"]),
        ("p if { every s in input.requst.path { s == \"\" } }", &["unknown-input"]),
        ("import input.tokn\n\np if tokn.kind == \"mcp\"", &["unknown-input"]),
        ("import input.token as t\n\np if t.knd == \"mcp\"", &["unknown-input"]),
        ("q := 1\n\np if q == 1 with input.tokn as {}", &["unknown-input"]),
        ("f(input_of) if input_of.anything", &[]),
        ("p if { token := {\"knd\": 1}; token.knd == 1 }", &[]),
        ("p if { input.context.anything.at.all; input.mcp.params.x; input.request.query.q[0] }", &[]),
        ("p if { name := \"token\"; input[name].whatever }", &[]),
        // unknown-data
        ("p if data.users[input.token.user_id].rol", &["unknown-data"]),
        ("p if data.nosuch", &["unknown-data"]),
        ("p if data.acme.q", &["unknown-data"]),
        ("p if data.routes.saef.GET", &["unknown-data"]),
        ("p if { data.routes.safe.GET; data.routes.names[0]; data.company.teams.x.y }", &[]),
        ("p if data.company.taems", &["unknown-data"]),
        ("q := 1\n\np if q == 1 with data.nosuch as 1", &["unknown-data"]),
        ("import data.nosuch\n\np if nosuch.x", &["unknown-data"]),
        ("import data.regate as r\n\np if r.decison", &["unknown-data"]),
        ("p if { some u in data.users; u.rol == \"admin\" }", &["unknown-data"]),
        ("p if { projects := data.projects; projects.x.publik }", &["unknown-data"]),
        // unknown-value
        ("p if input.token.kind != \"mpc\"", &["unknown-value"]),
        ("p if \"mpc\" = input.token.kind", &["unknown-value"]),
        ("p if { t := input.token; t.kind in {\"mcp\", \"globl\"} }", &["unknown-value"]),
        ("p if not data.users.x.role == \"root\"", &["unknown-value"]),
        ("p := [u | some u in data.users; u.role == \"root\"]", &["unknown-value"]),
        (
            "p if { input.token.kind == \"session\"; input.request.method == \"FETCH\"; input.token.kind != null }",
            &[],
        ),
        ("p if { input.token.kind in data.routes.names; \"x\" in input.request.path }", &[]),
        ("p if input.request.method == \"post\"", &["unknown-value"]),
        ("p if { m := input.request.method; m in {\"GET\", \"Head\"} }", &["unknown-value"]),
        ("p if input.mcp.method == \"tools/list\"", &[]),
        ("p if startswith(input.request.path, \"/admin\")", &["unknown-value"]),
        ("p if { path := input.request.path; endswith(path, \"x\") }", &["unknown-value"]),
        ("p if regex.match(\"^/admin\", input.request.path)", &["unknown-value"]),
        ("p := contains(input.request.path, \"admin\")", &["unknown-value"]),
        (
            "p if { startswith(input.request.path[0], \"a\"); contains(concat(\"/\", input.request.path), \"x\") }",
            &[],
        ),
        ("p if startswith(input.request.raw_path, \"/admin\")", &[]),
        // unknown-function, wrong-arguments, impure-function
        ("p if nosuch(1)", &["unknown-function"]),
        ("import data.regate as r\n\np if r.check(1)", &["unknown-function"]),
        ("q := 1\n\np if q(1)", &["unknown-function"]),
        ("f(x) := x\n\np if f(1, 2, 3)", &["wrong-arguments"]),
        ("f(x) := x\n\np if { f(1, y); y == 1 }", &[]),
        ("p if count()", &["wrong-arguments"]),
        ("p if { walk({}, [_, _]) }", &[]),
        ("p if print(1)", &["unknown-function"]),
        ("p := uuid.rfc4122(\"x\")", &["impure-function"]),
        ("p := http.send({})", &["impure-function"]),
        ("p := count(rand.intn(\"x\", 2))", &["impure-function"]),
        // unused
        ("import rego.v1\n\np := 1", &[]),
        ("import data.regate\n\np if regate.decision", &[]),
        ("p if { x := 1 }", &["unused-variable"]),
        ("p if { _x := 1 }", &[]),
        ("p if { some k, v in {}; v }", &["unused-variable"]),
        ("p if { some x; [1][x] == 1 }", &[]),
        ("p if { some x; 1 == 1 }", &["unused-variable"]),
        ("p contains x if { x := 1 }", &[]),
        ("p[x] := y if { x := \"a\"; y := 1 }", &[]),
        ("p := 1 if { x := 2; [y | y := x] == [] }", &[]),
        ("f([a, b]) := a", &["unused-variable"]),
        ("f(\"x\", b) := b", &[]),
        ("f(a) := 1 if a == 1\n\nelse := 2", &[]),
        // conflicting-rules
        ("p := 1 if input.request.method == \"A\"\n\np := 2 if input.request.method == \"B\"", &[]),
        ("p := 1 if input.user.disabled\n\np := 2 if not input.user.disabled", &[]),
        ("p if input.user.disabled\n\np := false if input.token.scope_pull", &["conflicting-rules"]),
        ("f(x) := 1 if x > 1\n\nf(x) := 2 if x > 2", &["conflicting-rules"]),
        ("f(1) := 1\n\nf(2) := 2", &[]),
        // undefined-head
        ("p := to_number(input.request.method) if input.now > 1\n\nelse := 0", &["undefined-head"]),
        ("p := input.request.method if input.now > 1\n\nelse := 0", &[]),
        ("p := input.request.path[2] if count(input.request.path) > 2\n\nelse := 0", &[]),
        ("p := input.request.path[2] if count(input.request.path) == 2\n\nelse := 0", &["undefined-head"]),
        ("q := 1 if input.now > 1\n\np := q if input.now > 2\n\nelse := 0", &["undefined-head"]),
        ("q := 1 if input.now > 1\n\nr if q\n\np := q if r\n\nelse := 0", &[]),
        ("default q := 1\n\np := q if input.now > 2\n\nelse := 0", &[]),
        ("p := input.request.path[2] if input.now > 2", &[]),
        // package-read-whole
        ("p := data.regate", &["package-read-whole"]),
        ("m.a := 1\n\nm.b := 2\n\np if count(m) > 0", &["package-read-whole"]),
        ("m.a := 1\n\np if m.a", &[]),
        ("import data.regate\n\np if regate.decision", &[]),
        ("p := data.routes", &[]),
        // negated-undefined
        ("p if not input.token.expires_at < input.now", &["negated-undefined"]),
        ("p if { input.token.expires_at != null; not input.token.expires_at < input.now }", &[]),
        ("p if { is_number(input.token.expires_at); not input.token.expires_at < input.now }", &[]),
        ("p if { input.token; not startswith(input.token.kind, \"m\") }", &["negated-undefined"]),
        ("p if { input.token.id; not startswith(input.token.kind, \"m\") }", &[]),
        ("p if not startswith(input.request.raw_path, \"/admin\")", &[]),
        ("p if { h := input.request.host; not startswith(h, \"a\") }", &["negated-undefined"]),
        ("p if { some s in input.request.path; not startswith(s, \"a\") }", &[]),
        ("p if not startswith(input.request.path[0], \"a\")", &["negated-undefined"]),
        ("p if not lower(input.request.host) == \"a\"", &["negated-undefined"]),
        ("p if not to_number(input.context.level) > 3", &["negated-undefined"]),
        ("p if not contains(data.users[input.token.user_id].role, \"x\")", &["negated-undefined"]),
        ("p if { not input.user.disabled; not input.token.scope_push == true; not input.mcp }", &[]),
        ("p if { not is_string(input.token.user_id); not \"mcp\" in input.request.path }", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(codes(text), *expected, "{text}\n{:#?}", findings(text));
    }
}

#[test]
fn messages_say_what_to_do_and_where() {
    let cases = [
        ("p if {\n\tx := := 1\n}", "4:7", "expecting expression"),
        ("p if input.tokn.kind", "3:12", "`input` has no `tokn`, did you mean `token`?"),
        ("p if data.colaborators.x", "3:11", "did you mean `collaborators`?"),
        (
            "p if { t := input.token; t.usr_id }",
            "3:28",
            "`input.token` has no `usr_id`, did you mean `user_id`?",
        ),
        ("# ü\np if { \"ü\" == input.tokn }", "4:21", "did you mean `token`?"),
        ("f(x) := x\n\np if f()", "5:6", "`data.acme.f` takes 1 argument, and is given 0"),
        ("p if startwith(\"a\", \"b\")", "3:6", "did you mean `startswith`?"),
        ("p := time.now_ns()", "3:6", "use `input.now`"),
        ("format(x) := x\n\np if fromat(1)", "5:6", "there is no function `fromat`"),
    ];
    for (text, expected, message) in cases {
        let found = findings(text);
        let place = found[0].place.unwrap();
        assert_eq!(format!("{}:{}", place.line, place.column), expected, "{text}");
        assert!(found[0].message.contains(message), "{text}: {found:#?}");
    }
}

#[test]
fn comments_silence_and_are_missed_when_they_do_not() {
    let cases: &[(&str, &[&str])] = &[
        ("p if input.tokn # regate:allow unknown-input", &[]),
        ("# regate:allow unknown-input because\n# of this\np if input.tokn", &[]),
        ("p if input.tokn\n# regate:allow-file unknown-input", &[]),
        ("p if { x := input.tokn } # regate:allow unknown-input, unused-variable both", &[]),
        ("p if input.tokn # regate:allow unknown-data", &["unknown-input", "unused-allow"]),
        ("p := 1 # regate:allow unknown-inptu", &["unused-allow"]),
        ("p := \"# regate:allow unknown-input\"", &[]),
        ("p := `\n# regate:allow unknown-input\n`", &[]),
        ("p := \"\\\"\" # regate:allow unknown-input", &["unused-allow"]),
        ("p if input.tokn\n\nq := 1 # regate:allow unknown-input", &["unknown-input", "unused-allow"]),
    ];
    for (text, expected) in cases {
        assert_eq!(codes(text), *expected, "{text}\n{:#?}", findings(text));
    }
}

#[test]
fn another_input_than_regates_is_let_alone() {
    let options = CheckOptions { input_schema: false, ..options() };
    for text in ["p if input.tokn.kind", "p if input.tokn # regate:allow unknown-input"] {
        let found = findings_with(text, &options);
        assert!(found.iter().all(|finding| finding.code == Code::UnreachableRule), "{found:#?}");
    }
}

#[test]
fn what_nothing_reaches_is_found_across_files() {
    let sources = [
        source("a.rego", "package regate\n\ndecision if data.b.open\n\ndefault decision := false\n"),
        source("b.rego", "package b\n\nopen if data.overrides.deny == set()\n\nleft := 1\n\ntested := 2\n"),
        source("c.rego", "package overrides\n\ndeny contains \"x\" if false\n"),
        source("d.rego", "package overrides\n\ndeny contains \"y\" if false\n"),
        source("e.rego", "package f\n\nshared := 1\n\nlonely := 2\n"),
        source(
            "a_test.rego",
            "package t\n\ntest_b if data.b.tested == data.f[\"shared\"]\n\nhelper := 1\n\ninvariant_x if data.b.open\n",
        ),
    ];
    let found = check(&sources, &options());
    let found: Vec<String> =
        found.iter().map(|finding| format!("{} {}", finding.file, finding.code)).collect();
    let expected = ["a_test.rego unreachable-rule", "b.rego unreachable-rule", "e.rego unreachable-rule"];
    assert_eq!(found, expected);
}

#[test]
fn divergences_of_the_machine_are_no_matter_in_tests() {
    let text = "package t\n\ntest_x if { print(1); count(data.t) > 0 }\n\ntest_y := input.request.path[9] if true\n\nelse := 1\n";
    let sources = [source("a.rego", "package regate\n\ndecision := true\n"), source("a_test.rego", text)];
    assert_eq!(check(&sources, &options()), []);
}

#[test]
fn each_file_that_does_not_parse_is_named_with_its_place() {
    let sources = [
        source("a.rego", "package regate\n\ndecision if {\n"),
        source("b.rego", "package b\n\nx := := 1\n"),
        source("c.rego", "package c\n\nx if input.tokn\n"),
    ];
    let found = check(&sources, &options());
    let places: Vec<_> = found.iter().map(|f| (f.file.as_str(), f.code, f.place.map(|p| p.line))).collect();
    assert_eq!(places, [("a.rego", Code::Compile, Some(4)), ("b.rego", Code::Compile, Some(3))]);
    assert!(found.iter().all(|finding| !finding.message.contains('\n')), "{found:#?}");
}

#[test]
fn what_serve_would_refuse_is_refused() {
    let cases = [
        ("package other\n\nx := 1\n", "no rule at the entrypoint"),
        ("package regate\n\ndecision if { f(1) }\n\nf(x) if g(x)\n\ng(x) if f(x)\n", "a rule calls itself"),
        ("package users\n\nx := 1\n", "no rule at"),
    ];
    for (text, expected) in cases {
        let found = check(&[source("a.rego", text)], &options());
        let compile = found.iter().find(|finding| finding.code == Code::Compile).unwrap();
        assert!(compile.message.contains(expected), "{compile:?}");
        assert_eq!(compile.file, "a.rego");
    }
}

#[test]
fn a_package_one_letter_from_another_is_said_to_be() {
    let entrypoint = "package regate\n\ndecision := count(data.regate.overrides.deny) == 0\n";
    let sources = [
        source("a.rego", entrypoint),
        source("b.rego", "package regate.overrides\n\ndeny contains \"x\" if input.token.id\n"),
        source("c.rego", "package regate.overides\n\ndeny contains \"y\" if input.token.id\n"),
        source("d.rego", "package regate.others\n\ndeny contains \"y\" if input.token.id\n"),
    ];
    let found = check(&sources, &options());
    let messages: Vec<(&str, bool)> = found
        .iter()
        .map(|finding| (&*finding.file, finding.message.contains("did you mean regate.overrides, ")))
        .collect();
    assert_eq!(messages, [("c.rego", true), ("d.rego", false)], "{found:?}");
}

#[test]
fn a_test_that_is_to_do_is_no_unreachable_rule() {
    let sources = [
        source("a.rego", "package regate\n\ndecision := true\n"),
        source("a_test.rego", "package regate_test\n\ntodo_test_x if data.regate.decision\n"),
    ];
    assert_eq!(check(&sources, &options()), []);
}

#[test]
fn messages_of_the_engine_say_what_to_write() {
    let older = check(&[source("a.rego", "package regate\n\ndecision { input.x }\n")], &options());
    assert!(older[0].message.contains("--rego-version v0, or [policy] rego_version"), "{older:?}");
    let package = CheckOptions { entrypoints: vec!["data.regate".into()], ..options() };
    let rules = "package regate\n\ndecision := true\n\nother := data.regate.decision\n";
    let package = check(&[source("a.rego", rules)], &package);
    assert!(package[0].message.contains("it is a package: its rules are decision, other"), "{package:?}");
    let sorts = [
        source("a.rego", "package regate\n\ndecision := data.o.deny\n"),
        source("b.rego", "package o\n\ndeny if input.token.id\n"),
        source("c.rego", "package o\n\n\ndeny contains \"x\" if input.token.id\n"),
    ];
    let sorts = check(&sorts, &options());
    let compile = sorts.iter().find(|finding| finding.code == Code::Compile).unwrap();
    assert_eq!((&*compile.file, compile.place.map(|place| place.line)), ("b.rego", Some(3)));
    assert!(compile.message.contains("at c.rego:4: write `deny contains … if`"), "{compile:?}");
    let collision = [
        source("a.rego", "package regate\n\ndecision := data.routes.safe\n"),
        source("b.rego", "package routes\n\nsafe := true\n"),
    ];
    let collision = check(&collision, &options());
    assert!(
        collision.iter().any(|found| found.message.contains("both define data.routes.safe")),
        "{collision:?}"
    );
    let with = source(
        "a.rego",
        "package regate\n\nx := input.now\n\ndecision if data.regate.x with input as {}\n\ndefault decision := false\n",
    );
    let with = check(&[with], &options());
    assert!(with.iter().any(|found| found.message.contains("write a function that takes")), "{with:?}");
}
