//! What a modem is asked for, and set to, before it sends.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::at::{Failed, memory_name};
use super::port::Port;
use super::session::{Broken, Session};

/// How a modem passes on what it receives, the best first (27.005, 3.4.1): replies by its memory, where they outlive a
/// failure of ours, and reports directly; both by its memory; both directly; replies only.
const INDICATIONS: [&str; 5] = [
    "AT+CNMI=2,1,0,1,0",
    "AT+CNMI=2,1,0,2,0",
    "AT+CNMI=1,1,0,1,0",
    "AT+CNMI=2,2,0,1,0",
    "AT+CNMI=2,1,0,0,0",
];

/// How many tries a PIN has, before the SIM is locked for all but its PUK.
const PIN_TRIES: u8 = 3;

/// Why there is no modem to send with.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotReady {
    /// There is no connection to one.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// A person has to act.
    #[error("{0}")]
    Locked(&'static str),
    /// It is no modem that can be used.
    #[error("the modem does not support {0}")]
    Unsupported(&'static str),
}

/// What unlocks the SIM, if anything does.
pub(super) struct Pin {
    secret: Option<SecretString>,
    entered: Entered,
}

/// What became of a PIN. Where the SIM did not accept it, it is not tried again: after three tries the SIM is locked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entered {
    /// It was not entered, or accepted.
    No,
    /// There was no response, so it may have been refused.
    Unanswered,
    Refused,
}

impl Pin {
    pub(super) const fn new(secret: Option<SecretString>) -> Self {
        Self {
            secret,
            entered: Entered::No,
        }
    }
}

/// A modem that is set up.
pub(super) struct Ready {
    pub(super) session: Session,
    /// The subscriber's number in the SIM.
    pub(super) imsi: String,
    /// What it passes on directly has to be acknowledged.
    pub(super) acknowledges: bool,
    /// The memories in which it keeps what it receives.
    pub(super) memories: Vec<String>,
}

/// Connects to the modem and sets it up.
pub(super) async fn ready(
    port: &Port,
    pin: &mut Pin,
    answer_max: Duration,
) -> Result<Ready, NotReady> {
    let mut session = Session::open(port, answer_max).await?;
    // Neither is needed.
    let _ = session.command("ATE0", "ATE0").await?;
    let _ = session.command("AT+CMEE=1", "AT+CMEE").await?;
    unlock(&mut session, pin).await?;
    let imsi = session.command("AT+CIMI", "AT+CIMI").await?;
    let imsi = imsi.unwrap_or_default().into_iter();
    let imsi = imsi
        .map(|line| line.trim_start_matches("+CIMI:").trim().to_owned())
        .find(|line| (6..=15).contains(&line.len()) && line.bytes().all(|b| b.is_ascii_digit()));
    let imsi = imsi.ok_or(NotReady::Locked("the SIM cannot be read"))?;
    if session.command("AT+CMGF=0", "AT+CMGF").await?.is_err() {
        return Err(NotReady::Unsupported("messages as PDUs (AT+CMGF=0)"));
    }
    let mut ready = Ready {
        session,
        imsi,
        acknowledges: false,
        memories: Vec::new(),
    };
    ready.indications().await?;
    ready.memories = memories(&mut ready.session).await?;
    Ok(ready)
}

impl Ready {
    /// Has what is received passed on. Again now and then: a modem that was reset has forgotten it, and one that
    /// was not acknowledged in time has stopped.
    pub(super) async fn indications(&mut self) -> Result<(), Broken> {
        let session = &mut self.session;
        pdu_mode(session).await?;
        let _ = session.command("AT+CSMS=1", "AT+CSMS").await?;
        let service = session.command("AT+CSMS?", "AT+CSMS").await?;
        self.acknowledges = field(&service, "+CSMS:", 0).as_deref() == Some("1");
        for command in INDICATIONS {
            if session.command(command, "AT+CNMI").await?.is_ok() {
                return Ok(());
            }
        }
        tracing::warn!(
            "the modem passes on neither replies nor reports (AT+CNMI); its memory is read instead"
        );
        Ok(())
    }
}

/// Has messages shown as PDUs. A modem that was reset shows them as texts, in which nothing is found.
pub(super) async fn pdu_mode(session: &mut Session) -> Result<(), Broken> {
    let set = session.command("AT+CMGF=0", "AT+CMGF").await?;
    set.map_err(|_| Broken::Refused("messages as PDUs (AT+CMGF=0)"))
        .map(drop)
}

/// Sees that the SIM wants no PIN. After a reset it may, and it is entered when the modem is set up again.
pub(super) async fn see_unlocked(session: &mut Session) -> Result<(), Broken> {
    let state = session.command("AT+CPIN?", "AT+CPIN").await?;
    match &state {
        Err(busy) if is_busy(*busy) => Ok(()),
        Err(_) => Err(Broken::Refused("the question for its SIM (AT+CPIN?)")),
        _ if field(&state, "+CPIN:", 0).as_deref() == Some("READY") => Ok(()),
        _ => Err(Broken::Locked),
    }
}

const fn is_busy(failed: Failed) -> bool {
    matches!(failed, Failed::Equipment(14) | Failed::Message(314))
}

