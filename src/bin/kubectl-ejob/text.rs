//! How things are printed.

use std::io::{self, IsTerminal, Write};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

/// Prints a text. Not `print!`, which panics where nobody reads on, or the disk is full.
pub(crate) fn say(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Where what a container wrote is printed: there where it went in the container.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// Prints a line that some container wrote, behind this prefix.
    pub(crate) fn print_line(self, prefix: &str, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => print_to(&mut io::stdout(), prefix, line),
            Self::Stderr => print_to(&mut io::stderr(), prefix, line),
        }
    }
}

/// Whether this is only that nobody reads on, as behind `| head`.
pub(crate) fn is_unread(error: &anyhow::Error) -> bool {
    let broken = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(broken))
}

/// Prints bytes that some container wrote. On a terminal control bytes are escaped: they could move the cursor, or
/// worse.
pub(crate) fn print_bytes(bytes: &[u8]) -> io::Result<()> {
    print_to(&mut io::stdout(), "", bytes)
}

fn print_to(out: &mut (impl Write + IsTerminal), prefix: &str, bytes: &[u8]) -> io::Result<()> {
    out.write_all(prefix.as_bytes())?;
    if !out.is_terminal() {
        return out.write_all(bytes);
    }
    out.write_all(escaped(bytes).as_bytes())?;
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// The bytes as text in which every control character but tab and newline is written out.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() && c != '\n' && c != '\t' {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// Lines whose cells stand below each other.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("   ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// A duration as kubectl writes it.
pub(crate) fn length(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ ..120 => format!("{seconds}s"),
        seconds @ ..7200 => format!("{}m{}s", seconds / 60, seconds % 60),
        seconds @ ..172_800 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// Whole seconds from one time to another; to now, if there is none yet.
pub(crate) fn seconds(from: &Time, to: Option<&Time>) -> i64 {
    to.map_or_else(Timestamp::now, |to| to.0).as_second() - from.0.as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bytes_are_written_out_and_text_is_not() {
        assert_eq!(escaped(b"a\tb\n"), "a\tb\n");
        assert_eq!(escaped(b"\x1b[2J\x07"), "\\u{1b}[2J\\u{7}");
        assert_eq!(escaped(b"\xffo"), "\\xffo");
        assert_eq!(escaped("é".as_bytes()), "é");
    }

    #[test]
    fn cells_stand_below_each_other() {
        let rows = [["A", "LONGER"], ["abc", "d"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "A     LONGER\nabc   d\n");
    }

    #[test]
    fn lengths_are_short() {
        assert_eq!([5, 125, 7300, 200_000].map(length), ["5s", "2m5s", "2h1m", "2d"]);
    }
}
