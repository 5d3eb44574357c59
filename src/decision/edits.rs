//! Changes in the text of rules, by the places that the engine's syntax trees give.
//!
//! What is rewritten (guards before compiling, marks for explanations) is text, because the engine reads
//! nothing else. Lines stay where they are, so messages do.

use serde_json::Value;

/// An insertion or replacement in a source's text.
pub(super) struct Edit {
    pub begin: usize,
    pub end: usize,
    pub text: String,
}

impl Edit {
    /// Puts text in a place.
    pub(super) fn insert(at: usize, text: impl Into<String>) -> Self {
        Self { begin: at, end: at, text: text.into() }
    }
}

/// Where something really begins: the engine's places leave out the quote that a text begins with.
pub(super) fn whole_begin(text: &str, begin: usize) -> usize {
    match text[..begin].chars().next_back() {
        Some('"' | '`') => begin - 1,
        _ => begin,
    }
}

/// Where an expression really begins. The engine's places of objects begin at the last of their fields, and so do
/// those of expressions that begin with an object; their line and column are right.
pub(super) fn leftmost(text: &str, expression: &Value) -> Option<usize> {
    let (kind, content) = expression.as_object()?.iter().next()?;
    let span = &content["span"];
    let begin = usize::try_from(span["start"].as_u64()?).ok().filter(|at| text.is_char_boundary(*at))?;
    let inner = match kind.as_str() {
        "Object" => {
            let number = |name: &str| usize::try_from(span[name].as_u64()?.checked_sub(1)?).ok();
            let line = text.split_inclusive('\n').take(number("line")?).map(str::len).sum::<usize>();
            let mut wanted = number("col")?;
            let mut characters = text.get(line..)?.char_indices();
            let column = characters.find_map(|(at, character)| {
                if wanted == 0 {
                    return Some(at);
                }
                // As the engine counts.
                wanted = wanted.saturating_sub(if character == '\t' { 4 } else { 1 });
                None
            })?;
            Some(line + column).filter(|at| text[*at..].starts_with('{'))
        }
        "BoolExpr" | "ArithExpr" | "BinExpr" | "AssignExpr" => leftmost(text, &content["lhs"]),
        "Membership" => {
            leftmost(text, if content["key"].is_null() { &content["value"] } else { &content["key"] })
        }
        "RefDot" | "RefBrack" => leftmost(text, &content["refr"]),
        _ => None,
    };
    Some(whole_begin(text, inner.map_or(begin, |inner| inner.min(begin))))
}

/// Where a statement really ends. The engine's places leave out what closes the last thing in it: a
/// quote, a bracket, a parenthesis.
pub(super) fn whole_end(text: &str, begin: usize, end: usize) -> Result<usize, String> {
    let mut depth = 0_usize;
    let mut characters = text[begin..].char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if depth == 0 && begin + at >= end {
            return Ok(begin + at);
        }
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| format!("a loose bracket after {:?}", &text[begin..begin + at]))?;
            }
            '#' => while characters.next_if(|(_, c)| *c != '\n').is_some() {},
            '"' | '`' => loop {
                match characters.next() {
                    Some((_, '\\')) if character == '"' => {
                        characters.next();
                    }
                    Some((_, c)) if c == character => break,
                    Some(_) => {}
                    None => {
                        return Err(format!(
                            "a statement with a text that does not end: {:?}",
                            &text[begin..end]
                        ));
                    }
                }
            },
            _ => {}
        }
    }
    if depth == 0 { Ok(text.len()) } else { Err("a statement with an open bracket".to_owned()) }
}

/// Whether the last word before a statement is `if`. Comments between the two are passed over.
pub(super) fn follows_if(before: &str) -> bool {
    let mut rest = before.trim_end();
    loop {
        let begin = rest.rfind('\n').map_or(0, |at| at + 1);
        match comment(&rest[begin..]) {
            Some(at) => rest = rest[..begin + at].trim_end(),
            None => break,
        }
    }
    rest.strip_suffix("if").is_some_and(|head| head.ends_with(char::is_whitespace))
}

/// Where the comment of a line begins: at the first `#` that is not within a text.
fn comment(line: &str) -> Option<usize> {
    let mut quote = None;
    let mut characters = line.char_indices();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (None, '#') => return Some(at),
            (None, '"' | '`') => quote = Some(character),
            (Some('"'), '\\') => {
                characters.next();
            }
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    None
}

/// Applies edits from the last to the first, so that none moves another's place.
pub(super) fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    // Statements nest (an assignment whose right side is a comprehension with assignments), and the
    // inner one may end where the outer one does: its guard must come first in the text.
    edits.sort_by_key(|edit| (edit.begin, edit.end));
    let mut text = text.to_owned();
    for edit in edits.into_iter().rev() {
        text.replace_range(edit.begin..edit.end, &edit.text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::follows_if;

    #[test]
    fn a_body_without_braces_is_recognised() {
        for text in
            ["p if ", "p if\n\t", "else := 1 if ", "p if\n# why\n  # and why\n", "p := \"#\" if # \"\n"]
        {
            assert!(follows_if(text), "{text:?}");
        }
        for text in [
            "p if { ",
            "p { ",
            "p if { x == 1\n",
            "[y | ",
            "notif ",
            "x := elif; ",
            "p if {\nx == 1 # only if\n",
        ] {
            assert!(!follows_if(text), "{text:?}");
        }
    }
}
