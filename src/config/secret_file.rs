//! Secrets from files, as orchestrators mount them.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Far longer than any secret: limits the read if the path names a log or a device.
const BYTES_MAX: u64 = 64 * 1024;

/// The content of a file, trimmed: editors and `echo` add a line break, and no secret has white
/// space at its ends.
pub(super) fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if read as u64 > BYTES_MAX {
        return Err(Error::new(ErrorKind::FileTooLarge, "too long for a secret"));
    }
    let secret = text.trim();
    if secret.is_empty() {
        return Err(Error::new(ErrorKind::InvalidData, "the file is empty"));
    }
    Ok(secret.to_owned())
}
