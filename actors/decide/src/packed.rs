//! JSON, compressed: the form of ledgers and of the book. gzip carries a checksum, so that damage is
//! noticed.

use std::io::{self, Read, Write};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Serialize, de::DeserializeOwned};

/// Far more than an object of the API server's 1 MiB unpacks to, unless someone made it to do harm.
const UNPACKED_MAX: u64 = 16 * 1024 * 1024;

/// # Errors
/// None but those of a compressor that writes to memory.
pub(crate) fn pack<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(&serde_json::to_vec(value)?)?;
    packer.finish()
}

/// # Errors
/// The bytes are damaged, or hold something else.
pub(crate) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    let mut json = Vec::new();
    GzDecoder::new(bytes).take(UNPACKED_MAX).read_to_end(&mut json)?;
    serde_json::from_slice(&json).map_err(|error| {
        // Not serde's own words: they quote values, and a ledger is a Secret.
        let place = format!("line {} column {}", error.line(), error.column());
        io::Error::new(io::ErrorKind::InvalidData, format!("it is not what was expected, at {place}"))
    })
}
