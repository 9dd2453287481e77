//! An image's name, as people write it, taken apart into the chart's values.

/// The flags of helm that make this the operator's image.
pub(crate) fn image_arguments(image: &str) -> Vec<String> {
    let (name, digest) = image.split_once('@').unwrap_or((image, ""));
    // A colon before a slash is that of a registry's port.
    let (repository, tag) = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ if digest.is_empty() => (name, "latest"),
        _ => (name, ""),
    };
    [("repository", repository), ("tag", tag), ("digest", digest)]
        .map(|(value, text)| format!("--set-string=image.{value}={text}"))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_apart(image: &str) -> [String; 3] {
        let values = image_arguments(image)
            .into_iter()
            .map(|flag| flag.rsplit_once('=').expect("a flag").1.to_owned());
        values.collect::<Vec<_>>().try_into().expect("three values")
    }

    #[test]
    fn the_port_of_a_registry_is_no_tag() {
        assert_eq!(taken_apart("registry:5000/operator"), ["registry:5000/operator", "latest", ""]);
        assert_eq!(taken_apart("registry:5000/operator:1"), ["registry:5000/operator", "1", ""]);
    }

    #[test]
    fn what_is_pinned_by_a_digest_needs_no_tag() {
        assert_eq!(taken_apart("operator@sha256:ab"), ["operator", "", "sha256:ab"]);
        assert_eq!(taken_apart("operator:1@sha256:ab"), ["operator", "1", "sha256:ab"]);
    }
}
