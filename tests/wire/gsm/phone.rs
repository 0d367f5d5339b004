//! What the stand-in knows: the SIM, the network, every text that went out, and what it is to do.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use super::pdu::{self, Segment};
use crate::twilio::{Fault, Text};

pub(crate) const IMSI: &str = "262011234567890";

/// At which moment of a message the modem is unplugged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// After the command, before it asks for the PDU.
    BeforePrompt,
    /// In the middle of the PDU.
    InPdu,
    /// After the last byte, and the message is lost.
    Lost,
    /// After the last byte, and the message is sent.
    Sent,
    /// In the middle of its answer.
    InAnswer,
    /// After a PIN was entered, before the response.
    Pin,
}

impl Break {
    /// Of a message.
    pub(crate) const ALL: [Self; 5] = [
        Self::BeforePrompt,
        Self::InPdu,
        Self::Lost,
        Self::Sent,
        Self::InAnswer,
    ];
}

/// Everything the simulated modem knows.
#[derive(Default)]
pub(crate) struct Phone {
    /// How often each text was asked for, and went out.
    pub(crate) texts: HashMap<String, Text>,
    pub(crate) by_text: HashMap<String, VecDeque<Fault>>,
    /// What happens to the next messages, whatever their text.
    pub(crate) breaks: VecDeque<Break>,
    /// The commands that it refuses with these lines.
    pub(crate) refuses: HashMap<String, String>,
    /// What happens to it once, after its response to a command.
    pub(crate) once_after: HashMap<String, fn(&mut Self)>,
    /// The commands that it was given.
    pub(crate) commands: Vec<String>,
    /// The PIN that unlocks it; `None`: it wants none.
    pub(crate) pin: Option<String>,
    /// How often a PIN was entered.
    pub(crate) pins: usize,
    pub(crate) no_network: bool,
    /// The status of which it reports at once after each segment.
    pub(crate) reports: Option<u8>,
    /// Every PDU that was taken in.
    pub(crate) pdus: Vec<String>,
    pub(crate) segments: Vec<Segment>,
    /// The number of the last segment.
    pub(crate) reference: u8,
    /// Its memory.
    pub(crate) stored: BTreeMap<u16, String>,
    /// How often it was confirmed to it that something has arrived.
    pub(crate) acknowledged: usize,
    pub(crate) connections: usize,
    /// After a reset it has forgotten its settings.
    pub(crate) is_text_mode: bool,
    pub(crate) unasked: VecDeque<String>,
    /// Of long texts that are not complete.
    partial: HashMap<u8, BTreeMap<u8, String>>,
}

/// What the stand-in does about a message.
pub(super) struct Plan {
    pub(super) fault: Fault,
    pub(super) broken: Option<Break>,
    /// The answer to a segment that was taken in.
    pub(super) reference: u8,
}

impl Phone {
    /// All that its messages are about at the moment: what is to be done with this one.
    pub(super) fn takes(&mut self, hex: &str, announced: usize) -> Option<Plan> {
        let segment = pdu::submit(hex, announced)?;
        let broken = self
            .breaks
            .front()
            .copied()
            .filter(|b| matches!(b, Break::Lost | Break::Sent | Break::InAnswer));
        if broken.is_some() {
            self.breaks.pop_front();
        }
        let text = segment.text.clone();
        let is_first = segment.of.is_none_or(|[_, _, number]| number == 1);
        if is_first {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            self.texts.entry(text.clone()).or_default().asked.push(now);
        }
        let fault = self.by_text.get_mut(&text).and_then(VecDeque::pop_front);
        let fault = fault.unwrap_or(Fault::None);
        if fault.takes_it_in() && broken != Some(Break::Lost) {
            self.reference = self.reference.wrapping_add(1);
            self.sends(hex, segment);
        }
        let reference = self.reference;
        Some(Plan {
            fault,
            broken,
            reference,
        })
    }

    /// It goes out.
    fn sends(&mut self, hex: &str, segment: Segment) {
        self.pdus.push(hex.to_owned());
        if let (Some(status), true) = (self.reports, segment.wants_report) {
            let report = pdu::status_report(self.reference, &segment.to, status);
            let octets = report.len() / 2 - 1;
            self.unasked
                .push_back(format!("\r\n+CDS: {octets}\r\n{report}\r\n"));
        }
        let whole = match segment.of {
            None => Some(segment.text.clone()),
            Some([reference, of, number]) => {
                let parts = self.partial.entry(reference).or_default();
                parts.insert(number, segment.text.clone());
                (parts.len() == usize::from(of)).then(|| parts.values().cloned().collect())
            }
        };
        if let Some(whole) = whole {
            let sid = format!("{}", self.pdus.len());
            self.texts.entry(whole).or_default().sids.push(sid);
        }
        self.segments.push(segment);
    }

