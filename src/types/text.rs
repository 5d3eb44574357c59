//! What an id or a name may be, whoever gives it: an import, the command line, a management call.

use thiserror::Error;

/// A text that cannot be an id or a name. The message says what to do, and does not repeat the text: it may be
/// long, or a secret that was put in the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidText {
    /// It has too few characters, or too many.
    #[error("it must have 1 to {longest} characters; it has {length}")]
    Length {
        /// The most that it may have.
        longest: usize,
        /// What it has.
        length: usize,
    },
    /// It has a character of Unicode's category Cc, such as a tab or a line's end.
    #[error("it must not hold control characters; leave out tabs, ends of lines and the like")]
    Control,
    /// It has a character that ends a line, or turns around how the text beside it is shown.
    #[error(
        "it must not hold characters that separate lines or turn the direction of writing; leave them out"
    )]
    Misleading,
}

/// The same, of a name.
pub type InvalidName = InvalidText;

/// Checks the id of a user, a project, a token or an upstream: 1 to 256 characters (Unicode scalar values), none
/// of them a control character.
///
/// # Errors
/// [`InvalidText::Control`] before [`InvalidText::Length`].
pub fn check_id(text: &str) -> Result<(), InvalidText> {
    check_text(text, 256)
}

/// Checks a name that is shown to people beside others, such as a token's: 1 to 128 characters, no control
/// characters, and nothing that makes a list look otherwise than it is (U+2028, U+2029, U+202A to U+202E, U+2066
/// to U+2069).
///
/// # Errors
/// Each of [`InvalidText`].
pub fn check_name(text: &str) -> Result<(), InvalidName> {
    check_text(text, 128)?;
    let misleads = |c| matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.contains(misleads) { Err(InvalidText::Misleading) } else { Ok(()) }
}

/// Checks a label for people that may be empty, such as a project's name: at most 256 characters, none of them a
/// control character.
///
/// # Errors
/// As [`check_id`].
pub fn check_label(text: &str) -> Result<(), InvalidText> {
    if text.is_empty() { Ok(()) } else { check_text(text, 256) }
}

/// Checks any other text of 1 to `longest` characters, none of them a control character.
///
/// # Errors
/// As [`check_id`].
pub fn check_text(text: &str, longest: usize) -> Result<(), InvalidText> {
    let length = text.chars().count();
    if text.chars().any(char::is_control) {
        Err(InvalidText::Control)
    } else if length == 0 || length > longest {
        Err(InvalidText::Length { longest, length })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidText, check_id, check_name};

    #[test]
    fn ids_and_names_have_their_length_in_characters() {
        for (longest, check) in [(256, check_id as fn(&str) -> _), (128, check_name)] {
            assert_eq!(check(""), Err(InvalidText::Length { longest, length: 0 }));
            assert_eq!(check("ä"), Ok(()));
            assert_eq!(check(&"ä".repeat(longest)), Ok(()));
            let length = longest + 1;
            assert_eq!(check(&"ä".repeat(length)), Err(InvalidText::Length { longest, length }));
        }
    }

    #[test]
    fn control_characters_are_refused_and_others_are_not() {
        for bad in ['\0', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}'] {
            let text = format!("a{bad}b");
            assert_eq!(check_id(&text), Err(InvalidText::Control), "{bad:?}");
            assert_eq!(check_name(&text), Err(InvalidText::Control), "{bad:?}");
        }
        for good in
            [" ", "a b", "ü/%?#", "名前", "🚀", "\u{200d}", "\u{2027}", "\u{202f}", "\u{2065}", "\u{206a}"]
        {
            assert_eq!((check_id(good), check_name(good)), (Ok(()), Ok(())), "{good:?}");
        }
    }

    #[test]
    fn a_name_shows_what_it_says() {
        let bad = ('\u{2028}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        assert_eq!(bad.clone().count(), 11);
        for bad in bad {
            assert_eq!(check_name(&format!("a{bad}b")), Err(InvalidText::Misleading), "{bad:?}");
        }
    }
}
