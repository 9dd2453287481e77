//! A compressed file, unpacked as it comes.

use std::io::{self, Write as _};

use flate2::write::GzDecoder;

/// Unpacks a file in pieces. However much a piece may hold, little of it is in memory at a time.
pub(super) struct Unpacker {
    decoder: GzDecoder<Vec<u8>>,
    /// What has been read of the compressed file.
    read: u64,
    /// Of that, what has not been unpacked.
    packed: Vec<u8>,
    is_whole: bool,
    is_finished: bool,
}

impl Unpacker {
    /// At the start of a file.
    pub(super) fn new() -> Self {
        let decoder = GzDecoder::new(vec![]);
        Self { decoder, read: 0, packed: vec![], is_whole: false, is_finished: false }
    }

    /// From where on more of the compressed file is needed, if it is.
    pub(super) fn wants(&self) -> Option<u64> {
        (self.packed.is_empty() && !self.is_whole).then_some(self.read)
    }

    /// Takes the next bytes of the compressed file; `is_last`: no more come.
    pub(super) fn feed(&mut self, bytes: Vec<u8>, is_last: bool) {
        self.read += bytes.len() as u64;
        self.packed = bytes;
        self.is_whole = is_last;
    }

    /// What comes next in the file. Nothing, where nothing more is wanted: that was its end.
    ///
    /// # Errors
    /// If it is damaged, or was cut short.
    pub(super) fn unpack(&mut self) -> io::Result<Vec<u8>> {
        while !self.packed.is_empty() && self.decoder.get_ref().is_empty() {
            match self.decoder.write(&self.packed)? {
                // Behind its end.
                0 => self.packed.clear(),
                length => drop(self.packed.drain(..length)),
            }
        }
        let is_end = self.packed.is_empty() && self.is_whole && !self.is_finished;
        if is_end && self.decoder.get_ref().is_empty() {
            self.decoder.try_finish()?;
            self.is_finished = true;
        }
        Ok(std::mem::take(self.decoder.get_mut()))
    }

    /// What came last is to come again.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        self.decoder.get_mut().splice(..0, bytes.iter().copied());
    }

    /// Whether all of it has been unpacked.
    pub(super) fn is_finished(&self) -> bool {
        self.is_finished && self.decoder.get_ref().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::stand_in::packed, *};

    /// Unpacks a file that comes in pieces of this size; and how much came at most at a time.
    fn unpack(file: &[u8], size: usize) -> io::Result<(Vec<u8>, usize)> {
        let (mut unpacker, mut all, mut most) = (Unpacker::new(), vec![], 0);
        while !unpacker.is_finished() {
            if let Some(from) = unpacker.wants() {
                let rest = &file[usize::try_from(from).unwrap()..];
                unpacker.feed(rest[..rest.len().min(size)].to_vec(), rest.len() < size);
            }
            let bytes = unpacker.unpack()?;
            most = most.max(bytes.len());
            all.extend(bytes);
        }
        Ok((all, most))
    }

    #[test]
    fn a_file_comes_out_whole_in_small_pieces() {
        let text = b"the same again and again\n".repeat(100_000);
        let file = packed(&text);
        for size in [1, 100, file.len(), 1_000_000] {
            let (all, most) = unpack(&file, size).unwrap();
            assert!(all == text && most <= 64 * 1024, "{size} {} {most}", all.len());
        }
        assert_eq!(unpack(&packed(b""), 10).unwrap().0, b"");
    }

    #[test]
    fn a_file_that_was_cut_short_is_an_error() {
        let file = packed(&b"some text\n".repeat(1000));
        for length in [0, 5, file.len() / 2, file.len() - 1] {
            assert!(unpack(&file[..length], 16).is_err(), "{length}");
        }
        assert!(unpack(b"no such file", 100).is_err());
    }
}
