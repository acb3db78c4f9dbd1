//! "Did you mean": the nearest of the words that would have been right.

/// The candidate nearest to `word` by edit distance, if it is near enough to be what was meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= word.len().max(candidate.len()))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements of a byte that lead from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_word_and_a_foreign_word_finds_none() {
        let known = ["gl-ar750", "gl-mt300n-v2", "qemu-malta-le"];
        assert_eq!(nearest("gl-ar75", known), Some("gl-ar750"));
        assert_eq!(nearest("gl-mt300nv2", known), Some("gl-mt300n-v2"));
        assert_eq!(nearest("raspberry", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn the_distance_counts_single_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("abc", "adc"), 1);
        assert_eq!(distance("abc", "bc"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
