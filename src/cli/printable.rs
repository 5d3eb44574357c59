//! Texts that came from anybody, made fit for a terminal.

use std::borrow::Cow;

/// A text without what a terminal would take for a command, on one line: control characters are escaped.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, char::is_control)
}

/// The same of a text that may have several lines, and tabs.
pub(super) fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.is_control() && !matches!(c, '\n' | '\t'))
}

/// An id beside words: in quotes where it could be taken for one of them, or for several ids.
pub(super) fn as_name(id: &str) -> Cow<'_, str> {
    let words = ["none", "(all)"];
    if is_plain(id) && !words.contains(&id) { Cow::Borrowed(id) } else { Cow::Owned(format!("{id:?}")) }
}

/// An id as a shell takes it for one argument.
pub(super) fn as_argument(id: &str) -> Cow<'_, str> {
    if is_plain(id) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(format!("'{}'", printable(id).replace('\'', r"'\''")))
}

/// Whether an id has no character that ends a word, for people or for a shell.
fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|c| c.is_alphanumeric() || "._-:@/+".contains(c))
}

fn escaped(text: &str, dangerous: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&dangerous) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().flat_map(|c| {
        let escape = dangerous(c).then(|| c.escape_default());
        let plain = escape.is_none().then_some(c);
        escape.into_iter().flatten().chain(plain)
    });
    Cow::Owned(escaped.collect())
}

#[cfg(test)]
mod tests {
    use super::{as_argument, as_name, printable, printable_lines};

    #[test]
    fn an_id_is_told_from_the_words_beside_it() {
        for (id, name, argument) in [
            ("u1", "u1", "u1"),
            ("a.b@c-d", "a.b@c-d", "a.b@c-d"),
            ("a b", "\"a b\"", "'a b'"),
            ("a, b", "\"a, b\"", "'a, b'"),
            ("it's", "\"it's\"", r"'it'\''s'"),
            ("none", "\"none\"", "none"),
            ("", "\"\"", "''"),
        ] {
            assert_eq!((as_name(id).as_ref(), as_argument(id).as_ref()), (name, argument));
        }
    }

    #[test]
    fn a_terminal_is_given_no_commands() {
        assert_eq!(printable("/a\u{1b}[2J\u{9b}ü\n"), "/a\\u{1b}[2J\\u{9b}ü\\n");
        assert_eq!(printable("ü"), "ü");
        assert_eq!(printable_lines("a\n\tb\r\u{1b}[2J"), "a\n\tb\\r\\u{1b}[2J");
    }
}
