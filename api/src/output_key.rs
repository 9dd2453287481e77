//! The key under which output is stored, with placeholders for what differs from one to the next.

use crate::Stream;

/// The longest key of a ConfigMap or Secret.
pub const OUTPUT_KEY_MAX: usize = 253;

/// A key with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputKey(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(Placeholder),
}

/// What a key may leave open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// The affected pod.
    Pod,
    /// The container that wrote it.
    Container,
    /// `stdout`, `stderr`, or `log` where they could not be told apart.
    Stream,
    /// The completion index of the pod, in Indexed Jobs.
    Index,
}

impl Placeholder {
    pub(crate) const ALL: [Self; 4] = [Self::Pod, Self::Container, Self::Stream, Self::Index];

    /// As it stands in a key, with its braces.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Pod => "{pod}",
            Self::Container => "{container}",
            Self::Stream => "{stream}",
            Self::Index => "{index}",
        }
    }
}

/// What stands for the placeholders.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Name of the affected pod, in triggered jobs.
    pub pod: &'a str,
    /// Name of the container.
    pub container: &'a str,
    /// The stream.
    pub stream: Stream,
    /// The completion index, in Indexed Jobs.
    pub index: Option<u32>,
}

impl OutputKey {
    /// Reads a key; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > OUTPUT_KEY_MAX || text == "." || text.starts_with("..") {
            return None;
        }
        let (mut parts, mut rest) = (vec![], text);
        while !rest.is_empty() {
            let (part, length) = if rest.starts_with('{') {
                let placeholder = Placeholder::ALL.into_iter().find(|it| rest.starts_with(it.text()))?;
                (Part::Placeholder(placeholder), placeholder.text().len())
            } else {
                let length = rest.find('{').unwrap_or(rest.len());
                if !rest[..length].bytes().all(is_of_key) {
                    return None;
                }
                (Part::Text(rest[..length].to_owned()), length)
            };
            parts.push(part);
            rest = &rest[length..];
        }
        Some(Self(parts))
    }

    /// The key where the user wants none in particular.
    pub fn usual(is_indexed: bool) -> Self {
        let (text, placeholder) = (|| Part::Text(".".to_owned()), Part::Placeholder);
        let index = is_indexed.then(|| [text(), placeholder(Placeholder::Index)]).into_iter().flatten();
        let container = std::iter::once(placeholder(Placeholder::Container));
        Self(container.chain(index).chain([text(), placeholder(Placeholder::Stream)]).collect())
    }

    /// Whether it differs by this.
    pub fn holds(&self, placeholder: Placeholder) -> bool {
        self.0.contains(&Part::Placeholder(placeholder))
    }

    /// The key for what came from there.
    pub fn fill(&self, origin: Origin<'_>) -> String {
        let mut key = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => key.push_str(text),
                Part::Placeholder(Placeholder::Pod) => key.push_str(origin.pod),
                Part::Placeholder(Placeholder::Container) => key.push_str(origin.container),
                Part::Placeholder(Placeholder::Stream) => key.push_str(origin.stream.name()),
                Part::Placeholder(Placeholder::Index) => {
                    key.push_str(&origin.index.map(|index| index.to_string()).unwrap_or_default());
                }
            }
        }
        key
    }
}

/// Whether the API server takes a name as the key of a ConfigMap or Secret
/// (<https://kubernetes.io/docs/concepts/configuration/configmap/>).
pub fn is_key(name: &str) -> bool {
    let is_long = name.is_empty() || name.len() > OUTPUT_KEY_MAX;
    !is_long && name != "." && !name.starts_with("..") && name.bytes().all(is_of_key)
}

fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(key: &OutputKey, index: Option<u32>) -> String {
        key.fill(Origin { pod: "redis-0", container: "main", stream: Stream::Stderr, index })
    }

    #[test]
    fn placeholders_are_filled() {
        let key = OutputKey::parse("{pod}_{container}.{index}.{stream}.txt").unwrap();
        assert_eq!(filled(&key, Some(3)), "redis-0_main.3.stderr.txt");
        assert_eq!(filled(&OutputKey::parse("whole.log").unwrap(), None), "whole.log");
    }

    #[test]
    fn the_usual_key_names_container_and_stream_and_the_index_where_there_is_one() {
        assert_eq!(filled(&OutputKey::usual(false), None), "main.stderr");
        assert_eq!(filled(&OutputKey::usual(true), Some(0)), "main.0.stderr");
    }

    #[test]
    fn what_can_be_no_key_is_refused() {
        for text in
            ["", ".", "..", "..a", "a/b", "a b", "{}", "{pods}", "{pod", "pod}", "é", &"k".repeat(254)]
        {
            assert_eq!(OutputKey::parse(text), None, "{text:?}");
        }
        for text in [".a", "a..b", "-", "{pod}{pod}"] {
            assert!(OutputKey::parse(text).is_some(), "{text:?}");
        }
    }

    #[test]
    fn a_key_is_what_the_api_server_takes_as_one() {
        assert!(["a", ".a", "A_b-c.d"].into_iter().all(is_key));
        assert!(!["", ".", "..", "..a", "a/b", "é", &"k".repeat(254)].into_iter().any(is_key));
    }
}