    /// Puts a PDU into the first free place.
    pub(crate) fn store(&mut self, pdu: &str) -> u16 {
        let free = (1..=u16::MAX)
            .find(|index| !self.stored.contains_key(index))
            .unwrap();
        self.stored.insert(free, pdu.to_owned());
        free
    }

    /// Texts that went out more than once.
    pub(crate) fn doubled(&self) -> Vec<String> {
        let doubled = self.texts.iter().filter(|(_, text)| text.sids.len() > 1);
        doubled.map(|(text, _)| text.clone()).collect()
    }

    /// The response to a command that is about no message.
    pub(super) fn responds(&mut self, command: &str) -> String {
        self.commands.push(command.to_owned());
        let response = self.response(command);
        if let Some(happens) = self.once_after.remove(command) {
            happens(self);
        }
        response
    }

    fn response(&mut self, command: &str) -> String {
        if let Some(refusal) = self.refuses.get(command) {
            return format!("\r\n{refusal}\r\n");
        }
        let lines = match command {
            "AT+CPIN?" if self.pin.is_some() => "+CPIN: SIM PIN".to_owned(),
            "AT+CPIN?" => "+CPIN: READY".to_owned(),
            "AT+CIMI" => IMSI.to_owned(),
            "AT+CSMS?" => "+CSMS: 1,1,1,1".to_owned(),
            "AT+CPMS?" => "+CPMS: \"SM\",0,20,\"SM\",0,20,\"SM\",0,20".to_owned(),
            "AT+CREG?" | "AT+CEREG?" => {
                let stat = if self.no_network { 2 } else { 1 };
                format!(
                    "{}: 0,{stat}",
                    command.trim_start_matches("AT").trim_end_matches('?')
                )
            }
            "AT+CSQ" => "+CSQ: 21,99".to_owned(),
            "AT+COPS?" => "+COPS: 0,0,\"Test Net\",7".to_owned(),
            "AT+CSCA?" => "+CSCA: \"+491710760000\",145".to_owned(),
            // A list of texts is asked for by a word.
            "AT+CMGL=4" if self.is_text_mode => return "\r\nERROR\r\n".to_owned(),
            "AT+CMGL=4" => {
                let all = self.stored.iter().map(|(index, pdu)| {
                    let octets = pdu.len() / 2 - 1;
                    format!("+CMGL: {index},1,,{octets}\r\n{pdu}")
                });
                all.collect::<Vec<_>>().join("\r\n")
            }
            "AT+CMGF=0" => {
                self.is_text_mode = false;
                String::new()
            }
            "AT+CNMA" => {
                self.acknowledged += 1;
                String::new()
            }
            "AT" | "ATE0" | "AT+CMEE=1" | "AT+CSMS=1" => String::new(),
            other => match self.responds_about_places(other) {
                Some(lines) => lines,
                None => return "\r\nERROR\r\n".to_owned(),
            },
        };
        if lines.is_empty() {
            "\r\nOK\r\n".to_owned()
        } else {
            format!("\r\n{lines}\r\n\r\nOK\r\n")
        }
    }

    fn responds_about_places(&mut self, command: &str) -> Option<String> {
        if command.starts_with("AT+CNMI=") || command == "AT+CPMS=\"SM\"" {
            return Some(String::new());
        }
        if let Some(index) = command.strip_prefix("AT+CMGR=") {
            let pdu = self.stored.get(&index.parse().ok()?)?;
            if self.is_text_mode {
                let head = "+CMGR: \"REC UNREAD\",\"+13105551234\",,\"26/11/29,12:00:00+00\"";
                return Some(format!("{head}\r\nStop"));
            }
            return Some(format!("+CMGR: 0,,{}\r\n{pdu}", pdu.len() / 2 - 1));
        }
        if let Some(index) = command.strip_prefix("AT+CMGD=") {
            self.stored.remove(&index.parse().ok()?)?;
            return Some(String::new());
        }
        let pin = command.strip_prefix("AT+CPIN=\"")?.strip_suffix('"')?;
        self.pins += 1;
        if self.pin.as_deref() == Some(pin) {
            self.pin = None;
            return Some(String::new());
        }
        None
    }
}
