//! Where in a file something is wrong, read out of a message.

use std::{fmt, sync::LazyLock};

use regex::Regex;

/// A place in a policy file, as precisely as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePlace {
    /// The file, as its source was named.
    pub file: String,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
}

impl SourcePlace {
    /// The first place that a message names: the engine writes `--> file:line:column`, regate itself
    /// begins with `file:line: `.
    pub fn in_message(message: &str) -> Option<Self> {
        static ENGINE: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"(?m)^\s*--> (.+?):(\d+):(\d+)\s*$").ok());
        static OWN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^([^\n]+?):(\d+): ").ok());
        let engine = ENGINE.as_ref().and_then(|pattern| pattern.captures(message));
        let found = engine.or_else(|| OWN.as_ref().and_then(|pattern| pattern.captures(message)))?;
        let number = |group| found.get(group).and_then(|digits| digits.as_str().parse().ok());
        Some(Self { file: found.get(1)?.as_str().to_owned(), line: number(2), column: number(3) })
    }
}

impl fmt::Display for SourcePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::SourcePlace;

    #[test]
    fn the_first_place_is_found_in_either_form() {
        for (message, expected) in [
            ("--> policies/a b.rego:3:14\n  |\n3 | foo\nerror: x", Some("policies/a b.rego:3:14")),
            ("x\n  --> a.rego:1:2\n --> b.rego:3:4", Some("a.rego:1:2")),
            ("policies/a.rego:7: a default function", Some("policies/a.rego:7")),
            ("a.rego exceeds the limit", None),
            ("", None),
        ] {
            let found = SourcePlace::in_message(message).map(|place| place.to_string());
            assert_eq!(found.as_deref(), expected, "{message}");
        }
    }
}
