//! The flags that confine a token to projects and tools.

use clap::Args;

use crate::{cli::exit::CommandError, store::import::ProjectList};

/// Lists that a token is limited to.
#[derive(Debug, Args)]
pub(super) struct Confinement {
    /// Confine it to this project, until EXPIRY if one is given (RFC 3339, or never); may be repeated
    #[arg(long = "only-project", value_name = "PROJECT[=EXPIRY]", value_parser = entry)]
    pub only_projects: Vec<Entry>,
    /// Confine it to no project at all (an empty list)
    #[arg(long, conflicts_with = "only_projects")]
    pub no_projects: bool,
    /// Confine it to this tool (tokens of kind mcp); may be repeated. The gateway must send the MCP message with its
    /// question: a call of another tool, or of one that is not named, is refused
    #[arg(long = "tool", value_name = "NAME")]
    pub tools: Vec<String>,
    /// Confine it to no tool at all (an empty list)
    #[arg(long, conflicts_with = "tools")]
    pub no_tools: bool,
}

/// A project and its own expiry.
type Entry = (String, Option<String>);

/// The last `=` parts the two; what ends with `=` is a mistake (an empty variable) and no project without an expiry.
fn entry(text: &str) -> Result<Entry, String> {
    match text.rsplit_once('=') {
        None => Ok((text.to_owned(), None)),
        Some((project, "never")) => Ok((project.to_owned(), None)),
        Some((_, "")) => Err(
            "after = stands an expiry such as 2030-01-01T00:00:00Z, or never; without one, leave out the ="
                .to_owned(),
        ),
        Some((project, expiry)) => Ok((project.to_owned(), Some(expiry.to_owned()))),
    }
}

impl Confinement {
    /// The list of projects, if there is to be one.
    pub(super) fn projects(&self) -> Result<Option<ProjectList>, CommandError> {
        let mut names: Vec<&str> = self.only_projects.iter().map(|(project, _)| project.as_str()).collect();
        names.sort_unstable();
        if let Some([twice, _]) = names.array_windows().find(|[one, two]| one == two) {
            // Which of two expiries holds must not hang on their order.
            return Err(CommandError::Usage(format!(
                "--only-project names {twice:?} twice; keep one of them"
            )));
        }
        let given = self.no_projects || !names.is_empty();
        Ok(given.then(|| ProjectList(self.only_projects.clone())))
    }

    /// The list of tools, if there is to be one.
    pub(super) fn tools(&self) -> Option<Vec<String>> {
        (self.no_tools || !self.tools.is_empty()).then(|| self.tools.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::entry;

    #[test]
    fn a_project_may_have_an_expiry_and_an_id_with_any_character() {
        let plain = |project: &str| Ok((project.to_owned(), None));
        assert_eq!(entry("p1"), plain("p1"));
        assert_eq!(entry("p1=never"), plain("p1"));
        assert_eq!(entry("a=b=never"), plain("a=b"));
        let expiry = "2030-01-01T00:00:00Z";
        assert_eq!(entry(&format!("a=b={expiry}")), Ok(("a=b".to_owned(), Some(expiry.to_owned()))));
        assert!(entry("p1=").is_err() && entry("=").is_err());
    }
}