/// Enters the PIN, if the SIM wants one.
async fn unlock(session: &mut Session, pin: &mut Pin) -> Result<(), NotReady> {
    let state = session.command("AT+CPIN?", "AT+CPIN").await?;
    let state = match &state {
        Err(busy) if is_busy(*busy) => return Err(Broken::Busy.into()),
        Err(Failed::Equipment(10) | Failed::Message(310)) => {
            return Err(NotReady::Locked("there is no SIM in the modem"));
        }
        Err(_) => return Err(NotReady::Locked("the SIM cannot be read")),
        Ok(_) => field(&state, "+CPIN:", 0).unwrap_or_default(),
    };
    match &*state {
        "READY" => {
            if pin.entered == Entered::Unanswered {
                pin.entered = Entered::No;
            }
            return Ok(());
        }
        "SIM PIN" => {}
        "SIM PUK" => {
            return Err(NotReady::Locked(
                "the SIM is locked: unlock it with its PUK in a phone",
            ));
        }
        _ => return Err(NotReady::Locked("the SIM is locked by more than its PIN")),
    }
    let Some(secret) = &pin.secret else {
        return Err(NotReady::Locked(
            "the SIM wants its PIN: set PUNCTUAL_MODEM_PIN",
        ));
    };
    match pin.entered {
        Entered::No => {}
        Entered::Unanswered => {
            return Err(NotReady::Locked(
                "the SIM did not respond to PUNCTUAL_MODEM_PIN; it is not tried again before a restart",
            ));
        }
        Entered::Refused => {
            return Err(NotReady::Locked(
                "the SIM does not accept PUNCTUAL_MODEM_PIN; it is not tried again before a restart",
            ));
        }
    }
    // Where the modem says how many tries are left, the last ones are a person's.
    let left = session.command("AT+CPINR=\"SIM PIN\"", "AT+CPINR").await?;
    let left = field(&left, "+CPINR:", 1).and_then(|left| left.parse::<u8>().ok());
    if left.is_some_and(|left| left < PIN_TRIES) {
        return Err(NotReady::Locked(
            "a wrong PIN was entered before: enter the right one in a phone, which makes all three tries free again",
        ));
    }
    let command = format!("AT+CPIN=\"{}\"", secret.expose_secret());
    pin.entered = Entered::Unanswered;
    match session.command(&command, "AT+CPIN").await? {
        Ok(_) => {
            pin.entered = Entered::No;
            Ok(())
        }
        Err(busy) if is_busy(busy) => {
            pin.entered = Entered::No;
            Err(Broken::Busy.into())
        }
        Err(_) => {
            pin.entered = Entered::Refused;
            Err(NotReady::Locked(
                "the SIM does not accept PUNCTUAL_MODEM_PIN",
            ))
        }
    }
}

/// Whether the modem is in a network: its own or another's, by GSM or LTE. A modem that does not say is.
pub(super) async fn is_registered(session: &mut Session) -> Result<bool, Broken> {
    let mut is_known = false;
    for (command, prefix) in [("AT+CREG?", "+CREG:"), ("AT+CEREG?", "+CEREG:")] {
        let response = session.command(command, "AT+CREG").await?;
        // At home, abroad, and the same for messages only.
        match field(&response, prefix, 1).as_deref() {
            Some("1" | "5" | "6" | "7") => return Ok(true),
            Some(_) => is_known = true,
            None => {}
        }
    }
    Ok(!is_known)
}

/// The memories that the modem has set: of what it lists and of what it receives.
async fn memories(session: &mut Session) -> Result<Vec<String>, Broken> {
    let set = session.command("AT+CPMS?", "AT+CPMS").await?;
    let named = |n| field(&set, "+CPMS:", n).and_then(|name| memory_name(&name));
    let mut memories: Vec<String> = [0, 6].into_iter().filter_map(named).collect();
    // Reports may have one of their own, which such a modem lists.
    let all = session.command("AT+CPMS=?", "AT+CPMS").await?;
    if all.is_ok_and(|lines| lines.iter().any(|line| line.contains("\"SR\""))) {
        memories.push("SR".to_owned());
    }
    memories.sort();
    memories.dedup();
    Ok(memories)
}

/// The nth field of the line of a response with this prefix, without quotes.
fn field(response: &Result<Vec<String>, Failed>, prefix: &str, nth: usize) -> Option<String> {
    let lines = response.as_ref().ok()?;
    let fields = lines.iter().find_map(|line| line.strip_prefix(prefix))?;
    let field = fields.split(',').nth(nth)?;
    Some(field.trim().trim_matches('"').to_owned())
}

/// What a modem says of itself, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The strength of the signal in dBm; `None`: unknown.
    pub signal_dbm: Option<i32>,
    /// The network.
    pub operator: Option<String>,
    /// Whether it is in that network.
    pub is_registered: bool,
    /// Whether the SIM has the number of a service centre, without which nothing can be sent.
    pub has_service_centre: bool,
}

/// Asks a modem for it. The error says what to do.
pub async fn inspect(port: &Port, pin: Option<SecretString>) -> Result<Inspection, String> {
    let look = async {
        let mut ready = ready(port, &mut Pin::new(pin), Duration::ZERO).await?;
        let session = &mut ready.session;
        let signal = session.command("AT+CSQ", "AT+CSQ").await?;
        let operator = session.command("AT+COPS?", "AT+COPS").await?;
        let centre = session.command("AT+CSCA?", "AT+CSCA").await?;
        let signal = field(&signal, "+CSQ:", 0).and_then(|rssi| rssi.parse::<i32>().ok());
        let centre = field(&centre, "+CSCA:", 0).unwrap_or_default();
        Ok(Inspection {
            // 27.007, 8.5: 0 to 31 in steps of 2 dBm; 99 is unknown.
            signal_dbm: signal
                .filter(|rssi| (0..=31).contains(rssi))
                .map(|rssi| 2 * rssi - 113),
            operator: field(&operator, "+COPS:", 2),
            is_registered: is_registered(session).await?,
            has_service_centre: centre.bytes().any(|b| b.is_ascii_digit()),
        })
    };
    look.await.map_err(|why: NotReady| why.to_string())
}

/// How often the modem is asked whether it is still there, and its memory is read.
pub(super) const POLL: Duration = Duration::from_secs(30);
