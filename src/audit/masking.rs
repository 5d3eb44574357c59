//! What a record must not hold: the values of names that stand for secrets, and what looks like a credential wherever
//! it stands. Most texts hold neither, and to see that costs one pass over their bytes.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::record::Text;
use crate::decision::stands_for_a_secret;

/// What stands in the place of a secret.
const HIDDEN: &str = "[masked]";

/// How credentials begin, in lower case, by their first letter: regate's own tokens, schemes of `Authorization`, what others mint.
/// JWTs and URLs with a password are known by more than that.
const fn beginnings(first: u8) -> &'static [&'static [u8]] {
    match first {
        b'a' => &[b"akia"],
        b'b' => &[b"bearer ", b"bearer%20", b"basic ", b"basic%20"],
        b'g' => &[b"ghp_", b"gho_", b"ghs_", b"github_pat_", b"glpat-"],
        b'r' => &[b"rgt_"],
        b'x' => &[b"xoxb-", b"xoxp-"],
        _ => &[],
    }
}

/// Masks texts, and keeps what it has masked.
#[derive(Debug, Default)]
pub(super) struct Masking {
    /// The members whose value was masked.
    pub masked: Vec<Text<'static>>,
    /// The members whose value is recorded in part.
    pub cut: Vec<Text<'static>>,
}

/// The most bytes that are recorded of a text that is longer than anybody means it: whoever asks would choose how much
/// room the log takes.
const LONGEST: usize = 2 * 1024;
/// The same of a path with its query.
const LONGEST_TARGET: usize = 8 * 1024;

impl Masking {
    /// A text that stands in the member `member`; hidden if it looks like a credential.
    pub fn text<'a>(&mut self, member: &'static str, text: &'a str) -> Text<'a> {
        if looks_secret(text) {
            return self.hide(Cow::Borrowed(member));
        }
        self.whole_or_cut(member, Cow::Borrowed(text), LONGEST)
    }

    /// Cuts what is too long.
    fn whole_or_cut<'a>(&mut self, member: &'static str, text: Text<'a>, longest: usize) -> Text<'a> {
        if text.len() <= longest {
            return text;
        }
        if !self.cut.iter().any(|cut| cut == member) {
            self.cut.push(Cow::Borrowed(member));
        }
        let end = text.floor_char_boundary(longest);
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
            Cow::Owned(mut text) => {
                text.truncate(end);
                Cow::Owned(text)
            }
        }
    }

    /// The same of a text that may be missing.
    pub fn optional<'a>(&mut self, member: &'static str, text: Option<&'a str>) -> Option<Text<'a>> {
        text.map(|text| self.text(member, text))
    }

    /// The value of a header; hidden also if the name stands for a secret.
    pub fn header<'a>(&mut self, name: &str, value: &'a str) -> Text<'a> {
        if stands_for_a_secret(name) || looks_secret(value) {
            self.hide(Cow::Owned(format!("request.headers.{name}")))
        } else {
            self.whole_or_cut("request.headers", Cow::Borrowed(value), LONGEST)
        }
    }

    /// A request target: its segments, and the values in its query.
    pub fn target<'a>(&mut self, target: &'a str) -> Text<'a> {
        let shown = self.whole_target(target);
        self.whole_or_cut("request.path", shown, LONGEST_TARGET)
    }

    fn whole_target<'a>(&mut self, target: &'a str) -> Text<'a> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        // Some servers read `;name=value` behind a segment.
        let has_parameter = path.contains([';', '%']) && path.split('/').any(has_secret_parameter);
        let shown_path = if has_parameter || looks_secret(path) {
            let shown: Vec<Text<'_>> = path
                .split('/')
                .map(|segment| match has_secret_parameter(segment) {
                    true => self.hide(Cow::Borrowed("request.path")),
                    false => self.text("request.path", segment),
                })
                .collect();
            // What begins in one segment and ends in another.
            let joined = shown.join("/");
            if looks_secret(&joined) { self.hide(Cow::Borrowed("request.path")) } else { Cow::Owned(joined) }
        } else {
            Cow::Borrowed(path)
        };
        let Some(query) = query else { return shown_path };
        let shown_query = self.query(query);
        match (shown_path, shown_query) {
            (Cow::Borrowed(_), Cow::Borrowed(_)) => Cow::Borrowed(target),
            (path, query) => Cow::Owned(format!("{path}?{query}")),
        }
    }

    fn query<'a>(&mut self, query: &'a str) -> Text<'a> {
        if !query.split(SEPARATORS).any(|pair| is_secret_pair(pair, NESTED)) {
            return Cow::Borrowed(query);
        }
        let mut shown = String::with_capacity(query.len());
        for pair in query.split_inclusive(SEPARATORS) {
            let separator = if pair.ends_with(SEPARATORS) { &pair[pair.len() - 1..] } else { "" };
            let bare = &pair[..pair.len() - separator.len()];
            if is_secret_pair(bare, NESTED) {
                // A name without a value may be one.
                let name = bare.split_once('=').map_or("", |(name, _)| name);
                let name = if looks_secret(&decoded(name)) { "" } else { name };
                self.masked.push(Cow::Owned(format!("request.query.{name}")));
                shown.push_str(name);
                shown.push('=');
                shown.push_str(HIDDEN);
            } else {
                shown.push_str(bare);
            }
            shown.push_str(separator);
        }
        Cow::Owned(shown)
    }

    fn hide<'a>(&mut self, member: Text<'static>) -> Text<'a> {
        if !self.masked.contains(&member) {
            self.masked.push(member);
        }
        Cow::Borrowed(HIDDEN)
    }
}

