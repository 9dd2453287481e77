//! Each reason of a condition or Event has an entry in the page on troubleshooting, and each entry there is a reason.

use std::collections::BTreeSet;

use pulldown_cmark::HeadingLevel;

use super::page::Page;

/// Where the reasons are declared. Read as text: as values, constants can't be listed.
const DECLARED: &str = include_str!("../../../api/src/conditions.rs");

const PAGE: &str = include_str!("../../../docs/src/operations/troubleshooting.md");

/// All reasons.
pub(crate) fn declared() -> BTreeSet<&'static str> {
    of_source(DECLARED)
}

/// The values of the constants of `mod reasons`.
fn of_source(source: &str) -> BTreeSet<&str> {
    let (_, reasons) = source.split_once("pub mod reasons {").expect("there is a module of reasons");
    let (reasons, _) = reasons.split_once("\n}").expect("the module ends");
    let value = |line| str::split_once(line, ": &str = \"")?.1.strip_suffix("\";");
    let constants = reasons.lines().filter(|line| line.trim_start().starts_with("pub const "));
    constants
        .map(|line| value(line).unwrap_or_else(|| panic!("no reason can be read from: {line}")))
        .collect()
}

/// The entries of the page: its headings of the third level.
fn told(page: &str) -> BTreeSet<String> {
    let headings = Page::parse(page).headings.into_iter();
    headings.filter(|heading| heading.level == HeadingLevel::H3).map(|heading| heading.text).collect()
}

#[test]
fn each_reason_has_an_entry_in_the_page_on_troubleshooting_and_nothing_else_has() {
    let declared: BTreeSet<String> = declared().into_iter().map(str::to_owned).collect();
    assert!(declared.len() > 40, "only these were found: {declared:?}");
    let told = told(PAGE);
    let missing: Vec<_> = declared.difference(&told).collect();
    assert!(missing.is_empty(), "docs/src/operations/troubleshooting.md has no `### {missing:?}`");
    let unknown: Vec<_> = told.difference(&declared).collect();
    assert!(unknown.is_empty(), "docs/src/operations/troubleshooting.md has an entry for {unknown:?}");
}

#[test]
fn only_constants_within_the_module_are_reasons() {
    let source = "pub const READY: &str = \"Ready\";\npub mod reasons {\n    /// A.\n    pub const A: &str = \"A\";\n}\n\
                  pub const B: &str = \"B\";\n";
    assert_eq!(of_source(source), BTreeSet::from(["A"]));
}
