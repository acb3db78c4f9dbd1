//! Links that lead nowhere: in the built book, and in every Markdown file of the repository. Links to other hosts are not followed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use stoop_samples::failure::Result;

use crate::{cache, run};

/// Broken links of the pages below `book`, each with its page. Files and the anchors in them have to exist.
pub(super) fn of_html(book: &Path) -> Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    for path in files(book, "html")? {
        let text = String::from_utf8_lossy(&cache::read(&path)?).into_owned();
        let anchors: BTreeSet<String> = attributes(&text, "id").map(str::to_owned).collect();
        pages.insert(path, (text, anchors));
    }
    let mut broken = Vec::new();
    // The page for printing repeats all others; the table of contents is written by a script; 404.html has an absolute base.
    let read = |path: &Path| !["print.html", "toc.html", "404.html"].iter().any(|name| path.ends_with(name));
    for (page, (text, _)) in pages.iter().filter(|(page, _)| read(page)) {
        for link in attributes(text, "href").chain(attributes(text, "src")).filter(|link| is_ours(link)) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { beside(page, file) };
            let found = match pages.get(&target) {
                Some((_, anchors)) => anchor.is_empty() || anchors.contains(anchor),
                None => target.exists(),
            };
            let said = format!("{}: {link}", page.strip_prefix(book).unwrap_or(page).display());
            if !found && !broken.contains(&said) {
                broken.push(said);
            }
        }
    }
    Ok(broken)
}

/// Broken links of the Markdown files that git knows below `repository`. Anchors are the book's business.
pub(super) fn of_markdown(repository: &Path) -> Result<Vec<String>> {
    let mut git = run::command("git");
    let list = run::output(git.arg("-C").arg(repository).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "*.md",
    ]))?;
    let mut broken = Vec::new();
    for name in list.lines() {
        let page = repository.join(name);
        let text = String::from_utf8_lossy(&cache::read(&page)?).into_owned();
        for link in markdown(&text).filter(|link| is_ours(link)) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !beside(&page, file).exists() {
                broken.push(format!("{name}: {link}"));
            }
        }
    }
    Ok(broken)
}

fn is_ours(link: &str) -> bool {
    !link.is_empty() && !link.contains("://") && !link.starts_with("mailto:") && !link.starts_with("data:")
}

/// A link's file, from the page that has it.
fn beside(page: &Path, link: &str) -> PathBuf {
    let mut path = page.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => _ = path.pop(),
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path
}

/// The values of an attribute in a page's tags.
fn attributes<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let before = format!(" {name}=\"");
    let starts: Vec<usize> = text.match_indices(&before).map(|(at, found)| at + found.len()).collect();
    starts.into_iter().filter_map(|start| text[start..].split_once('"').map(|(value, _)| value))
}

/// The targets of links, outside of code.
fn markdown(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    let lines = text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence && !line.starts_with("    ")
    });
    lines.flat_map(|line| {
        // What is between backticks is code: every second part.
        let parts = line.split('`').step_by(2);
        parts.flat_map(|part| part.split("](").skip(1)).filter_map(|rest| rest.split_once(')').map(|(link, _)| link))
    })
}

fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).map_err(|error| stoop_samples::failure::Failure::io(folder, &error))?;
    for entry in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if entry.is_dir() {
            found.extend(files(&entry, ending)?);
        } else if entry.extension().is_some_and(|found| found == ending) {
            found.push(entry);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_and_a_missing_anchor_are_found_and_what_is_there_is_not() {
        let book = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| cache::write(&book.path().join(name), text.as_bytes()).unwrap();
        put("a.html", r##"<h1 id="top">x</h1><a href="sub/b.html#here"></a><a href="#top"></a><img src="p.svg">"##);
        put("sub/b.html", r#"<p id="here"></p><a href="../a.html"></a><a href="https://example.org/x"></a>"#);
        put("p.svg", "<svg/>");
        assert_eq!(of_html(book.path()).unwrap(), Vec::<String>::new());
        put("c.html", r##"<a href="d.html"></a><a href="a.html#no"></a><a href="#no"></a>"##);
        assert_eq!(of_html(book.path()).unwrap(), ["c.html: d.html", "c.html: a.html#no", "c.html: #no"]);
    }

    #[test]
    fn links_are_read_outside_of_code() {
        let text =
            "[a](one.md) and `[b](two.md)` [c](three.md#x)\n\n    [d](four.md)\n```\n[e](five.md)\n```\n[f](six.md)\n";
        assert_eq!(markdown(text).collect::<Vec<_>>(), ["one.md", "three.md#x", "six.md"]);
    }
}
