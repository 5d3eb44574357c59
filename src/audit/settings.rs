//! What the configuration says about records.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use thiserror::Error;

use super::record::Text;

/// Which parts of a question are recorded beside those that always are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedParts {
    /// Names of headers, in lower case.
    headers: Vec<String>,
    /// Paths that name a project, as segments.
    projects: Vec<Vec<PatternSegment>>,
}

/// A segment of a path that names a project.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PatternSegment {
    /// This word, in any case: an upstream may route it to the same place.
    Word(String),
    /// The project's id.
    Project,
}

/// A text is no path that names a project.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not a path such as /api/v1/projects/{{project}}: it begins with / and has {{project}} once, as a whole segment"
)]
pub struct InvalidProjectPath(String);

impl Default for RecordedParts {
    fn default() -> Self {
        let word = |word: &str| PatternSegment::Word(word.to_owned());
        let project = || PatternSegment::Project;
        Self {
            // Those that the shipped rules look at.
            headers: Self::USUAL_HEADERS.map(str::to_owned).to_vec(),
            projects: vec![
                vec![word("api"), word("v1"), word("projects"), project()],
                vec![word("api"), word("v1"), word("mcp"), word("projects"), project()],
                vec![word("mcp"), word("projects"), project()],
            ],
        }
    }
}

impl RecordedParts {
    /// The headers that are recorded unless the configuration says otherwise.
    pub const USUAL_HEADERS: [&'static str; 3] =
        ["x-http-method", "x-http-method-override", "x-method-override"];
    /// The paths that name a project unless the configuration says otherwise.
    pub const USUAL_PROJECTS: [&'static str; 3] =
        ["/api/v1/projects/{project}", "/api/v1/mcp/projects/{project}", "/mcp/projects/{project}"];

    /// Reads names of headers, in any case, and paths with `{project}` in them.
    ///
    /// # Errors
    /// [`InvalidProjectPath`].
    pub fn read<'t>(
        headers: impl IntoIterator<Item = &'t str>,
        projects: impl IntoIterator<Item = &'t str>,
    ) -> Result<Self, InvalidProjectPath> {
        let headers = headers.into_iter().map(|name| name.trim().to_ascii_lowercase()).collect();
        let projects = projects.into_iter().map(read_pattern).collect::<Result<_, _>>()?;
        Ok(Self { headers, projects })
    }

    pub(super) fn records_header(&self, name: &str) -> bool {
        self.headers.iter().any(|recorded| recorded == name)
    }

    /// The project that a request target names.
    pub(super) fn project<'t>(&self, target: &'t str) -> Option<Text<'t>> {
        let path = target.split(['?', '#']).next().unwrap_or_default().strip_prefix('/')?;
        self.projects.iter().find_map(|pattern| {
            let mut segments = path.split('/');
            let mut project = None;
            for expected in pattern {
                let segment = segments.next()?;
                match expected {
                    PatternSegment::Word(word) if segment.eq_ignore_ascii_case(word) => {}
                    PatternSegment::Word(_) => return None,
                    PatternSegment::Project => project = Some(segment),
                }
            }
            let project = project.filter(|project| !project.is_empty())?;
            let decoded = percent_decode_str(project).decode_utf8_lossy();
            (!super::masking::looks_secret(&decoded)).then_some(match decoded {
                Cow::Borrowed(_) => Cow::Borrowed(project),
                Cow::Owned(decoded) => Cow::Owned(decoded),
            })
        })
    }
}

fn read_pattern(text: &str) -> Result<Vec<PatternSegment>, InvalidProjectPath> {
    let invalid = || InvalidProjectPath(text.to_owned());
    let rest = text.trim().strip_prefix('/').ok_or_else(invalid)?;
    let segments: Vec<PatternSegment> = rest
        .split('/')
        .map(|segment| match segment {
            "{project}" => PatternSegment::Project,
            word => PatternSegment::Word(word.to_owned()),
        })
        .collect();
    let names = segments.iter().filter(|segment| **segment == PatternSegment::Project).count();
    let odd = |segment: &PatternSegment| matches!(segment, PatternSegment::Word(word) if word.is_empty() || word.contains(['{', '}', '%', '?', '#']));
    if names == 1 && !segments.iter().any(odd) { Ok(segments) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::RecordedParts;

    #[test]
    fn the_project_is_found_where_the_path_names_one() {
        let parts = RecordedParts::default();
        assert_eq!(
            RecordedParts::read(RecordedParts::USUAL_HEADERS, RecordedParts::USUAL_PROJECTS),
            Ok(parts.clone())
        );
        for (target, project) in [
            ("/api/v1/projects/p1", Some("p1")),
            ("/api/v1/projects/p1/builds?x=/y", Some("p1")),
            ("/mcp/Projects/p%201/jobs", Some("p 1")),
            ("/api/v1/mcp/projects/p2", Some("p2")),
            ("/api/v1/projects", None),
            ("/api/v1/projects/", None),
            ("/api/v1/projects/rgt_global_abcdef", None),
            ("/health", None),
            ("", None),
        ] {
            assert_eq!(parts.project(target).as_deref(), project, "{target}");
        }
        for wrong in
            ["", "projects/{project}", "/projects", "/{project}/{project}", "/p{project}", "//{project}"]
        {
            assert!(RecordedParts::read([], [wrong]).is_err(), "{wrong}");
        }
    }
}
