//! Names that follow from what they stand for, so that a step done twice is done once.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

/// The longest Job name: an Indexed Job's pods are `<job>-<index>`, and must be DNS labels.
pub const JOB_NAME_MAX: usize = 52;

/// 16 characters of base 32 are 80 bits.
const HASH_CHARACTERS: usize = 16;

/// The name of the Job for the run `key` of the ExtendedJob `name` with UID `uid`, under config
/// revision `revision`.
///
/// The hash alone makes it unique; the prefix is for people. Dots become dashes, because pods of
/// Indexed Jobs may hold none.
#[must_use]
pub fn job_name(name: &str, uid: &str, key: &str, revision: u64) -> String {
    // A zero byte can stand in none of the parts, so that no two lists of parts join to one text.
    let digest = Sha256::digest(format!("{uid}\0{key}\0{revision}"));
    let mut hash = BASE32_NOPAD.encode(&digest).to_ascii_lowercase();
    hash.truncate(HASH_CHARACTERS);
    let prefix: String = name.replace('.', "-").chars().take(JOB_NAME_MAX - HASH_CHARACTERS - 1).collect();
    format!("{}-{hash}", prefix.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_stays_what_it_is_from_version_to_version() {
        assert_eq!(job_name("my.job", "uid", "once/1", 0), "my-job-fiejjnhibxyyv63u");
    }

    #[test]
    fn each_part_changes_the_name() {
        let name = job_name("a", "uid", "key", 0);
        assert_ne!(name, job_name("a", "other", "key", 0));
        assert_ne!(name, job_name("a", "uid", "other", 0));
        assert_ne!(name, job_name("a", "uid", "key", 1));
    }

    proptest! {
        /// RFC 1123 label, short enough for the pods of an Indexed Job.
        #[test]
        fn every_name_is_a_short_dns_label(name in "[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?", key in ".*") {
            let job = job_name(&name, "uid", &key, 7);
            prop_assert!(job.len() <= JOB_NAME_MAX);
            prop_assert!(job.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            prop_assert!(job.starts_with(|c: char| c.is_ascii_alphanumeric()));
            prop_assert!(job.ends_with(|c: char| c.is_ascii_alphanumeric()));
        }
    }
}
