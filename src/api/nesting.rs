//! How deep a JSON text is nested, found before anything is built from it.

/// Whether arrays and objects in `json` are nested deeper than `limit`. Brackets within strings do
/// not count. Of a text that is not JSON the answer means nothing, and the reader will refuse it.
pub(super) fn is_deeper_than(json: &[u8], limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    false
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_deeper_than;

    #[test]
    fn counts_levels_and_not_brackets_in_strings() {
        assert!(!is_deeper_than(br#"{"a":[1,{"b":2}]}"#, 3));
        assert!(is_deeper_than(br#"{"a":[1,{"b":2}]}"#, 2));
        assert!(!is_deeper_than(br#"{"a":"[[[[\"[[[["}"#, 1));
        assert!(!is_deeper_than(br#"[[],[],[[]]]"#, 3));
        assert!(!is_deeper_than(br#""\\"[[" "#, 2));
        assert!(is_deeper_than("[".repeat(200).as_bytes(), 64));
    }
}
