//! `regate token identify`: verdicts and places, never a token.

use std::path::Path;

use rand::{SeedableRng, rngs::StdRng};
use regate::{auth, types::TokenKind};
use serde_json::{Value, json};

use crate::harness::program::{run, stderr, stdout};

fn minted(kind: TokenKind, seed: u64) -> String {
    auth::mint(kind, &mut StdRng::seed_from_u64(seed)).token.expose().to_owned()
}

fn identify(flags: &[&str], input: &str) -> (Option<i32>, String) {
    // The folder is empty, and nothing is written to it: no configuration, no database.
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &[&["token", "identify"], flags].concat(), input);
    assert!(folder.path().read_dir().unwrap().next().is_none());
    assert_eq!(stderr(&output), "");
    (output.status.code(), stdout(&output))
}

#[test]
fn well_formed_tokens_are_told_with_their_kind() {
    for (seed, kind) in TokenKind::ALL.into_iter().enumerate() {
        let token = minted(kind, seed as u64);
        let expected = format!("a well-formed regate token of kind {kind} ({}…)\n", &token[..12]);
        for (flags, input) in
            [(&[][..], format!("{token}\n")), (&["-"], token.clone()), (&[], format!("{token}\r\n"))]
        {
            assert!(identify(flags, &input) == (Some(0), expected.clone()), "{kind}");
        }
    }
}

#[test]
fn each_line_has_a_verdict_that_names_what_is_wrong_and_shows_nothing_of_it() {
    let token = minted(TokenKind::Mcp, 9);
    let last = if token.ends_with('0') { '1' } else { '0' };
    let lines = [
        (token.clone(), "token", Some("mcp"), None),
        ("ghp_something".to_owned(), "foreign", None, None),
        (String::new(), "foreign", None, None),
        (format!("rgt_root_{}", &token[8..]), "broken", None, Some("kind")),
        (token[..40].to_owned(), "broken", Some("mcp"), Some("length")),
        (format!("{}-", &token[..56]), "broken", Some("mcp"), Some("alphabet")),
        (format!("{}{last}", &token[..56]), "broken", Some("mcp"), Some("checksum")),
    ];
    let input: String = lines.iter().map(|(line, ..)| format!("{line}\n")).collect();
    let (code, said) = identify(&[], &input);
    assert_eq!((code, said.lines().count()), (Some(2), lines.len()));
    let (code, objects) = identify(&["--json"], &input);
    assert_eq!((code, objects.lines().count()), (Some(2), lines.len()));
    for (number, (object, (_, verdict, kind, fault))) in objects.lines().zip(&lines).enumerate() {
        let object: Value = serde_json::from_str(object).unwrap();
        let prefix = fault.is_none().then(|| kind.map(|_| &token[..12])).flatten();
        let expected =
            json!({"line": number + 1, "verdict": verdict, "kind": kind, "fault": fault, "prefix": prefix});
        assert!(object == expected, "line {}", number + 1);
    }
    for text in [said, objects] {
        assert!(!text.contains(&token[8..13]) && !text.contains("something"));
    }
    // An empty input is no token either, as when a script's variable is empty.
    assert_eq!(identify(&[], ""), (Some(2), "no input\n".to_owned()));
    let output = run(Path::new("/"), &["token", "identify", "--json"], "");
    assert_eq!(
        (output.status.code(), stdout(&output), stderr(&output)),
        (Some(2), String::new(), "no input\n".into())
    );
}

#[test]
fn a_token_is_no_argument() {
    let token = minted(TokenKind::Global, 5);
    let output = run(Path::new("/"), &["token", "identify", &token], "");
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(64), ""));
    assert!(stderr(&output).contains("standard input") && !stderr(&output).contains("rgt_"));
}

#[test]
fn a_scan_gives_the_places_of_tokens_and_fails_if_there_is_one() {
    let (one, two) = (minted(TokenKind::Global, 6), minted(TokenKind::Gateway, 7));
    let look_alike = format!("rgt_mcp_{}", "0".repeat(49));
    let text = format!("nothing here\nä {look_alike} Bearer {one}\"\n\n{two}{one}");
    let (code, said) = identify(&["--scan"], &text);
    assert_eq!(code, Some(2));
    let (first, second) = (&one[..12], &two[..12]);
    let column = 3 + look_alike.len() + " Bearer ".len();
    let expected = format!(
        "2:{column}: a regate token of kind global ({first}…)\n4:1: a regate token of kind gateway ({second}…)\n\
         4:{}: a regate token of kind global ({first}…)\n3 regate token(s) in 4 line(s)\n",
        1 + two.len()
    );
    assert!(said == expected, "the report is another one");
    let (code, objects) = identify(&["--scan", "--json"], &text);
    let places: Vec<Value> = objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, places.len()), (Some(2), 3));
    assert_eq!((&places[0]["line"], &places[0]["column"]), (&json!(2), &json!(column)));
    assert_eq!(identify(&["--scan"], &look_alike), (Some(0), "0 regate token(s) in 1 line(s)\n".to_owned()));
    assert_eq!(identify(&["--scan", "--json"], ""), (Some(0), String::new()));
}
