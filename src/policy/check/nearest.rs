//! "Did you mean …?"

/// The end of a message that says which of the names is the nearest, if one is near, and else which there are.
pub(super) fn did_you_mean(wrong: &str, names: &[&str]) -> String {
    let distance = |name: &str| strsim::damerau_levenshtein(&wrong.to_lowercase(), &name.to_lowercase());
    let nearest = names.iter().map(|name| (distance(name), *name)).min();
    // A third of the letters may be wrong, and at least one, but not all of them.
    let letters = wrong.chars().count();
    let near = (letters / 3).max(1).min(letters.saturating_sub(1));
    match nearest {
        Some((distance, name)) if distance <= near => format!(", did you mean `{name}`?"),
        _ if !names.is_empty() && names.len() <= 12 => {
            let mut names = names.to_vec();
            names.sort_unstable();
            format!(" (there are {})", names.join(", "))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn a_near_name_is_suggested_and_few_names_are_listed() {
        assert_eq!(did_you_mean("tokn", &["request", "token"]), ", did you mean `token`?");
        assert_eq!(did_you_mean("Token", &["request", "token"]), ", did you mean `token`?");
        assert_eq!(did_you_mean("ix", &["ab", "id"]), ", did you mean `id`?");
        assert_eq!(did_you_mean("x", &["b", "a"]), " (there are a, b)");
        assert_eq!(did_you_mean("elephant", &["b", "a"]), " (there are a, b)");
        assert_eq!(did_you_mean("elephant", &[]), "");
    }
}
