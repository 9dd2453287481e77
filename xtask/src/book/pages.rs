//! All pages of the book, and whether what they refer to is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::page::Page;
use crate::process;

/// The page that lists all others.
const SUMMARY: &str = "SUMMARY.md";

/// The pages, by their paths below docs/src.
pub(crate) struct Pages(BTreeMap<String, Page>);

/// Reads all pages.
pub(crate) fn read() -> Result<Pages> {
    let mut pages = BTreeMap::new();
    collect(&process::project().join("docs/src"), "", &mut pages)?;
    Ok(Pages(pages))
}

fn collect(folder: &Path, prefix: &str, pages: &mut BTreeMap<String, Page>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("read {}", folder.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), pages)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            pages.insert(name, Page::parse(&text));
        }
    }
    Ok(())
}

impl Pages {
    /// What is referred to and not there, and pages that no reader finds: a line for each.
    pub(crate) fn broken(&self) -> Vec<String> {
        let links = self.0.iter().flat_map(|(path, page)| page.links.iter().map(move |link| (path, link)));
        let dead = links.filter(|(path, link)| !self.is_there(path, link));
        let dead = dead.map(|(path, link)| format!("{path}: {link}"));
        let listed = self.0.get(SUMMARY).map(|page| page.links.as_slice()).unwrap_or_default();
        let lost = self.0.keys().filter(|path| *path != SUMMARY && !listed.contains(path));
        dead.chain(lost.map(|path| format!("{SUMMARY}: {path} is not listed"))).collect()
    }

    /// Whether a link of this page leads somewhere. What is outside of the book is not looked at, unless it is a path:
    /// that would be gone where the book is read.
    fn is_there(&self, from: &str, link: &str) -> bool {
        if link.starts_with("https://") || link.starts_with("http://") {
            return true;
        }
        let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
        let target = if path.is_empty() { Some(from.to_owned()) } else { resolve(from, path) };
        let Some(page) = target.and_then(|target| self.0.get(&target)) else { return false };
        anchor.is_none_or(|anchor| page.headings.iter().any(|heading| heading.anchor == anchor))
    }
}

/// The path that a relative one leads to from a page; `None` if it leads out of the book.
fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(pages: &[(&str, &str)]) -> Vec<String> {
        let page = |(path, text): &(&str, &str)| ((*path).to_owned(), Page::parse(text));
        Pages(pages.iter().map(page).collect()).broken()
    }

    const LIST: (&str, &str) = (SUMMARY, "- [A](a.md)\n- [B](more/b.md)\n");

    #[test]
    fn links_to_pages_and_headings_that_are_there_are_fine() {
        let a = ("a.md", "# A\n[b](more/b.md#two-words) [self](#a) [else](https://example.com/x#y)");
        let b = ("more/b.md", "## Two words\n[back](../a.md#a) [same](b.md)");
        assert_eq!(broken(&[LIST, a, b]), Vec::<String>::new());
    }

    #[test]
    fn each_link_to_what_is_not_there_is_told() {
        let a = ("a.md", "# A\n[x](b.md) [y](more/b.md#none) [z](#none) [out](../../README.md)");
        let found = broken(&[LIST, a, ("more/b.md", "")]);
        assert_eq!(found, ["a.md: b.md", "a.md: more/b.md#none", "a.md: #none", "a.md: ../../README.md"]);
    }

    #[test]
    fn a_page_that_is_not_listed_is_told() {
        let found = broken(&[LIST, ("a.md", ""), ("more/b.md", ""), ("c.md", "")]);
        assert_eq!(found, ["SUMMARY.md: c.md is not listed"]);
    }

    #[test]
    fn what_the_book_refers_to_is_there() {
        let pages = read().expect("the book is readable");
        assert!(pages.0.len() > 10, "{:?}", pages.0.keys());
        assert_eq!(pages.broken(), Vec::<String>::new());
    }
}
