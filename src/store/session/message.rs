//! Messages of Postgres's protocol: a tag, a length, a body.

use std::io;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// Tag and length.
const HEAD: usize = 5;

/// Ends each text.
pub(super) const NUL: u8 = 0;

/// How many bytes a message has whose length begins at `at`; `None`: that has not come yet.
pub(super) fn size(bytes: &[u8], at: usize) -> io::Result<Option<usize>> {
    let Some(length) = bytes.get(at..at + 4) else {
        return Ok(None);
    };
    let length = length.try_into().map(u32::from_be_bytes);
    let length = length.ok().and_then(|length| usize::try_from(length).ok());
    // It counts itself.
    let length = length.filter(|length| *length >= 4).ok_or_else(broken)?;
    Ok((bytes.len() >= at + length).then_some(at + length))
}

/// Takes a message that has come as a whole: its tag and its body.
pub(super) fn message(bytes: &mut BytesMut) -> io::Result<Option<(u8, Bytes)>> {
    let Some(size) = size(bytes, 1)? else {
        return Ok(None);
    };
    let mut message = bytes.split_to(size).freeze();
    let tag = message[0];
    message.advance(HEAD);
    Ok(Some((tag, message)))
}

/// Takes a text.
pub(super) fn text(body: &mut Bytes) -> io::Result<Bytes> {
    let end = body.iter().position(|byte| *byte == NUL);
    let text = body.split_to(end.ok_or_else(broken)?);
    body.advance(1);
    Ok(text)
}

/// Takes the kind of a thing, statement or portal, and its name.
pub(super) fn named(body: &mut Bytes) -> io::Result<(u8, Bytes)> {
    if body.is_empty() {
        return Err(broken());
    }
    let kind = body.get_u8();
    Ok((kind, text(body)?))
}

/// Appends a message.
pub(super) fn put(out: &mut BytesMut, tag: u8, parts: &[&[u8]]) -> io::Result<()> {
    let length = 4 + parts.iter().map(|part| part.len()).sum::<usize>();
    out.put_u8(tag);
    out.put_u32(u32::try_from(length).map_err(|_| broken())?);
    for part in parts {
        out.extend_from_slice(part);
    }
    Ok(())
}

fn broken() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "not a message of Postgres's protocol",
    )
}
