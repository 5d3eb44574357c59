//! The codes of findings. Each has a section in `docs/check-codes.md`, which is what `--explain` prints: its
//! examples are tried by a test.
//!
//! **To add one more:** a row below, a section there, and the module that finds it.

use std::fmt;

use serde::{Serialize, Serializer};

use super::finding::Severity;

/// The page with a section for each code.
const PAGE: &str = include_str!("../../../docs/check-codes.md");

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $severity:ident, $summary:literal;)+) => {
        /// What sort of thing was found. The codes are part of the contract: they stand in comments.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $summary] $name,)+ }

        impl Code {
            /// All codes, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code, as it is written.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity),+ }
            }

            /// One line for people.
            pub fn summary(self) -> &'static str {
                match self { $(Self::$name => $summary),+ }
            }
        }
    };
}

codes! {
    Compile = "compile", Error, "the bundle cannot be read or compiled";
    Interpreted = "interpreted", Warning, "Rego that the virtual machine cannot run, so that the whole bundle is slow";
    UnknownInput = "unknown-input", Error, "a field of `input` that does not exist";
    UnknownData = "unknown-data", Error, "a place below `data` that nothing provides";
    UnknownValue = "unknown-value", Error, "a comparison with a text that never stands there";
    UnknownFunction = "unknown-function", Error, "a function that is neither a rule nor a builtin";
    WrongArguments = "wrong-arguments", Error, "a function is called with too many or too few arguments";
    ImpureFunction = "impure-function", Error, "a function whose result depends on more than input and data";
    UnusedImport = "unused-import", Warning, "an import that nothing uses";
    UnusedVariable = "unused-variable", Warning, "a variable or parameter that nothing reads";
    UnreachableRule = "unreachable-rule", Warning, "a rule that no entrypoint and no test reaches";
    MissingDefault = "missing-default", Warning, "an entrypoint that can be undefined";
    NegatedUndefined = "negated-undefined", Warning, "a `not` that also holds when something is missing";
    ConflictingRules = "conflicting-rules", Warning, "two definitions that give different values";
    UndefinedHead = "undefined-head", Error, "a value that may be undefined, with an else after it";
    PackageReadWhole = "package-read-whole", Error, "a package or object of rules, read as a whole";
    UnusedAllow = "unused-allow", Warning, "a comment that silences nothing";
}

impl Code {
    /// The code of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// The section of the documentation: what is wrong with it, with a bad and a good example. Markdown.
    pub fn explanation(self) -> &'static str {
        let heading = format!("\n## {}\n", self.as_str());
        let Some((_, rest)) = PAGE.split_once(&heading) else { return self.summary() };
        rest.split_once("\n## ").map_or(rest, |(section, _)| section).trim()
    }

    /// What to do about it: the first paragraph of the section.
    pub fn help(self) -> String {
        let paragraph = self.explanation().split("\n\n").next().unwrap_or_default();
        paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