/// What stands between the pairs of a query: a server may take `;` for `&`.
const SEPARATORS: [char; 2] = ['&', ';'];
/// How deep a query within a value is looked at.
const NESTED: usize = 3;

/// As forms are decoded.
fn decoded(text: &str) -> Cow<'_, str> {
    // Most texts are as they are, and each decision's are looked at.
    if !text.bytes().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned())
}

/// Whether a pair of a query holds a secret: by its name, by the look of either, or within its value, which may be a URL.
fn is_secret_pair(pair: &str, depth: usize) -> bool {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    if name.is_empty() && value.is_empty() {
        return false;
    }
    let (name, value) = (decoded(name), decoded(value));
    if (!value.is_empty() && stands_for_a_secret(&name)) || looks_secret(&name) || looks_secret(&value) {
        return true;
    }
    let inner = value.contains('=') || name.contains('=');
    inner && (depth == 0 || [name, value].iter().any(|text| holds_secret_pair(text, depth - 1)))
}

fn holds_secret_pair(text: &str, depth: usize) -> bool {
    text.split(['?', '&', ';', '#']).any(|pair| pair.contains('=') && is_secret_pair(pair, depth))
}

/// Whether behind a `;` of a segment stands a secret under its name.
fn has_secret_parameter(segment: &str) -> bool {
    let segment = decoded(segment);
    segment.split(';').skip(1).any(|pair| is_secret_pair(pair, NESTED))
}

/// Whether a text holds what looks like a credential, in any case, percent-encoded or not.
pub(super) fn looks_secret(text: &str) -> bool {
    if holds_beginning(text.as_bytes()) {
        return true;
    }
    if !text.contains('%') {
        return false;
    }
    // Twice encoded is nobody's path, but may be what somebody wrote.
    let mut decoded = Cow::Borrowed(text);
    for _ in 0..2 {
        let next = percent_decode_str(&decoded).decode_utf8_lossy().into_owned();
        if holds_beginning(next.as_bytes()) {
            return true;
        }
        decoded = Cow::Owned(next);
    }
    false
}

fn holds_beginning(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().any(|(at, byte)| {
        let rest = &bytes[at..];
        match byte.to_ascii_lowercase() {
            first @ (b'a' | b'b' | b'g' | b'r' | b'x') => beginnings(first).iter().any(|beginning| {
                rest.len() > beginning.len() && rest[..beginning.len()].eq_ignore_ascii_case(beginning)
            }),
            // Two dots behind it make it a JWT; words that begin so are few.
            b'e' => rest.starts_with(b"eyJ") && rest.iter().filter(|byte| **byte == b'.').count() >= 2,
            // https://user:password@host
            b':' => {
                rest.starts_with(b"://")
                    && rest[3..]
                        .iter()
                        .take_while(|byte| !matches!(byte, b'/' | b'?'))
                        .any(|byte| *byte == b'@')
            }
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Masking, looks_secret};

    fn target(target: &str) -> (String, Vec<String>) {
        let mut masking = Masking::default();
        let shown = masking.target(target).into_owned();
        (shown, masking.masked.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_secret_in_a_target_is_masked_and_listed() {
        let plain = "/api/v1/projects/p1/builds?limit=5&page=2";
        assert_eq!(target(plain), (plain.to_owned(), Vec::new()));
        for (sent, shown, masked) in [
            ("/a?token=abc&limit=5", "/a?token=[masked]&limit=5", "request.query.token"),
            ("/a?limit=5;api%5Fkey=abc", "/a?limit=5;api%5Fkey=[masked]", "request.query.api%5Fkey"),
            ("/a?q=rgt_global_abcdef", "/a?q=[masked]", "request.query.q"),
            ("/a?q=rgt%5Fglobal_abcdef", "/a?q=[masked]", "request.query.q"),
            ("/a?rgt_global_abcdef", "/a?=[masked]", "request.query."),
            ("/a/rgt_global_abcdef/b", "/a/[masked]/b", "request.path"),
            ("/a/RGT%255Fglobal_abcdef/b?x=1", "/a/[masked]/b?x=1", "request.path"),
            ("/a/eyJhbGciOi.eyJzdWIi.c2ln", "/a/[masked]", "request.path"),
            ("/a?Basic+dXNlcjpwYXNz=", "/a?=[masked]", "request.query."),
            ("/a?q=Bearer+opaque", "/a?q=[masked]", "request.query.q"),
            ("/a?next=%2Fcb%3Faccess_token%3Dopaque", "/a?next=[masked]", "request.query.next"),
            ("/a/b;token=opaque/c", "/a/[masked]/c", "request.path"),
            ("/a/b%3Btoken=opaque", "/a/[masked]", "request.path"),
        ] {
            assert_eq!(target(sent), (shown.to_owned(), vec![masked.to_owned()]), "{sent}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_said() {
        let mut masking = Masking::default();
        assert_eq!(masking.text("mcp.params.name", &"\u{e9}".repeat(5_000)).len(), 2_048);
        let target = format!("/a/{}", "b".repeat(20_000));
        assert_eq!(masking.target(&target).len(), 8_192);
        assert_eq!(masking.cut, ["mcp.params.name", "request.path"]);
    }

    #[test]
    fn texts_without_a_credential_are_left_alone() {
        for text in [
            "",
            "eyJ",
            "barge",
            "basic",
            "rgt_",
            "tools/call",
            "Mozilla/5.0 (X11)",
            "https://h/@alice",
            "akia",
        ] {
            assert!(!looks_secret(text), "{text}");
        }
        for text in
            ["x rgt_mcp_a", "Bearer abc", "basic%20dTpw", "https://u:p@h/", "ghp_abc", "AKIAIOSFODNN7"]
        {
            assert!(looks_secret(text), "{text}");
        }
    }
}
