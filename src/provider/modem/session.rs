//! One connection to a modem: commands and their responses, and what the modem says in between.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::at::{Failed, Lines, Place, Said, Unasked, result};
use super::pdu::Submit;
use super::port::{Halves, Port};

/// How long a port may take to open.
const OPEN_MAX: Duration = Duration::from_secs(5);

/// How long a modem may take to respond to a command for itself. Entering a PIN takes the longest.
const RESPONSE_MAX: Duration = Duration::from_secs(10);

/// How long it may take to list a memory: at 9600 bits per second, 50 long messages are 20 s of digits.
pub(super) const LIST_MAX: Duration = Duration::from_secs(120);

/// The most things it has received that are kept until they are read. The others stay in its memory, or the network
/// repeats them.
const NEWS_MAX: usize = 256;

/// A modem that says nothing for so long has nothing left to say.
const QUIET: Duration = Duration::from_millis(150);

/// The most lines that are skipped until it is quiet.
const SKIPPED_MAX: usize = 64;

/// Ends the text of a message, and sends it.
const CTRL_Z: u8 = 0x1a;

/// Ends the text of a message, and drops it.
const ESCAPE: u8 = 0x1b;

/// Why a connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The modem was unplugged, or the server closed the connection.
    #[error("the connection ended")]
    Ended,
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The modem does not respond.
    #[error("no response to {0}")]
    Silent(&'static str),
    /// The SIM does nothing for the moment.
    #[error("the SIM is busy")]
    Busy,
    /// The modem was reset, or its SIM changed.
    #[error("the SIM is locked again")]
    Locked,
    /// What it did before it does no more.
    #[error("the modem refuses {0}")]
    Refused(&'static str),
}

/// What became of one segment.
#[derive(Debug)]
pub(super) enum Submitted {
    /// The network took it, and this is the modem's number of it.
    Accepted(u8),
    /// The modem reported an error.
    Failed {
        /// The error.
        failed: Failed,
        /// The message was complete by then.
        after_last_byte: bool,
    },
    /// It was certainly not sent.
    Unsent(String),
    /// It may have been sent.
    Unknown(String),
}

/// What the modem has received.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It is in its memory.
    Stored(Place),
    /// This is its PDU.
    Direct(String),
}

/// One connection to a modem.
pub(super) struct Session {
    halves: Halves,
    lines: Lines,
    /// The next line is the PDU of what was announced.
    is_announced: bool,
    news: VecDeque<News>,
    /// How long a network may take to answer a message.
    answer_max: Duration,
    /// It must not be used any more.
    broken: Option<Broken>,
}

impl Session {
    /// Connects, drops what an earlier process had begun to write, and waits until the modem responds.
    pub(super) async fn open(port: &Port, answer_max: Duration) -> Result<Self, Broken> {
        let halves = timeout(OPEN_MAX, port.open()).await;
        let halves = halves.map_err(|_| Broken::Silent("the attempt to connect"))??;
        let mut session = Self::over(halves, answer_max);
        session.responds(RESPONSE_MAX).await?;
        Ok(session)
    }

    fn over(halves: Halves, answer_max: Duration) -> Self {
        Self {
            halves,
            lines: Lines::default(),
            is_announced: false,
            news: VecDeque::new(),
            answer_max,
            broken: None,
        }
    }

    /// Waits until the modem responds. Another port of it, which reports positions, would speak for ever.
    async fn responds(&mut self, max: Duration) -> Result<(), Broken> {
        self.write(&[ESCAPE]).await?;
        for _ in 0..SKIPPED_MAX {
            match timeout(QUIET, self.said()).await {
                Ok(said) => drop(said?),
                Err(_) => break,
            }
        }
        // It may be starting. Responses to commands that it did not read in time are skipped as before.
        self.write(b"AT\r").await?;
        let end = timeout(max, self.ok()).await;
        end.unwrap_or(Err(Broken::Silent("AT")))
    }

    async fn ok(&mut self) -> Result<(), Broken> {
        while self.said().await? != Said::Line("OK".into()) {}
        Ok(())
    }

    /// Makes a command, and returns the lines of its response.
    pub(super) async fn command(
        &mut self,
        command: &str,
        name: &'static str,
    ) -> Result<Result<Vec<String>, Failed>, Broken> {
        self.command_within(RESPONSE_MAX, command, name).await
    }

    /// The same for one that takes longer.
    pub(super) async fn command_within(
        &mut self,
        max: Duration,
        command: &str,
        name: &'static str,
    ) -> Result<Result<Vec<String>, Failed>, Broken> {
        let response = async {
            self.write(format!("{command}\r").as_bytes()).await?;
            let mut lines = Vec::new();
            loop {
                let Said::Line(line) = self.said().await? else {
                    continue;
                };
                match result(&line) {
                    Some(Ok(())) => return Ok(Ok(lines)),
                    Some(Err(failed)) => return Ok(Err(failed)),
                    // What it received is kept elsewhere.
                    None if line.is_empty() => {}
                    None => lines.push(line),
                }
            }
        };
        let response = timeout(max, response).await;
        response.unwrap_or(Err(Broken::Silent(name)))
    }

