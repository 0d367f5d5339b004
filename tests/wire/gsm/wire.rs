//! The stand-in on the wire: commands, the prompt, PDUs, and what goes wrong with each.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Desk;
use super::phone::{Break, Plan};
use crate::twilio::Fault;

const CTRL_Z: u8 = 0x1a;
const ESCAPE: u8 = 0x1b;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Reset,
}

/// Serves one connection until it ends; `Err` is the other side's going away.
pub(super) async fn serve(
    read: &mut (impl AsyncRead + Unpin),
    write: &mut (impl AsyncWrite + Unpin),
    desk: &Desk,
) -> End {
    desk.phone().connections += 1;
    let mut connection = Connection {
        read,
        write,
        desk,
        line: Vec::new(),
        announced: None,
    };
    connection.run().await.unwrap_or(End::Closed)
}

struct Connection<'a, R, W> {
    read: &'a mut R,
    write: &'a mut W,
    desk: &'a Desk,
    line: Vec<u8>,
    /// It waits for a PDU of so many octets.
    announced: Option<usize>,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Connection<'_, R, W> {
    async fn run(&mut self) -> std::io::Result<End> {
        loop {
            let mut bytes = [0; 512];
            let many = tokio::select! {
                many = self.read.read(&mut bytes) => many?,
                () = self.desk.unasked.notified() => {
                    self.speak().await?;
                    continue;
                }
            };
            if many == 0 {
                return Ok(End::Closed);
            }
            for byte in &bytes[..many] {
                if let Some(end) = self.byte(*byte).await? {
                    return Ok(end);
                }
            }
            // In front of the next response, as modems do.
            self.speak().await?;
        }
    }

    /// Says what nobody has asked for, but never in the middle of a message.
    async fn speak(&mut self) -> std::io::Result<()> {
        while self.announced.is_none() {
            let Some(lines) = self.desk.phone().unasked.pop_front() else {
                break;
            };
            self.write.write_all(lines.as_bytes()).await?;
        }
        Ok(())
    }

    async fn byte(&mut self, byte: u8) -> std::io::Result<Option<End>> {
        match (byte, self.announced) {
            (ESCAPE, _) => {
                self.line.clear();
                if self.announced.take().is_some() {
                    self.write.write_all(b"\r\nOK\r\n").await?;
                }
            }
            (CTRL_Z, Some(announced)) => {
                self.announced = None;
                let hex = String::from_utf8(std::mem::take(&mut self.line)).unwrap();
                return self.message(hex.trim(), announced).await;
            }
            (_, Some(announced)) => {
                self.line.push(byte);
                let is_half = self.line.len() == announced;
                if is_half && self.breaks(Break::InPdu) {
                    return Ok(Some(End::Closed));
                }
            }
            (b'\r' | b'\n', None) => {
                let command = String::from_utf8(std::mem::take(&mut self.line)).unwrap();
                return self.command(command.trim()).await;
            }
            (_, None) => self.line.push(byte),
        }
        Ok(None)
    }

    /// Whether the modem is to be unplugged at this moment.
    fn breaks(&self, at: Break) -> bool {
        let mut phone = self.desk.phone();
        let is_now = phone.breaks.front() == Some(&at);
        if is_now {
            phone.breaks.pop_front();
        }
        is_now
    }

    async fn command(&mut self, command: &str) -> std::io::Result<Option<End>> {
        if command.is_empty() {
            return Ok(None);
        }
        let Some(octets) = command.strip_prefix("AT+CMGS=") else {
            let response = self.desk.phone().responds(command);
            if command.starts_with("AT+CPIN=") && self.breaks(Break::Pin) {
                return Ok(Some(End::Closed));
            }
            self.write.write_all(response.as_bytes()).await?;
            return Ok(None);
        };
        if self.breaks(Break::BeforePrompt) {
            return Ok(Some(End::Closed));
        }
        let refusal = {
            let phone = self.desk.phone();
            assert!(!phone.is_text_mode, "a PDU would be sent as a text");
            phone.refuses.get("AT+CMGS").cloned()
        };
        if let Some(refusal) = refusal {
            let refusal = format!("\r\n{refusal}\r\n");
            self.write.write_all(refusal.as_bytes()).await?;
        } else {
            self.announced = octets.parse().ok();
            self.write.write_all(b"\r\n> ").await?;
        }
        Ok(None)
    }

    async fn message(&mut self, hex: &str, announced: usize) -> std::io::Result<Option<End>> {
        let plan = self.desk.phone().takes(hex, announced);
        let Some(plan) = plan else {
            self.write.write_all(b"\r\n+CMS ERROR: 304\r\n").await?;
            return Ok(None);
        };
        let answer = format!("\r\n+CMGS: {}\r\n\r\nOK\r\n", plan.reference);
        self.answers(&plan, answer.as_bytes()).await
    }

    async fn answers(&mut self, plan: &Plan, answer: &[u8]) -> std::io::Result<Option<End>> {
        match plan.broken {
            Some(Break::InAnswer) => {
                self.write.write_all(&answer[..8]).await?;
                // What is written to a pseudo-terminal is gone with it.
                self.write.flush().await?;
                return Ok(Some(End::Closed));
            }
            Some(_) => return Ok(Some(End::Closed)),
            None => {}
        }
        match plan.fault {
            Fault::None => self.write.write_all(answer).await?,
            Fault::Slow(delay) => {
                tokio::time::sleep(delay).await;
                self.write.write_all(answer).await?;
            }
            Fault::Drip(gap) => {
                for byte in answer {
                    self.write.write_all(&[*byte]).await?;
                    tokio::time::sleep(gap).await;
                }
            }
            Fault::Silence(_) => {
                // Until the other side has had enough.
                while self.read.read(&mut [0; 64]).await? > 0 {}
                return Ok(Some(End::Closed));
            }
            Fault::Garbage(_) => self.write.write_all(b"\r\n\xff+CM?S 17\x00\r\n").await?,
            Fault::Reset(_) => return Ok(Some(End::Reset)),
            Fault::Cut => {
                self.write.write_all(&answer[..6]).await?;
                return Ok(Some(End::Closed));
            }
            Fault::Busy(_) => self.write.write_all(b"\r\n+CMS ERROR: 42\r\n").await?,
            // Another provider's code of a number that cannot be texted.
            Fault::Refuse(21211) => self.write.write_all(b"\r\n+CMS ERROR: 1\r\n").await?,
            Fault::Refuse(code) => {
                let refusal = format!("\r\n+CMS ERROR: {code}\r\n");
                self.write.write_all(refusal.as_bytes()).await?;
            }
            Fault::Error(..) => self.write.write_all(b"\r\n+CMS ERROR: 500\r\n").await?,
        }
        Ok(None)
    }
}
