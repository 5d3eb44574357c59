//! Why a bundle cannot be used.

use thiserror::Error;

/// Why a bundle cannot be used. The text is for the engineer who edits it.
#[derive(Debug, Error)]
pub enum CompileError {
    /// The compiler's own message, with file, line and column.
    #[error("{0}")]
    Rego(String),
    /// There is no rule at the path that gateways ask.
    #[error(
        "no rule at the entrypoint {path}{}: set [policy] entrypoint to a rule that the bundle defines",
        of_package(rules)
    )]
    EntrypointMissing {
        /// The path that is asked.
        path: String,
        /// What there is below it, if it is a package.
        rules: Vec<String>,
    },
    /// The rules could not be prepared for the virtual machine.
    #[error("the rules could not be prepared for the virtual machine: {0}")]
    Unguarded(String),
    /// Brackets within brackets, deeper than the engine's parser can read in reasonable time.
    #[error(
        "{file}:{line}: brackets are nested more than {limit} deep here: the time to read them doubles with each level"
    )]
    Nested {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// The most levels.
        limit: usize,
    },
    /// The rules could not be marked for explanations.
    #[error("the rules could not be marked for explanations: {0}")]
    Unmarked(String),
    /// Rego that would not be evaluated as it is meant; file, line and what to write instead.
    #[error("{0}")]
    Refused(String),
    /// A chain of rules is longer than the stack has room for.
    #[error("the rule {rule} asks a rule that asks another, and so on: more than {limit} in a chain")]
    LongChain {
        /// The first of them.
        rule: String,
        /// The most.
        limit: usize,
    },
    /// A rule can reach itself.
    #[error("a rule calls itself, which Rego does not allow: {0}")]
    Recursion(String),
    /// A rule or a data file stands where the database's documents go.
    #[error("{place} collides with data.{document}, which comes from the database: move it")]
    ReservedDocument {
        /// The rule or data file.
        place: String,
        /// The first name below `data`.
        document: &'static str,
    },
    /// A rule, a data file or another document stands where one of the organisation's own goes.
    #[error("the document data.{path} (a [[documents]] section) collides with {place}: give it another path")]
    Mounted {
        /// The document's path below `data`.
        path: String,
        /// What is there.
        place: String,
    },
    /// A data file stands where a rule is.
    #[error(
        "a data file and a rule both define {0}: move or rename one of them (a data file lands at the path of its folder)"
    )]
    Conflict(String),
    /// The data files are not one object.
    #[error("the bundle's data is not an object")]
    DataNotObject,
}

/// So many rules of a package are named.
const NAMED: usize = 12;

fn of_package(rules: &[String]) -> String {
    if rules.is_empty() {
        return String::new();
    }
    let more = if rules.len() > NAMED { ", …" } else { "" };
    format!(
        " (it is a package: its rules are {}{more})",
        rules.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ")
    )
}
