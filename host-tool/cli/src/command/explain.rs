//! `stoop explain`: what a code of the shim or of the host tool means, and what to do.

use crate::Result;
use crate::json;
use crate::ui::put;
use stoop_image::explain::{self, Explanation};

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  stoop explain E12")]
pub struct Args {
    /// The code, such as E12 or H061, or a whole line with one in it; without it, all of them are listed
    #[arg(value_name = "CODE")]
    code: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints it.
///
/// # Errors
/// Usage: there is no such code.
pub fn run(args: &Args) -> Result<()> {
    let text = match args.code.join(" ").as_str() {
        "" if args.json => json::result(&all().map(|each| (&each).into()).collect::<Vec<json::Explained>>())?,
        "" => all().map(|each| format!("{:<4}  {}\n", each.code, each.title)).collect(),
        typed => {
            let found = explain::find(&all().collect::<Vec<_>>(), typed)?;
            if args.json { json::result(&json::Explained::from(&found))? } else { page(&found) }
        }
    };
    put(&text)
}

/// The shim's, the host tool's and the lab's.
fn all() -> impl Iterator<Item = Explanation> {
    explain::all().chain(stoop_lab::explain::all())
}

fn page(each: &Explanation) -> String {
    let paragraph = |name: &str, text: &str| format!("\n{name}\n{}\n", wrapped(text));
    format!(
        "{}: {}\n{}{}{}",
        each.code,
        each.title,
        paragraph("What it means", each.meaning),
        paragraph("Likely causes", each.causes),
        paragraph("What to do", each.advice)
    )
}

/// Lines of at most 80 characters, indented by two.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::from(" ")];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is a line");
        if last.len() + 1 + word.len() > 80 && last.len() > 1 {
            lines.push(format!("  {word}"));
        } else {
            *last += &format!(" {word}");
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_all_words_in_lines_of_80_characters() {
        for each in all() {
            let page = page(&each);
            assert!(page.lines().all(|line| line.len() <= 80), "{page}");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            for text in [each.meaning, each.causes, each.advice] {
                assert!(words(&page).windows(words(text).len()).any(|found| found == words(text)));
            }
        }
    }
}
