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
    use super::{printable, printable_lines};

    #[test]
    fn a_terminal_is_given_no_commands() {
        assert_eq!(printable("/a\u{1b}[2J\u{9b}ü\n"), "/a\\u{1b}[2J\\u{9b}ü\\n");
        assert_eq!(printable("ü"), "ü");
        assert_eq!(printable_lines("a\n\tb\r\u{1b}[2J"), "a\n\tb\\r\\u{1b}[2J");
    }
}
