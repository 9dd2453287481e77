//! The files of one run of a container, as the kubelet lists them.

/// A file that was renamed when it had grown long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rotated {
    /// Its name before it is compressed: it is the same file then.
    pub(super) name: String,
    /// There is only the compressed one.
    pub(super) packed: bool,
}

/// What files there are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Folder {
    /// The oldest first, by their names, as the kubelet has it.
    pub(super) rotated: Vec<Rotated>,
    /// Whether the one is there that the container writes.
    pub(super) growing: bool,
}

impl Folder {
    /// Reads a list as Go's `http.FileServer` writes it; `growing` is the name of the file that the container writes.
    pub(super) fn parse(list: &str, growing: &str) -> Self {
        let mut folder = Self::default();
        for file in list.split("<a href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let Some(time) = file.strip_prefix(growing) else { continue };
            let (name, packed) = file.strip_suffix(".gz").map_or((file, false), |name| (name, true));
            match time.strip_prefix('.').map(|time| time.strip_suffix(".gz").unwrap_or(time)) {
                None if time.is_empty() => folder.growing = true,
                // Else it is about to be compressed (`.tmp`), or nothing of the kubelet's.
                Some(time) if time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => {
                    folder.add(name, packed);
                }
                _ => {}
            }
        }
        folder.rotated.sort_by(|one, other| one.name.cmp(&other.name));
        folder
    }

    fn add(&mut self, name: &str, packed: bool) {
        match self.rotated.iter_mut().find(|it| it.name == name) {
            Some(both) => both.packed = false,
            None => self.rotated.push(Rotated { name: name.to_owned(), packed }),
        }
    }

    /// The rotated file of this name.
    pub(super) fn find(&self, name: &str) -> Option<&Rotated> {
        self.rotated.iter().find(|it| it.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_one_run_are_found_the_oldest_first() {
        let list = "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n\
                    <a href=\"0.log\">0.log</a>\n<a href=\"1.log\">1.log</a>\n\
                    <a href=\"1.log.20260101-000003\">1.log.20260101-000003</a>\n\
                    <a href=\"1.log.20260101-000002.gz\">1.log.20260101-000002.gz</a>\n\
                    <a href=\"1.log.20260101-000002\">1.log.20260101-000002</a>\n\
                    <a href=\"1.log.20260101-000001.gz\">1.log.20260101-000001.gz</a>\n\
                    <a href=\"1.log.20260101-000003.tmp\">1.log.20260101-000003.tmp</a>\n\
                    <a href=\"11.log\">11.log</a>\n<a href=\"1.log.20260101-000009/\">x</a>\n</pre>\n";
        let folder = Folder::parse(list, "1.log");
        let rotated = [("1", true), ("2", false), ("3", false)].map(|(second, packed)| {
            let name = format!("1.log.20260101-00000{second}");
            Rotated { name, packed }
        });
        assert_eq!(folder, Folder { rotated: rotated.to_vec(), growing: true });
        assert_eq!(Folder::parse("<pre>\n</pre>\n", "1.log"), Folder::default());
    }
}
