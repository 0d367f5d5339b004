//! Determines exactly whether the form of a request was handed over.
//!
//! Which errors of an HTTP client mean that nothing was written could change with each of its
//! versions. So the form is handed over by a latch instead: the connection takes it, or we
//! withdraw it, and only one of the two can happen. If a request fails and the form can still be
//! withdrawn, neither recipient nor text has been written to the connection, and they never will
//! be: that is `Unsent` here, whatever the error was.
//!
//! The latch also prevents that a request is written after its time-out, when its connection is
//! established a moment later.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::provider::latch::Latch;

/// Our end of the latch.
#[derive(Debug)]
pub(in crate::provider) struct Handoff(Latch);

impl Handoff {
    /// A form, and the means to withdraw it.
    pub(in crate::provider) fn of(form: impl Into<Bytes>) -> (Self, Form) {
        let latch = Latch::default();
        let form = Form {
            bytes: Some(form.into()),
            latch: latch.clone(),
        };
        (Self(latch), form)
    }

    /// Withdraws the form. `true`: it was not handed over, and never will be.
    pub(in crate::provider) fn withdraw(self) -> bool {
        self.0.withdraw()
    }
}

/// The form as a body: it is read in one piece, and once.
///
/// It cannot be cloned, so that neither a retry nor a redirect could send it again, even if the
/// client were configured for that.
pub(in crate::provider) struct Form {
    bytes: Option<Bytes>,
    latch: Latch,
}

/// The error for a connection that reads a withdrawn form. The connection then drops the request, its
/// head included, before anything was flushed.
#[derive(Debug, thiserror::Error)]
#[error("the form was withdrawn")]
pub(in crate::provider) struct Withdrawn;

impl Body for Form {
    type Data = Bytes;
    type Error = Withdrawn;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Withdrawn>>> {
        let Some(bytes) = self.bytes.take() else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(if self.latch.take() {
            Ok(Frame::data(bytes))
        } else {
            Err(Withdrawn)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |b| b.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &mut Form) -> Option<Result<Bytes, Withdrawn>> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match Pin::new(form).poll_frame(&mut context) {
            Poll::Ready(frame) => {
                frame.map(|frame| frame.map(|f| f.into_data().unwrap_or_default()))
            }
            Poll::Pending => panic!("a form is never pending"),
        }
    }

    #[test]
    fn what_was_taken_cannot_be_withdrawn() {
        let (handoff, mut form) = Handoff::of("To=x");
        assert_eq!(form.size_hint().exact(), Some(4));
        assert!(!form.is_end_stream());
        assert_eq!(read(&mut form).unwrap().unwrap(), "To=x");
        assert!(form.is_end_stream());
        assert!(read(&mut form).is_none());
        assert!(!handoff.withdraw());
    }

    #[test]
    fn what_was_withdrawn_cannot_be_taken() {
        let (handoff, mut form) = Handoff::of("To=x");
        assert!(handoff.withdraw());
        assert!(read(&mut form).unwrap().is_err());
        assert!(read(&mut form).is_none());
    }

    #[test]
    fn of_two_at_once_exactly_one_wins() {
        for _ in 0..200 {
            let (handoff, mut form) = Handoff::of("To=x");
            let taker = std::thread::spawn(move || read(&mut form).unwrap().is_ok());
            let withdrawn = handoff.withdraw();
            assert_ne!(taker.join().unwrap(), withdrawn);
        }
    }
}
