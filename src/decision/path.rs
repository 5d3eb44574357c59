//! The path, made unambiguous before any rule sees it.
//!
//! A gateway, regate and the server behind the gateway each read the same request target. A target
//! that two of them could read differently is refused here, so that no rule has to think of it.

use std::borrow::Cow;

use thiserror::Error;

/// What an organisation may change about the reading of paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    /// Keep an encoded `/` (`%2F`) inside its segment instead of refusing the path. For
    /// organisations whose ids contain `/`, and only where everything behind the gateway does the same.
    pub keep_encoded_slash: bool,
}

/// A request target that has one reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPath<'a> {
    /// The target up to the first `?`, as it came.
    pub raw: &'a str,
    /// The segments, each percent-decoded exactly once. Empty for `/`.
    pub segments: Vec<Cow<'a, str>>,
    /// What follows the first `?`, undecoded.
    pub query: Option<&'a str>,
}

/// Why a path is refused. All of them are `request.ambiguous_path` to the caller; the text is for
/// the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AmbiguousPath {
    /// It does not begin with `/` (an absolute URL, `*`, an empty string).
    #[error("the path does not begin with /")]
    NotRooted,
    /// Two `/` in a row, decoded or not.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// A `.` or `..` segment, however it is spelt.
    #[error("the path has a . or .. segment")]
    DotSegment,
    /// An encoded `/`.
    #[error("the path has an encoded /")]
    EncodedSlash,
    /// A `\`, encoded or not: some servers read it as `/`.
    #[error("the path has a backslash")]
    Backslash,
    /// NUL or another control character, encoded or not.
    #[error("the path has a control character")]
    ControlCharacter,
    /// A `%` that two hex digits do not follow.
    #[error("the path has a % that is not followed by two hex digits")]
    BrokenEncoding,
    /// Decoded once, it would decode again.
    #[error("the path is encoded twice")]
    DoubleEncoding,
    /// A `;`, encoded or not: some servers cut path parameters away.
    #[error("the path has a ; parameter")]
    Parameter,
    /// A segment begins or ends with white space, or ends with a dot: some servers drop both.
    #[error("the path has a segment with white space or a dot at its end")]
    Padding,
    /// A raw `#`: some servers cut a fragment away.
    #[error("the path has a fragment")]
    Fragment,
    /// The decoded bytes are not UTF-8.
    #[error("the path is not UTF-8")]
    InvalidUtf8,
}

impl<'a> RequestPath<'a> {
    /// Reads a request target: the path, and the query behind the first `?`.
    ///
    /// # Errors
    /// [`AmbiguousPath`] when two programs could read the path differently.
    pub fn read(target: &'a str, rules: PathRules) -> Result<Self, AmbiguousPath> {
        let (raw, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        // A line break in a query would end the request line for one reader and not for another.
        if query.is_some_and(has_control) {
            return Err(AmbiguousPath::ControlCharacter);
        }
        let rest = raw.strip_prefix('/').ok_or(AmbiguousPath::NotRooted)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            // `/` is the root; `//` is an empty segment between two slashes.
            return match raw.len() {
                1 => Ok(Self { raw, segments: Vec::new(), query }),
                _ => Err(AmbiguousPath::EmptySegment),
            };
        }
        let mut segments = Vec::with_capacity(8);
        for segment in rest.split('/') {
            segments.push(read_segment(segment, rules)?);
        }
        Ok(Self { raw, segments, query })
    }

    /// The query's names and values, decoded as HTML forms are (a browser's reading), in order.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        form_urlencoded::parse(self.query.unwrap_or_default().as_bytes())
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

fn read_segment(raw: &str, rules: PathRules) -> Result<Cow<'_, str>, AmbiguousPath> {
    if raw.is_empty() {
        return Err(AmbiguousPath::EmptySegment);
    }
    // One pass over the bytes decides whether there is anything to look at; most segments have none.
    let plain = raw.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if plain {
        return Ok(Cow::Borrowed(raw));
    }
    if raw.contains('#') {
        return Err(AmbiguousPath::Fragment);
    }
    let decoded = decode_once(raw)?;
    if decoded.contains('/') && !rules.keep_encoded_slash {
        return Err(AmbiguousPath::EncodedSlash);
    }
    if decoded.contains('\\') {
        return Err(AmbiguousPath::Backslash);
    }
    if decoded.contains(';') {
        return Err(AmbiguousPath::Parameter);
    }
    if has_control(&decoded) {
        return Err(AmbiguousPath::ControlCharacter);
    }
    if would_decode_again(&decoded) {
        return Err(AmbiguousPath::DoubleEncoding);
    }
    // A kept slash must not smuggle in what the split would have refused.
    for part in decoded.split('/') {
        match part {
            "" => return Err(AmbiguousPath::EmptySegment),
            "." | ".." => return Err(AmbiguousPath::DotSegment),
            _ if part.ends_with('.') || part.trim() != part => return Err(AmbiguousPath::Padding),
            _ => {}
        }
    }
    Ok(decoded)
}

