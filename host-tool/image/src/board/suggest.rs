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

/// Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = match i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    true => rows[i - 2][j - 2] + 1,
                    false => usize::MAX,
                };
                replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(swapped)
            };
        }
    }
    rows[a.len()][b.len()]
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
        assert_eq!(distance("led", "lde"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
