//! "Did you mean": the nearest of known names.

/// The known name nearest to `name`, if it is near enough to be meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let scored = known.map(|k| (strsim::damerau_levenshtein(&wanted, &k.to_lowercase()), k));
    // Of equally near ones the first in the alphabet, so that the answer does not vary.
    let best = scored.min()?;
    is_near(name, best.1).then_some(best.1)
}

/// Whether a person may have meant `other`: at most one edit in three characters.
pub(super) fn is_near(name: &str, other: &str) -> bool {
    let (name, other) = (name.to_lowercase(), other.to_lowercase());
    let longest = name.chars().count().max(other.chars().count());
    strsim::damerau_levenshtein(&name, &other) * 3 <= longest
}

/// The name as it must be written in SQL.
pub(super) fn quoted(name: &str) -> String {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
