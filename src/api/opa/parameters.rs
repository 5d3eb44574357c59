//! The parameters of a call, read as OPA reads them.

use super::error::OpaError;

/// What stands behind the `?` of a call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    /// The input of a GET: the last one counts.
    pub input: Option<String>,
    /// Indented.
    pub pretty: bool,
    /// Also say how long it took (`metrics`, `instrument`).
    pub metrics: bool,
    /// Also say which version and policy answered.
    pub provenance: bool,
}

/// What OPA traces.
const TRACES: [&str; 4] = ["notes", "fails", "full", "debug"];

impl Parameters {
    /// # Errors
    /// [`OpaError::Invalid`] for what OPA does and regate does not: an answer that leaves it out would be taken for one that
    /// has looked.
    pub fn read(query: Option<&str>) -> Result<Self, OpaError> {
        let pairs: Vec<_> = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
        let values = |name: &'static str| {
            pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_ref())
        };
        // Without a value it is meant; with several, one has to say so.
        let says = |name| match values(name).collect::<Vec<_>>()[..] {
            [""] => true,
            ref values => values.iter().any(|value| value.eq_ignore_ascii_case("true")),
        };
        let refuse = |text: &str| Err(OpaError::Invalid(text.to_owned()));
        if says("strict-builtin-errors") {
            return refuse(
                "strict-builtin-errors: regate has no such mode: a built-in function that fails is undefined",
            );
        }
        if values("explain").any(|value| TRACES.contains(&value)) {
            return refuse("explain: ask /v1/explain, which says rule by rule why");
        }
        Ok(Self {
            input: values("input").next_back().map(str::to_owned),
            pretty: says("pretty"),
            metrics: says("metrics") || says("instrument"),
            provenance: says("provenance"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Parameters;

    #[test]
    fn parameters_are_read_as_opa_reads_them() {
        let read = |query| Parameters::read(Some(query)).ok();
        let pretty = |query| read(query).map(|read| read.pretty);
        assert_eq!(read(""), Some(Parameters::default()));
        for yes in ["pretty", "pretty=", "pretty=true", "pretty=TRUE", "pretty=no&pretty=true"] {
            assert_eq!(pretty(yes), Some(true), "{yes}");
        }
        for no in ["pretty=false", "pretty=1", "Pretty", "pretty=&pretty="] {
            assert_eq!(pretty(no), Some(false), "{no}");
        }
        assert!(read("instrument").is_some_and(|read| read.metrics));
        assert_eq!(read("input=1&input=%7B%7D").and_then(|read| read.input).as_deref(), Some("{}"));
        assert!(read("explain=off&explain=x&strict-builtin-errors=false&unknown").is_some());
        for refused in [
            "explain=full",
            "explain=off&explain=notes",
            "strict-builtin-errors",
            "strict-builtin-errors=true",
        ] {
            assert_eq!(read(refused), None, "{refused}");
        }
    }
}
