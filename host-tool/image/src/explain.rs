//! What the codes mean, why they come, and what to do: those of the shim (`E12`, on a UART or a LED) and those of the host tool
//! (`H061`, in front of its error messages).

mod error;

mod host;
mod shim;

use stoop_core::Code;

pub use error::Error;

use crate::{ErrorCode, Result, board};

/// A code for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// As it is printed: `E12`, `H061`.
    pub code: String,
    /// One line.
    pub title: &'static str,
    /// What it means; for a code of the shim, with what the number after it is.
    pub meaning: &'static str,
    /// Likely causes, the likeliest first.
    pub causes: &'static str,
    /// What to do.
    pub advice: &'static str,
}

impl Explanation {
    fn new(code: String, [title, meaning, causes, advice]: [&'static str; 4]) -> Self {
        Explanation { code, title, meaning, causes, advice }
    }
}

/// Every code: the shim's, then the host tool's, each in the order of their numbers.
pub fn all() -> impl Iterator<Item = Explanation> {
    let host = ErrorCode::ALL.iter().map(|code| Explanation::new(code.name().to_owned(), host::texts(*code)));
    Code::ALL.into_iter().map(of).chain(host)
}

/// The explanation of a code of the shim.
pub fn of(code: Code) -> Explanation {
    Explanation::new(format!("E{:02}", code as u8), shim::texts(code))
}

/// The code of `all` in what the user typed or pasted: `E12`, `e12`, `12` (the shim's), `H061`, or a line of a console or a message
/// with one such word in it. Leading zeros do not count.
///
/// # Errors
/// Usage: there is no such code; the nearest one is named.
pub fn find(all: &[Explanation], text: &str) -> Result<Explanation> {
    let named = |word: &str| all.iter().find(|each| split(&each.code) == split(word)).cloned();
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| split(word).is_some());
    let typed = text.trim();
    let bare = typed.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("E{typed}"));
    if let Some(found) = bare.as_deref().and_then(named).or_else(|| words.clone().find_map(named)) {
        return Ok(found);
    }
    let wrong = bare.as_deref().or_else(|| words.next()).and_then(split);
    let near = match wrong {
        Some((letter, number)) => all
            .iter()
            .filter_map(|each| Some((each, split(&each.code).filter(|found| found.0 == letter)?.1)))
            .min_by_key(|(_, found)| found.abs_diff(number))
            .map(|(each, _)| each.code.as_str()),
        None => board::nearest(typed, all.iter().map(|each| each.code.as_str())),
    };
    Err(Error::NoSuchCode { typed: typed.to_owned(), near: near.map(str::to_owned) }.into())
}

/// Letter and number of a word that has the form of a code: E of the shim, H of the host tool, L of the lab.
fn split(word: &str) -> Option<(char, u16)> {
    let letter = word.chars().next()?.to_ascii_uppercase();
    let digits = word.get(1..).filter(|digits| (1..=3).contains(&digits.len()))?;
    matches!(letter, 'E' | 'H' | 'L').then_some(())?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok().map(|number| (letter, number)))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Explained as _;

    fn find(text: &str) -> Result<Explanation> {
        super::find(&all().collect::<Vec<_>>(), text)
    }

    #[test]
    fn every_code_is_found_by_all_its_spellings_and_in_a_pasted_line() {
        for explanation in all() {
            let code = &explanation.code;
            let (letter, number) = split(code).unwrap();
            let lines = [
                code.clone(),
                code.to_lowercase(),
                format!("{letter}{number}"),
                format!("[    1.25] stoop: {code} kernel crc 0x1badcafe"),
                format!("stoop: {code}: initrd overlaps kernel"),
            ];
            for text in lines {
                assert_eq!(find(&text).unwrap(), explanation, "{text}");
            }
        }
        assert_eq!(find("12").unwrap().code, "E12");
        assert_eq!(all().count(), Code::ALL.len() + ErrorCode::ALL.len());
    }

    #[test]
    fn every_code_has_four_texts_that_differ_and_end_as_sentences() {
        for explanation in all() {
            let Explanation { title, meaning, causes, advice, .. } = explanation;
            for text in [meaning, causes, advice] {
                assert!(text.len() > 20 && text.ends_with('.') && !text.contains("  "), "{text:?}");
            }
            assert!(!title.is_empty() && !title.ends_with('.'));
            assert_eq!(all().filter(|other| other.title == title).count(), 1, "{title}");
        }
    }

    #[test]
    fn no_code_has_the_number_of_another_one() {
        let mut names: Vec<String> = all().map(|each| each.code).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all().count());
    }

    #[test]
    fn an_unknown_code_names_the_nearest_one_and_is_the_users_mistake() {
        for (text, near) in
            [("E31", "E30"), ("E09", "E10"), ("E1x", "E1"), ("99", "E30"), ("stoop: H060x H064.. H066", "H064")]
        {
            let found = find(text);
            let Err(failure) = found else {
                assert_eq!(found.unwrap().code, near, "{text}");
                continue;
            };
            assert_eq!(failure.exit_code(), 2);
            assert!(matches!(failure, crate::Error::Explain(Error::NoSuchCode { .. })), "{failure}");
            assert!(failure.next_step().unwrap().contains(near), "{text}: {failure}");
        }
        assert!(find("EE12").is_err());
        assert!(find("").is_err());
        assert!(find("E1234").is_err());
    }
}