fn hex_pair(high: Option<&u8>, low: Option<&u8>) -> Option<u8> {
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(high?)? << 4 | digit(low?)?)
}

fn decode_once(raw: &str) -> Result<Cow<'_, str>, AmbiguousPath> {
    if !raw.contains('%') {
        return Ok(Cow::Borrowed(raw));
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.as_bytes().iter();
    while let Some(&byte) = bytes.next() {
        if byte == b'%' {
            decoded.push(hex_pair(bytes.next(), bytes.next()).ok_or(AmbiguousPath::BrokenEncoding)?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| AmbiguousPath::InvalidUtf8)
}

fn would_decode_again(text: &str) -> bool {
    text.as_bytes().windows(3).any(|w| w[0] == b'%' && hex_pair(w.get(1), w.get(2)).is_some())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{AmbiguousPath as E, PathRules, RequestPath};

    fn segments(target: &str) -> Result<Vec<String>, E> {
        RequestPath::read(target, PathRules::default())
            .map(|path| path.segments.into_iter().map(String::from).collect())
    }

    #[test]
    fn reads_what_has_one_reading() {
        let cases: &[(&str, &[&str])] = &[
            ("/", &[]),
            ("/mcp", &["mcp"]),
            ("/mcp/", &["mcp"]),
            ("/a/b/c", &["a", "b", "c"]),
            ("/a?x=/../b", &["a"]),
            ("/a/?x", &["a"]),
            ("/?x", &[]),
            ("/%6Dcp", &["mcp"]),
            ("/a%20b", &["a b"]),
            ("/100%25", &["100%"]),
            ("/%25zz", &["%zz"]),
            ("/%C3%A4", &["ä"]),
            ("/ä", &["ä"]),
            ("/a.b/.c", &["a.b", ".c"]),
            ("/v1:batch/@me/~x/a,b=c", &["v1:batch", "@me", "~x", "a,b=c"]),
            ("/a%3Fb%23c", &["a?b#c"]),
        ];
        for (target, expected) in cases {
            assert_eq!(
                segments(target).as_deref(),
                Ok(&expected.iter().map(|s| s.to_string()).collect::<Vec<_>>()[..]),
                "{target}"
            );
        }
    }

    #[test]
    fn refuses_what_two_programs_could_read_differently() {
        let cases = [
            ("", E::NotRooted),
            ("*", E::NotRooted),
            ("mcp", E::NotRooted),
            ("http://api.example/mcp", E::NotRooted),
            ("?x", E::NotRooted),
            ("//", E::EmptySegment),
            ("//mcp", E::EmptySegment),
            ("/a//b", E::EmptySegment),
            ("/a//", E::EmptySegment),
            ("/.", E::DotSegment),
            ("/..", E::DotSegment),
            ("/mcp/../api", E::DotSegment),
            ("/mcp/%2e%2e/api", E::DotSegment),
            ("/mcp/.%2E/api", E::DotSegment),
            ("/a/./b", E::DotSegment),
            ("/a%2Fb", E::EncodedSlash),
            ("/mcp%2f..%2fapi", E::EncodedSlash),
            ("/a\\b", E::Backslash),
            ("/a%5Cb", E::Backslash),
            ("/..%5c", E::Backslash),
            ("/a\0b", E::ControlCharacter),
            ("/a%00", E::ControlCharacter),
            ("/a%0d%0ab", E::ControlCharacter),
            ("/a\r\nb", E::ControlCharacter),
            ("/a%7F", E::ControlCharacter),
            ("/a%C2%85", E::ControlCharacter),
            ("/a?b\nc", E::ControlCharacter),
            ("/a%", E::BrokenEncoding),
            ("/a%2", E::BrokenEncoding),
            ("/a%zz", E::BrokenEncoding),
            ("/a%u002e", E::BrokenEncoding),
            ("/a%252e%252e", E::DoubleEncoding),
            ("/%2525", E::DoubleEncoding),
            ("/%25%32%66", E::DoubleEncoding),
            ("/mcp;a=b", E::Parameter),
            ("/mcp/..;/api", E::Parameter),
            ("/mcp%3Ba", E::Parameter),
            ("/restart#x", E::Fragment),
            ("/secrets%20", E::Padding),
            ("/%20a", E::Padding),
            ("/secrets.", E::Padding),
            ("/...", E::Padding),
            ("/a%E2%80%A8", E::Padding),
            ("/%FF", E::InvalidUtf8),
            ("/%C0%AE%C0%AE", E::InvalidUtf8),
        ];
        for (target, expected) in cases {
            assert_eq!(segments(target), Err(expected), "{target:?}");
        }
    }

    #[test]
    fn an_encoded_slash_is_kept_only_when_asked_for() {
        let keep = PathRules { keep_encoded_slash: true };
        let read = |target| RequestPath::read(target, keep).map(|p| p.segments.concat());
        assert_eq!(read("/group%2Fproject"), Ok("group/project".to_owned()));
        assert_eq!(read("/a%2F..%2Fb"), Err(E::DotSegment));
        assert_eq!(read("/a%2F"), Err(E::EmptySegment));
        assert_eq!(read("/a%2F%2Fb"), Err(E::EmptySegment));
        assert_eq!(read("/a%252Fb"), Err(E::DoubleEncoding));
    }

    #[test]
    fn the_query_is_read_as_a_browser_reads_it() {
        let path = RequestPath::read("/a?b=1&b=2&c&d=%20+e", PathRules::default()).unwrap();
        let pairs: Vec<(String, String)> = path.query_pairs().map(|(n, v)| (n.into(), v.into())).collect();
        let expected = [("b", "1"), ("b", "2"), ("c", ""), ("d", "  e")];
        assert_eq!(pairs, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    /// Another program's way to read a path: the naive, the eager and the sloppy ones that are
    /// known from advisories. Each gives the segments that it would route by.
    fn other_readings(raw: &str) -> Vec<Vec<String>> {
        let once = |text: &str| {
            let bytes = percent_decode(text.as_bytes());
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let decode_first = once(raw);
        let decode_twice = once(&decode_first);
        let no_parameters =
            decode_first.split('/').map(|s| s.split(';').next().unwrap()).collect::<Vec<_>>().join("/");
        let no_fragment = decode_first.split('#').next().unwrap().to_owned();
        // A fragment can be cut only where it was written raw.
        let no_fragment = if raw.contains('#') { no_fragment } else { decode_first.clone() };
        let until_nul = decode_first.split('\0').next().unwrap().to_owned();
        [
            decode_first.clone(),
            decode_twice,
            no_parameters,
            no_fragment,
            until_nul,
            decode_first.replace('\\', "/"),
        ]
        .iter()
        .map(|text| {
            let mut stack: Vec<String> = Vec::new();
            for segment in text.split('/') {
                match segment {
                    "" | "." => {}
                    ".." => {
                        stack.pop();
                    }
                    other => stack.push(other.to_owned()),
                }
            }
            stack
        })
        .collect()
    }

    fn percent_decode(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut i = 0;
        while i < bytes.len() {
            let pair = bytes.get(i + 1..i + 3).and_then(|p| std::str::from_utf8(p).ok());
            match pair.and_then(|p| u8::from_str_radix(p, 16).ok()) {
                Some(byte) if bytes[i] == b'%' && !bytes[i + 1..i + 3].contains(&b'+') => {
                    out.push(byte);
                    i += 3;
                }
                _ => {
                    out.push(bytes[i]);
                    i += 1;
                }
            }
        }
        out
    }

    /// Paths made of the pieces that tricks are made of.
    fn tricky_path() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("mcp"),
            Just("api"),
            Just("/"),
            Just("/"),
            Just("."),
            Just(".."),
            Just("%2e"),
            Just("%2F"),
            Just("%5c"),
            Just("\\"),
            Just(";"),
            Just("%3b"),
            Just("%25"),
            Just("%"),
            Just("2"),
            Just("f"),
            Just("e"),
            Just("%00"),
            Just("%6d"),
            Just("%63p"),
            Just("#"),
            Just("%23"),
            Just("ä"),
            Just("%C3"),
            Just("%A4"),
            Just(" "),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

        #[test]
        fn decoding_an_accepted_path_again_changes_nothing(target in prop_oneof![tricky_path(), "/[ -~]{0,24}"]) {
            if let Ok(read) = segments(&target) {
                for segment in read {
                    prop_assert_eq!(percent_decode(segment.as_bytes()), segment.as_bytes());
                }
            }
        }

        #[test]
        fn every_other_reading_of_an_accepted_path_agrees_on_where_it_is(target in tricky_path()) {
            if let Ok(read) = segments(&target) {
                let inside = read.first().is_some_and(|s| s == "mcp");
                for other in other_readings(&target) {
                    prop_assert_eq!(other.first().is_some_and(|s| s == "mcp"), inside, "{} read as {:?}", target, other);
                    prop_assert_eq!(&other, &read, "{}", target);
                }
            }
        }

        #[test]
        fn no_input_panics(target in any::<String>()) {
            let _ = RequestPath::read(&target, PathRules::default());
            let _ = RequestPath::read(&target, PathRules { keep_encoded_slash: true });
        }
    }
}
