//! Whether what a command printed is what the page shows, but for what differs each time.

use regex::Regex;
use serde_json::Value;

use super::blocks::Shown;

/// What is another each time, and what stands for it.
const EACH_TIME: [(&str, &str); 6] = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID"),
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z?", "TIME"),
    (r"[0-9a-f]{64}", "HASH"),
    (r"\b[0-9]+(\.[0-9]+)? ?(µs|ms|s)\b", "SHORT"),
    (r"rgt_(global|project|mcp|admin|gateway)_[0-9A-Za-z]*…?", "TOKEN"),
    (r"[ \t]+", " "),
];

fn without_what_differs(text: &str) -> String {
    EACH_TIME.iter().fold(text.to_owned(), |text, (each, word)| {
        Regex::new(each).unwrap().replace_all(&text, *word).into_owned()
    })
}

/// What is wrong; `None` if nothing is.
pub fn difference(shown: &Shown, printed: &str) -> Option<String> {
    match shown {
        Shown::Text(shown) => text_difference(shown, printed),
        Shown::Json(shown) => {
            let expected: Value = serde_json::from_str(shown).expect("what the page shows is JSON");
            // What is told before, such as a header, is not shown.
            let found = printed.find('{').map(|start| serde_json::from_str::<Value>(&printed[start..]));
            match found {
                Some(Ok(found)) if is_same(&expected, &found) => None,
                _ => Some("the JSON is another".to_owned()),
            }
        }
    }
}

/// Each line that is shown is printed, in this order; a line `…` stands for any number of them.
fn text_difference(shown: &str, printed: &str) -> Option<String> {
    let printed = without_what_differs(printed);
    let mut rest = printed.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    let mut anywhere = false;
    for line in shown.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.trim() == "…" {
            anywhere = true;
            continue;
        }
        let line = without_what_differs(line);
        let found = if anywhere {
            rest.any(|other| fits(&line, other))
        } else {
            rest.next().is_some_and(|other| fits(&line, other))
        };
        if !found {
            return Some(format!("this line is not printed there: {line}"));
        }
        anywhere = false;
    }
    let more = if anywhere { None } else { rest.next() };
    more.map(|_| "more is printed than shown".to_owned())
}

/// `…` in what is shown stands for anything.
fn fits(shown: &str, printed: &str) -> bool {
    let pattern = shown.split('…').map(regex::escape).collect::<Vec<_>>().join(".*");
    Regex::new(&format!("^{pattern}$")).unwrap().is_match(printed)
}

fn is_same(shown: &Value, printed: &Value) -> bool {
    match (shown, printed) {
        (Value::Object(shown), Value::Object(printed)) => {
            shown.len() == printed.len()
                && shown.iter().all(|(name, value)| {
                    printed.get(name).is_some_and(|other| is_counted(name) || is_same(value, other))
                })
        }
        (Value::Array(shown), Value::Array(printed)) => {
            shown.len() == printed.len() && shown.iter().zip(printed).all(|(a, b)| is_same(a, b))
        }
        (Value::String(shown), Value::String(printed)) => {
            fits(&without_what_differs(shown), &without_what_differs(printed))
        }
        _ => shown == printed,
    }
}

/// Numbers that depend on what was done before.
fn is_counted(name: &str) -> bool {
    ["data_revision", "revision", "latency_micros"].contains(&name)
}

#[test]
fn only_what_differs_each_time_may_differ() {
    let text = |text: &str| Shown::Text(text.to_owned());
    let json = |text: &str| Shown::Json(text.to_owned());
    assert_eq!(difference(&text("a 12 ms\n…\nd"), "a 7 ms\nb\nc\nd\n"), None);
    assert_eq!(difference(&text("minted rgt_mcp_…"), "minted rgt_mcp_x"), None);
    for (shown, printed) in [("a", "b\n"), ("a", "a\nb\n"), ("a\nb", "a\n"), ("a\n…\nd", "a\nb\n")] {
        assert!(difference(&text(shown), printed).is_some(), "{shown}: {printed}");
    }
    let shown = r#"{"allow": true, "decision_id": "01a1fd2c-7d3c-7e0f-a6a7-0f0f4ff1d0c1", "policy_revision": "3f9a…", "data_revision": 1}"#;
    let printed = |allow: &str| {
        format!(
            r#"HTTP {{"data_revision":9,"allow":{allow},"decision_id":"{}","policy_revision":"3f9a1"}}"#,
            "0".repeat(8) + "-0000-0000-0000-000000000000"
        )
        .trim_start_matches("HTTP ")
        .to_owned()
    };
    assert_eq!(difference(&json(shown), &printed("true")), None);
    assert!(difference(&json(shown), &printed("false")).is_some());
    assert!(difference(&json(r#"{"a": 1}"#), r#"{"a": 1, "b": 2}"#).is_some());
    assert!(difference(&json(r#"{"a": 1}"#), "").is_some());
}
