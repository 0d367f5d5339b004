//! The provider for trials: prints each message as one line on standard output, with number and text. Nothing
//! of it is logged.

use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{self, BoxFuture, FutureExt};

use super::{Provider, Providers, TEXTS_OF_CONSOLE, is_of_attempt};
use crate::message::{AttemptToken, Capabilities, Channel, Outcome, ProviderSid};
use crate::policy::Cleared;

/// Prints the messages of a channel. It blocks while its output is not read.
pub struct Console {
    out: Arc<Mutex<Box<dyn Write + Send>>>,
    capabilities: Capabilities,
}

impl Console {
    /// For every channel, on standard output.
    pub fn stdout() -> Providers {
        Self::on(io::stdout())
    }

    /// For every channel, on any writer.
    pub fn on(out: impl Write + Send + 'static) -> Providers {
        let out: Box<dyn Write + Send> = Box::new(out);
        let out = Arc::new(Mutex::new(out));
        let of = |providers: Providers, channel: Channel| {
            let capabilities = if channel.is_phone() {
                TEXTS_OF_CONSOLE
            } else {
                Capabilities {
                    media: channel.has_media(),
                    ..Capabilities::SENDS_ONLY
                }
            };
            let out = Arc::clone(&out);
            providers.with(channel, Arc::new(Self { out, capabilities }))
        };
        Channel::UNDERSTOOD
            .into_iter()
            .fold(Providers::default(), of)
    }

    fn show(&self, message: &Cleared) -> io::Result<()> {
        let mut line = format!("{}: {}", message.to().as_str(), one_line(message.body()));
        for url in message.media() {
            line.push_str(" [");
            line.push_str(url.as_str());
            line.push(']');
        }
        line.push('\n');
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(line.as_bytes())?;
        out.flush()
    }
}

/// Escapes control characters, so that a text cannot end its line or control the terminal.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// The prefix of every sid.
const SID: &str = "CO";

/// A sid, the same for the same attempt.
fn sid(token: AttemptToken) -> ProviderSid {
    ProviderSid(format!("{SID}{}", token.0.simple()))
}

/// Whether a text has the form of the console's sids.
pub fn is_message_sid(text: &str) -> bool {
    is_of_attempt(SID, text)
}

impl Provider for Console {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn send<'a>(&'a self, message: &'a Cleared, _: Duration) -> BoxFuture<'a, Outcome> {
        let outcome = match self.show(message) {
            Ok(()) => Outcome::Accepted {
                sid: sid(message.token()),
            },
            // The reader is gone: `punctual run | head`.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Outcome::Unsent {
                reason: "the console is closed".into(),
            },
            // A part of the line may have been printed.
            Err(error) => Outcome::Unknown {
                reason: format!("cannot write to the console: {error}"),
            },
        };
        future::ready(outcome).boxed()
    }

    /// There are no connections.
    fn prewarm(&self, _: usize) -> BoxFuture<'_, ()> {
        future::ready(()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::message::{Claim, Facts, LaneKey, MessageId, Moment, Part};
    use crate::policy::{Rules, Verdict, judge};

    /// A console that can be read, or that fails as configured.
    #[derive(Clone)]
    struct Screen(Arc<Mutex<Vec<u8>>>, Option<ErrorKind>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.1 {
                Some(kind) => Err(kind.into()),
                None => self.0.lock().unwrap().write(bytes),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn message(channel: Channel, to: &str, body: &str) -> Cleared {
        let claim = Claim {
            id: MessageId(Uuid::from_u128(1)),
            token: AttemptToken(Uuid::from_u128(0xabc)),
            number: 1,
            attempts_before: 0,
            max_attempts: 3,
            due: Moment::default(),
            wanted_at: Moment::default(),
            is_retry: false,
            send_before: None,
            lane: LaneKey::of_row(channel, Some(to)),
            route: None,
            to_number: to.into(),
            from_number: channel.is_phone().then(|| "ACME".into()),
            body: body.into(),
            part: Part::ONLY,
            part_text: None,
            campaign: None,
            facts: Facts::default(),
        };
        let rules = Rules {
            default_sender: None,
            max_lateness: Duration::from_secs(1),
            ..Rules::default()
        };
        let capabilities = Console::on(io::sink()).all_capabilities();
        match judge(&claim, &rules, &capabilities, Moment::default()) {
            Verdict::Send(cleared) => cleared,
            other => panic!("{other:?}"),
        }
    }

    fn send(body: &str, fails: Option<ErrorKind>) -> (Outcome, String) {
        send_by(Channel::Sms, "+13105551234", body, fails)
    }

    fn send_by(
        channel: Channel,
        to: &str,
        body: &str,
        fails: Option<ErrorKind>,
    ) -> (Outcome, String) {
        let screen = Screen(Arc::default(), fails);
        let console = Console::on(screen.clone());
        let cleared = message(channel, to, body);
        let outcome = console
            .get(&LaneKey::of(channel))
            .expect("it carries every channel")
            .send(&cleared, Duration::from_secs(1))
            .now_or_never();
        let shown = String::from_utf8(screen.0.lock().unwrap().clone()).unwrap();
        (outcome.expect("it does not wait"), shown)
    }

    #[test]
    fn a_message_is_one_line_and_accepted() {
        let (outcome, shown) = send("Grüße 👋\nzwei\u{1b}[2J", None);
        assert_eq!(shown, "+13105551234: Grüße 👋\\nzwei\\u{1b}[2J\n");
        let sid = ProviderSid("CO00000000000000000000000000000abc".into());
        assert_eq!(outcome, Outcome::Accepted { sid });
    }

    #[test]
    fn it_carries_every_channel() {
        for (channel, to) in [
            (Channel::Email, "ada@example.com"),
            (Channel::Push, "https://push.example/1"),
            (Channel::InApp, "0a1b2c3d-0000-4000-8000-0123456789ab"),
            (Channel::Webhook, "https://hooks.example/1"),
        ] {
            let (outcome, shown) = send_by(channel, to, &"x".repeat(2_000), None);
            assert_eq!(shown, format!("{to}: {}\n", "x".repeat(2_000)));
            assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
        }
    }

    #[test]
    fn a_closed_console_accepts_nothing() {
        let (outcome, _) = send("hello", Some(ErrorKind::BrokenPipe));
        assert!(matches!(outcome, Outcome::Unsent { .. }), "{outcome:?}");
        let (outcome, _) = send("hello", Some(ErrorKind::Other));
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    }
}
