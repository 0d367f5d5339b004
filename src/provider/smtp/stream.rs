//! The stream below lettre's dialogue: it counts what is written.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// How much is read at once.
const READ_MAX: usize = 1024;

/// What lettre reads and writes: not encrypted, with a count of what is written.
pub(super) struct Counted {
    stream: Box<dyn Stream>,
    peer: SocketAddr,
    /// Is read before the stream.
    greeted: &'static [u8],
    responses: Responses,
    written: Arc<AtomicU64>,
}

/// What a server has responded, as lettre reads it.
#[derive(Default)]
struct Responses {
    /// What lettre has not read yet.
    ready: VecDeque<u8>,
    /// How much of the current line has come.
    length: usize,
    /// Whether that is digits.
    is_code: bool,
}

impl Responses {
    /// lettre takes a response that is not UTF-8 for a lost connection, and a code alone, which RFC 5321 (4.2) allows,
    /// for an invalid one. Only its code and its first word decide.
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.is_code = self.length == 0 || self.is_code;
            if self.length == 3 && self.is_code && *byte == b'\r' {
                self.ready.push_back(b' ');
            }
            self.is_code &= byte.is_ascii_digit();
            self.length = if *byte == b'\n' { 0 } else { self.length + 1 };
            self.ready
                .push_back(if byte.is_ascii() { *byte } else { b'?' });
        }
    }

    /// Moves into the buffer what it has room for.
    fn read(&mut self, into: &mut ReadBuf<'_>) {
        let (now, _) = self.ready.as_slices();
        let now = &now[..now.len().min(into.remaining())];
        into.put_slice(now);
        let count = now.len();
        self.ready.drain(..count);
    }
}

impl Counted {
    pub(super) fn new(
        stream: Box<dyn Stream>,
        peer: SocketAddr,
        greeted: &'static [u8],
        written: Arc<AtomicU64>,
    ) -> Self {
        Self {
            stream,
            peer,
            greeted,
            responses: Responses::default(),
            written,
        }
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").finish_non_exhaustive()
    }
}

impl AsyncTokioStream for Counted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.greeted.is_empty() {
            let (now, later) = self
                .greeted
                .split_at(into.remaining().min(self.greeted.len()));
            into.put_slice(now);
            self.greeted = later;
            return Poll::Ready(Ok(()));
        }
        if self.responses.ready.is_empty() {
            let mut bytes = [0; READ_MAX];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            self.responses.push(read.filled());
        }
        self.responses.read(into);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    /// What is given to the stream counts as written: it may be sent later, without a further call.
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.written.fetch_add(count as u64, Ordering::AcqRel);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(responses: &mut Responses, room: usize) -> Vec<u8> {
        let mut bytes = vec![0; room];
        let mut into = ReadBuf::new(&mut bytes);
        responses.read(&mut into);
        into.filled().to_vec()
    }

    proptest! {
        /// However it is cut on its way.
        #[test]
        fn a_code_alone_is_a_response(
            lines in proptest::collection::vec(
                prop_oneof![Just("250"), Just("250-"), Just("250 Ok"), Just("250\u{a0}"), Just("25"), Just("2500"), Just("")],
                0..6,
            ),
            cuts in proptest::collection::vec(1_usize..7, 0..40),
            room in 1_usize..9,
        ) {
            let sent: String = lines.iter().flat_map(|line| [line, "\r\n"]).collect();
            let expected: String = lines
                .iter()
                .map(|line| if *line == "250" { "250 " } else { line })
                .flat_map(|line| [line, "\r\n"])
                .collect();
            let (mut responses, mut got) = (Responses::default(), Vec::new());
            let mut rest = sent.as_bytes();
            let mut cuts = cuts.into_iter();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(cuts.next().unwrap_or(rest.len()).min(rest.len()));
                responses.push(now);
                rest = later;
                while !responses.ready.is_empty() {
                    got.extend(read(&mut responses, room));
                }
            }
            prop_assert_eq!(String::from_utf8(got).unwrap(), expected.replace('\u{a0}', "??"));
        }
    }
}
