//! What of a page of the book others can refer to, and what it refers to.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// The headings and links of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// In the order of the page.
    pub(crate) headings: Vec<Heading>,
    /// Where links lead to, as it is written.
    pub(crate) links: Vec<String>,
}

/// A heading.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    /// 1 is that of the page.
    pub(crate) level: HeadingLevel,
    /// Without marks.
    pub(crate) text: String,
    /// By which a link leads to it, behind `#`.
    pub(crate) anchor: String,
}

impl Page {
    /// Reads a page. What stands in code is no link.
    pub(crate) fn parse(markdown: &str) -> Self {
        let mut page = Self::default();
        let mut open: Option<Heading> = None;
        for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    open = Some(Heading { level, text: String::new(), anchor: String::new() });
                }
                Event::End(TagEnd::Heading(_)) => page.headings.extend(open.take()),
                Event::Start(Tag::Link { dest_url, .. }) => page.links.push(dest_url.into_string()),
                Event::Text(text) | Event::Code(text) => {
                    open.iter_mut().for_each(|heading| heading.text.push_str(&text));
                }
                _ => {}
            }
        }
        page.name_anchors();
        page
    }

    /// As mdbook does: of headings that come to the same, all but the first get a number.
    fn name_anchors(&mut self) {
        for index in 0..self.headings.len() {
            let anchor = anchor(&self.headings[index].text);
            let before =
                self.headings[..index].iter().filter(|heading| self::anchor(&heading.text) == anchor);
            let anchor = match before.count() {
                0 => anchor,
                count => format!("{anchor}-{count}"),
            };
            self.headings[index].anchor = anchor;
        }
    }
}

/// The anchor that mdbook makes of a heading's text.
fn anchor(text: &str) -> String {
    let character = |c: char| match c {
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
        c if c.is_whitespace() => Some('-'),
        _ => None,
    };
    text.chars().filter_map(character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchors(markdown: &str) -> Vec<String> {
        Page::parse(markdown).headings.into_iter().map(|heading| heading.anchor).collect()
    }

    #[test]
    fn a_heading_is_found_by_the_anchor_that_mdbook_gives_it() {
        assert_eq!(
            anchors("# `run: now` does not belong in git\n## A pod's way\n"),
            ["run-now-does-not-belong-in-git", "a-pods-way"]
        );
    }

    #[test]
    fn headings_of_one_name_are_numbered() {
        assert_eq!(anchors("# Limits\n## Limits\n## Limits\n"), ["limits", "limits-1", "limits-2"]);
    }

    #[test]
    fn links_are_found_in_text_and_tables_and_not_in_code() {
        let page = Page::parse(
            "A [link](a.md#b).\n\n| x |\n| --- |\n| [cell](c.md) |\n\n`[no](d.md)`\n\n```\n[no](e.md)\n```\n",
        );
        assert_eq!(page.links, ["a.md#b", "c.md"]);
    }
}
