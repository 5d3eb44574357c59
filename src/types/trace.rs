//! The trace that a question belongs to (W3C Trace Context), as its sender says.

use std::fmt;

/// What a `traceparent` header says: which trace, which span of it asked, and whether it is recorded.
///
/// Whoever sends a request may write any: it says where spans belong, and nothing is trusted for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// `00-TRACE-PARENT-FLAGS`, checked: ASCII digits and lower-case letters.
    text: [u8; Self::LENGTH],
}

impl TraceParent {
    /// The header's name, in lower case.
    pub const HEADER: &'static str = "traceparent";
    const LENGTH: usize = 55;

    /// Reads a header's value, strictly: version 00, a trace and a parent that are not zero, lower case, nothing before
    /// or behind. Anything else is as if there were none.
    pub fn read(value: &str) -> Option<Self> {
        let text: [u8; Self::LENGTH] = value.as_bytes().try_into().ok()?;
        let dashes = [2, 35, 52].iter().all(|place| text[*place] == b'-');
        let version = text.starts_with(b"00");
        let id = |part: &[u8]| is_hex(part) && part.iter().any(|digit| *digit != b'0');
        (dashes && version && id(&text[3..35]) && id(&text[36..52]) && is_hex(&text[53..]))
            .then_some(Self { text })
    }

    /// The trace: 32 hexadecimal digits in lower case.
    pub fn trace_id(&self) -> &str {
        self.part(3, 35)
    }

    /// The span that asked: 16 hexadecimal digits in lower case.
    pub fn parent_id(&self) -> &str {
        self.part(36, 52)
    }

    /// Whether who asked records the trace.
    pub fn is_sampled(&self) -> bool {
        u8::from_str_radix(self.part(53, 55), 16).is_ok_and(|flags| flags & 1 == 1)
    }

    fn part(&self, begin: usize, end: usize) -> &str {
        // It is ASCII.
        std::str::from_utf8(&self.text[begin..end]).unwrap_or_default()
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.part(0, Self::LENGTH))
    }
}

fn is_hex(part: &[u8]) -> bool {
    part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::TraceParent;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    #[test]
    fn reads_what_the_recommendation_shows() {
        let read = TraceParent::read(&format!("00-{TRACE}-{PARENT}-01")).unwrap();
        assert_eq!((read.trace_id(), read.parent_id(), read.is_sampled()), (TRACE, PARENT, true));
        for (flags, sampled) in [("00", false), ("02", false), ("03", true), ("ff", true)] {
            let read = TraceParent::read(&format!("00-{TRACE}-{PARENT}-{flags}")).unwrap();
            assert_eq!(read.is_sampled(), sampled, "{flags}");
        }
        assert_eq!(format!("{read:?}"), format!("00-{TRACE}-{PARENT}-01"));
    }

    #[test]
    fn anything_else_is_none() {
        let zeros = |count| "0".repeat(count);
        for value in [
            String::new(),
            format!("01-{TRACE}-{PARENT}-01"),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}-1"),
            format!("00-{TRACE}-{PARENT}-01-"),
            format!("00-{TRACE}-{PARENT}-01-00"),
            format!(" 00-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}-0g"),
            format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            format!("00-{}-{PARENT}-01", zeros(32)),
            format!("00-{TRACE}-{}-01", zeros(16)),
            format!("00_{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}_{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}_01"),
            // Two values that were joined, and a letter of two bytes that fits the length.
            format!("00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}-é"),
        ] {
            assert_eq!(TraceParent::read(&value), None, "{value}");
        }
    }
}
