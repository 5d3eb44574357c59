//! What to do about a word on the command line that is none, where more is known than the parser knows.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Flags of `token mint` that say what a token is.
const FOR_GOOD: [&str; 6] =
    ["--kind", "--user", "--project", "--scope-pull", "--scope-push", "--all-tenants"];

/// The error with a better tip, if there is one. `arguments` are the program's, its name the first.
pub(super) fn with_tip(mut error: clap::Error, arguments: &[String]) -> clap::Error {
    // What stands behind a flag that takes no value may be a secret.
    if of_secrets(arguments) && error.kind() == ErrorKind::TooManyValues {
        error.remove(ContextKind::InvalidValue);
    }
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidArg) else { return error };
    if let Some(tip) = tip(wrong, arguments) {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// Whether it is a command that a secret is given to.
fn of_secrets(arguments: &[String]) -> bool {
    let words: Vec<&str> = arguments.iter().skip(1).take(2).map(String::as_str).collect();
    matches!(words[..], ["credentials", "put"] | ["upstream", "client-secret"])
}

fn tip(wrong: &str, arguments: &[String]) -> Option<String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let of_change = words.get(1..3) == Some(&["token", "change"]);
    if of_change && FOR_GOOD.contains(&wrong) {
        return Some(
            "what a token is and may do never changes: mint another one, and revoke this one".to_owned(),
        );
    }
    // `--disabled false`: a flag that may stand alone takes its value with =.
    let flag = words.array_windows().find(|[_, value]| *value == wrong).map(|[flag, _]| *flag)?;
    let takes = matches!(flag, "--disabled" | "--public") && matches!(wrong, "true" | "false");
    takes.then(|| format!("write {flag}={wrong}, with = between"))
}

#[cfg(test)]
mod tests {
    use super::tip;

    #[test]
    fn there_is_a_tip_where_the_parser_has_a_wrong_one() {
        let of = |wrong: &str, line: &str| {
            tip(wrong, &line.split(' ').map(str::to_owned).collect::<Vec<_>>()).unwrap_or_default()
        };
        assert!(of("false", "regate user put bob --disabled false").starts_with("write --disabled=false"));
        assert!(of("--scope-push", "regate token change t1 --scope-push").starts_with("what a token is"));
        assert_eq!(of("--scope-push", "regate token show t1 --scope-push"), "");
        assert_eq!(of("maybe", "regate user put bob --disabled maybe"), "");
    }
}
