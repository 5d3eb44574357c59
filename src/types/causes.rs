//! An error and what it came from, in words.

use std::error::Error;

/// The texts of an error and of all its causes, outermost first. A cause that only says what the one before
/// it ended with (a transparent wrapper) is left out.
pub fn causes(error: &dyn Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !texts.last().is_some_and(|last| last.ends_with(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    texts
}
