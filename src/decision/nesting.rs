//! How deep brackets are nested in a file of rules.
//!
//! The parser of regorus 0.14 tries several readings of what stands in brackets, one inside the other: the time
//! doubles with each level. A file of a hundred bytes could keep it busy for years, so files are looked at before.

use super::bundle::{CompileError, RegoSource};

/// The most levels: read in some hundredths of a second. Rules that people write have five.
const DEEPEST: usize = 16;

/// Refuses a file whose brackets are nested too deep.
///
/// # Errors
/// [`CompileError::Nested`]
pub(super) fn bound(source: &RegoSource) -> Result<(), CompileError> {
    let (mut depth, mut line) = (0_usize, 1);
    let mut characters = source.text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\n' => line += 1,
            '(' | '[' | '{' => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(CompileError::Nested { file: source.name.clone(), line, limit: DEEPEST });
                }
            }
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            // What stands in a comment or a text is no bracket.
            '#' => line += usize::from(characters.by_ref().any(|c| c == '\n')),
            '"' => {
                while let Some(c) = characters.next() {
                    match c {
                        '\\' => drop(characters.next()),
                        '\n' => line += 1,
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '`' => line += characters.by_ref().take_while(|c| *c != '`').filter(|c| *c == '\n').count(),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::bound;
    use crate::decision::bundle::RegoSource;

    fn refused(text: String) -> Option<String> {
        bound(&RegoSource { name: "a.rego".into(), text }).err().map(|error| error.to_string())
    }

    #[test]
    fn brackets_are_counted_and_what_stands_in_texts_and_comments_is_not() {
        let nested =
            |levels: usize| format!("package a\n\nx := {}1{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(refused(nested(16)), None);
        assert!(refused(nested(17)).unwrap().starts_with("a.rego:3: "));
        assert!(
            refused(format!("x := `\n\n`\n# ((\ny := {}", "({".repeat(9))).unwrap().starts_with("a.rego:5: ")
        );
        let brackets = "(".repeat(40);
        assert_eq!(
            refused(format!("x := \"{brackets}\\\"{brackets}\" # {brackets}\ny := `{brackets}`")),
            None
        );
        assert_eq!(refused("x := [1]\n".repeat(40)), None);
    }
}
