//! What the reader of the configuration says, in words that name the setting and what it may be.

use crate::types::without_values;

/// Settings that are one of a few words.
const CHOICES: [(&str, &str); 8] = [
    (".role_from`", "\"database\" or \"claim\""),
    ("`audit.mode`", "\"durable\", \"spooled\" or \"off\""),
    ("`gateways.authentication`", "\"required\" or \"optional\""),
    ("`policy.engine`", "\"auto\", \"virtual_machine\" or \"interpreter\""),
    ("`policy.rego_version`", "\"v1\" or \"v0\""),
    ("`requests.encoded_slash`", "\"deny\" or \"keep\""),
    ("`log.format`", "\"text\" or \"json\""),
    ("`log.requests`", "\"none\", \"refused\" or \"all\""),
];

/// The reader's message without the lines of the file that it shows, and without the value that it
/// found: either may hold the database's password.
pub(super) fn in_our_words(message: &str) -> String {
    let lines = message.lines().filter(|line| !line.contains('|'));
    lines.map(|line| explained(&without_values(line))).collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn explained(line: &str) -> String {
    let line = with_dots(line);
    let choice = line
        .contains("does not have variant constructor")
        .then(|| CHOICES.iter().find(|(key, _)| line.contains(key)))
        .flatten();
    match (choice, line.rsplit_once(" for key ")) {
        (Some((_, words)), Some((_, key))) => format!("another word, expected {words} for key {key}"),
        (None, Some((said, key))) => match to_write(said, key) {
            Some(words) => format!("{}: write {words}", key.trim_matches('`')),
            None => line,
        },
        _ => line,
    }
}

/// What a setting is, where the reader found something else.
fn to_write(said: &str, key: &str) -> Option<&'static str> {
    let expected = said.strip_prefix("invalid type: ")?.rsplit_once("expected ")?.1;
    Some(match expected {
        "a sequence" => "a list, such as [\"…\"]",
        "a boolean" => "true or false, without quotation marks",
        "an integer" | "usize" | "u16" | "u32" | "u64" | "i64" if key.contains("_bytes") => {
            "a number of bytes, without quotation marks"
        }
        "an integer" | "usize" | "u16" | "u32" | "u64" | "i64" => "a number, without quotation marks",
        _ => return None,
    })
}

/// `issuers[0]role_from` as it is written everywhere else: `issuers[0].role_from`.
fn with_dots(line: &str) -> String {
    let mut text = String::with_capacity(line.len() + 1);
    let mut before = None;
    for character in line.chars() {
        if before == Some(']') && character.is_ascii_lowercase() {
            text.push('.');
        }
        text.push(character);
        before = Some(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::cli::configuration::Configuration;

    fn read(toml: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regate.toml");
        std::fs::write(&path, toml).unwrap();
        let read = Configuration::read(Some(&path), std::iter::empty());
        read.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_setting_is_named_with_what_it_may_be() {
        let issuer = "[[issuers]]\nissuer = \"i\"\naudience = \"a\"\n";
        for (section, key, words) in [
            ("[gateways]\n", "authentication", &["required", "optional"][..]),
            ("[audit]\n", "mode", &["durable", "spooled", "off"]),
            ("[policy]\n", "engine", &["auto", "virtual_machine", "interpreter"]),
            ("[policy]\n", "rego_version", &["v1", "v0"]),
            ("[requests]\n", "encoded_slash", &["deny", "keep"]),
            ("[log]\n", "format", &["text", "json"]),
            ("[log]\n", "requests", &["none", "refused", "all"]),
            (issuer, "role_from", &["database", "claim"]),
        ] {
            let said = read(&format!("{section}{key} = \"hunter2\""));
            assert!(said.contains(&format!(".{key}`")) && !said.contains("hunter2"), "{said}");
            for word in words {
                assert!(said.contains(&format!("{word:?}")), "{said}");
                assert_eq!(read(&format!("{section}{key} = {word:?}")), "");
            }
        }
        assert!(read("[[issuers]]\nissuer = \"i\"").contains("issuers[0].audience"));
        assert!(read(&format!("{issuer}leeway = \"x\"")).contains("`issuers[0].leeway`"));
        for (line, expected) in [
            ("[opa]\npaths = \"hunter2\"", "opa.paths: write a list"),
            ("[http]\nmax_body_bytes = \"hunter2\"", "http.max_body_bytes: write a number of bytes"),
            ("[http]\nmax_nesting = \"hunter2\"", "http.max_nesting: write a number"),
            (
                "[forward_auth]\ntrust_loopback = \"hunter2\"",
                "forward_auth.trust_loopback: write true or false",
            ),
        ] {
            let said = read(line);
            assert!(said.contains(expected) && !said.contains("hunter2"), "{line}: {said}");
        }
        for (value, least, most) in [
            ("max_days = 0", 1, 36_500),
            ("max_days = 36501", 1, 36_500),
            ("max_live_per_user = -1", 1, 1_000_000),
        ] {
            let said = read(&format!("[tokens]\n{value}"));
            assert!(said.contains(&format!("is not between {least} and {most}")), "{value}: {said}");
        }
        assert_eq!(read("[tokens]\nmax_days = 36500\nmax_live_per_user = 1"), "");
    }
}