    /// Sends a segment. `may_be_sent` is asked before its last byte: after that nothing can withdraw it.
    pub(super) async fn submit(
        &mut self,
        submit: &Submit,
        may_be_sent: impl FnOnce() -> bool,
    ) -> Submitted {
        match timeout(RESPONSE_MAX, self.write_pdu(submit)).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(failed))) => {
                let after_last_byte = false;
                return Submitted::Failed {
                    failed,
                    after_last_byte,
                };
            }
            Ok(Err(broken)) => return self.unsent(broken).await,
            Err(_) => return self.unsent(Broken::Silent("AT+CMGS")).await,
        }
        if !may_be_sent() {
            return self.unsent(Broken::Silent("a command in time")).await;
        }
        match timeout(self.answer_max, self.answer()).await {
            Ok(Ok(Ok(reference))) => self.accepted(reference).await,
            Ok(Ok(Err(submitted))) => submitted,
            Ok(Err(broken)) => self.unknown(broken),
            Err(_) => self.unknown(Broken::Silent("the message")),
        }
    }

    /// It is accepted by now. What is missing is only the end of the response.
    async fn accepted(&mut self, reference: u8) -> Submitted {
        let end = timeout(RESPONSE_MAX, self.ok()).await;
        if let Err(broken) = end.unwrap_or(Err(Broken::Silent("AT+CMGS"))) {
            self.broken = Some(broken);
        }
        Submitted::Accepted(reference)
    }

    /// Writes everything but the last byte.
    async fn write_pdu(&mut self, submit: &Submit) -> Result<Result<(), Failed>, Broken> {
        // A modem that has been reset meanwhile would take the digits for a text.
        if let Err(failed) = self.command("AT+CMGF=0", "AT+CMGF").await? {
            return Ok(Err(failed));
        }
        self.write(format!("AT+CMGS={}\r", submit.octets).as_bytes())
            .await?;
        loop {
            match self.said().await? {
                Said::Prompt => break,
                Said::Line(line) => {
                    if let Some(Err(failed)) = result(&line) {
                        return Ok(Err(failed));
                    }
                }
            }
        }
        self.write(submit.hex.as_bytes()).await?;
        Ok(Ok(()))
    }

    /// Writes the last byte, and reads the answer: the modem's number of the segment, or what became of it instead.
    async fn answer(&mut self) -> Result<Result<u8, Submitted>, Broken> {
        self.write(&[CTRL_Z]).await?;
        loop {
            let Said::Line(line) = self.said().await? else {
                continue;
            };
            let number = line
                .strip_prefix("+CMGS:")
                .map(|number| number.trim().parse());
            match (number, result(&line)) {
                (Some(Ok(reference)), _) => return Ok(Ok(reference)),
                (_, Some(Err(failed))) => {
                    let after_last_byte = true;
                    return Ok(Err(Submitted::Failed {
                        failed,
                        after_last_byte,
                    }));
                }
                (_, Some(Ok(()))) => {
                    let reason = "the modem gave no number to the message".to_owned();
                    return Ok(Err(Submitted::Unknown(reason)));
                }
                (_, None) => {}
            }
        }
    }

    async fn unsent(&mut self, broken: Broken) -> Submitted {
        // If the modem is still there, it forgets what it has of the message.
        let _ = timeout(QUIET, self.write(&[ESCAPE])).await;
        let reason = broken.to_string();
        self.broken = Some(broken);
        Submitted::Unsent(reason)
    }

    fn unknown(&mut self, broken: Broken) -> Submitted {
        let reason = format!("no answer to the message: {broken}");
        self.broken = Some(broken);
        Submitted::Unknown(reason)
    }

    /// Why it must not be used any more, if that is so.
    pub(super) const fn broken(&mut self) -> Option<Broken> {
        self.broken.take()
    }

    /// Waits for what the modem has received. Cancel safe.
    pub(super) async fn news(&mut self) -> Result<News, Broken> {
        loop {
            if let Some(news) = self.news.pop_front() {
                return Ok(news);
            }
            self.said().await?;
        }
    }

    /// The next line that belongs to a response, or to nothing. Cancel safe.
    async fn said(&mut self) -> Result<Said, Broken> {
        loop {
            while let Some(said) = self.lines.next() {
                let Said::Line(line) = said else {
                    return Ok(said);
                };
                if std::mem::take(&mut self.is_announced) {
                    self.hear(News::Direct(line));
                    // Who waits for news looks again.
                    return Ok(Said::Line(String::new()));
                }
                match Unasked::of(&line) {
                    Some(Unasked::Direct) => self.is_announced = true,
                    Some(Unasked::Stored(place)) => {
                        self.hear(News::Stored(place));
                        return Ok(Said::Line(String::new()));
                    }
                    None => return Ok(Said::Line(line)),
                }
            }
            let mut bytes = [0; 1024];
            match self.halves.0.read(&mut bytes).await? {
                0 => return Err(Broken::Ended),
                many => self.lines.feed(&bytes[..many]),
            }
        }
    }

    fn hear(&mut self, news: News) {
        if self.news.len() < NEWS_MAX {
            self.news.push_back(news);
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let write = async {
            self.halves.1.write_all(bytes).await?;
            self.halves.1.flush().await
        };
        let written = timeout(RESPONSE_MAX, write).await;
        Ok(written.map_err(|_| Broken::Silent("what is written"))??)
    }
}

#[cfg(test)]
mod tests;
