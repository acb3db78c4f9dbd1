//! The book: pages and pictures that are made from code and data, then mdBook, then every link.

mod errors;
mod links;
mod pictures;

use std::path::Path;

use stoop_samples::failure::{Failure, Result};

use crate::tools::Tool;
use crate::{cache, repository, run};

/// Known to build these pages; another version may write other HTML, which the check of links reads.
const MDBOOK: Tool =
    Tool { name: "mdbook", version: "0.5.4", options: &["--no-default-features", "--features", "search"], minutes: 1 };

/// What is done beside building and checking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Made {
    /// Pages and pictures that are out of date are written.
    Written,
    /// They are an error.
    Compared,
    /// Pictures of a boot are drawn anew as well, from the lab's kernel and root filesystem.
    Drawn,
}

/// Makes what is made, builds the book into `target/book`, and checks its links and those of all Markdown files.
///
/// # Errors
/// A made page is out of date when it is only compared; mdBook is not there and cannot be installed, or fails; links lead nowhere.
pub fn build(made: Made) -> Result<()> {
    let docs = repository().join("docs");
    let boards = run::output(run::stoop().args(["boards", "list", "--markdown"]))?;
    for (name, text) in
        [("errors.md", errors::page()), ("boards.md", boards), ("pictures/crates.svg", pictures::crates()?)]
    {
        put(&docs.join(name), &text, made)?;
    }
    if made == Made::Drawn {
        for (name, text) in pictures::of_a_boot()? {
            cache::write(&docs.join("pictures").join(name), text.as_bytes())?;
        }
    }
    let book = repository().join("target/book");
    let mut mdbook = run::command(MDBOOK.install()?);
    mdbook.arg("build").arg("--dest-dir").arg(&book).arg(&docs);
    run::logged(&mut mdbook, &repository().join("target/book.log"))?;
    let broken = [links::of_markdown(&repository())?, links::of_html(&book)?].concat();
    if broken.is_empty() {
        eprintln!("book: {}", book.join("index.html").display());
        return Ok(());
    }
    Err(Failure::new(format!("links lead nowhere:\n  {}", broken.join("\n  "))).next("correct them"))
}

fn put(path: &Path, text: &str, made: Made) -> Result<()> {
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    if stored == text {
        return Ok(());
    }
    if made == Made::Compared {
        return Err(Failure::new(format!("{} is not what the code makes", path.display())).next("run `cargo ci book`"));
    }
    cache::write(path, text.as_bytes())
}
