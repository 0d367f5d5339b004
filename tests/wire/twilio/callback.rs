//! What becomes of a message, and the callbacks that report it, signed as Twilio signs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;
use url::form_urlencoded::Serializer;

use super::Desk;
use super::book::{CallbackMade, Message};
use super::habits::Plan;
use crate::dice::Dice;

/// Twilio gives up on a callback, all repetitions included, after this.
const PATIENCE: Duration = Duration::from_secs(15);

/// Between two tries of one callback: grows by as much each time.
const PAUSE: Duration = Duration::from_millis(500);

/// Lives through what the plan has for the message, and reports it where it asked for that.
pub(super) async fn live(desk: Arc<Desk>, message: Message, plan: Plan) {
    let (pace, seed) = {
        let book = desk.book();
        (book.habits.pace, book.habits.seed)
    };
    let mut dice = Dice::new(seed, &message.sid);
    let mut delayed = None;
    let mut waiting = tokio::task::JoinSet::new();
    for &status in plan.end.statuses() {
        tokio::time::sleep(pace).await;
        let is_end = !matches!(status, "queued" | "sending" | "sent");
        let code = plan.end.code().filter(|_| is_end);
        desk.book().reached(&message.sid, status, code);
        desk.changed();
        if message.callback.is_none() || dice.chance(plan.odds.lost) {
            continue;
        }
        let mut now = vec![(status, code)];
        if dice.chance(plan.odds.doubled) {
            now.push((status, code));
        }
        if delayed.is_none() && dice.chance(plan.odds.reordered) {
            delayed = Some(now);
            continue;
        }
        now.extend(delayed.take().into_iter().flatten());
        for (status, code) in now {
            waiting.spawn(call_back(Arc::clone(&desk), message.clone(), status, code));
        }
    }
    for (status, code) in delayed.into_iter().flatten() {
        waiting.spawn(call_back(Arc::clone(&desk), message.clone(), status, code));
    }
    waiting.join_all().await;
}

/// Makes one callback, again and again as its URL asks for.
async fn call_back(desk: Arc<Desk>, message: Message, status: &'static str, code: Option<i32>) {
    let Some((url, wish)) = message.callback.as_deref().and_then(parse) else {
        return;
    };
    let form = form(&message, status, code);
    let signature = sign(&desk.book().auth_token, url.as_str(), &form);
    let body = Serializer::new(String::new()).extend_pairs(&form).finish();
    let request = format!(
        "POST {}?{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: TwilioProxy/1.1\r\n\
         Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n\
         I-Twilio-Idempotency-Token: {}\r\nX-Twilio-Signature: {signature}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        url.path(),
        url.query().unwrap_or_default(),
        url.host_str().unwrap_or_default(),
        uuid::Uuid::new_v4(),
        body.len()
    );
    let began = Instant::now();
    let mut answer = None;
    for again in 0..=wish.repetitions {
        if again > 0 {
            tokio::time::sleep(PAUSE * again).await;
        }
        let left = PATIENCE.saturating_sub(began.elapsed());
        if left.is_zero() {
            break;
        }
        let hooks = desk.book().hooks.clone();
        let posted = tokio::time::timeout(left, post(&hooks, &request));
        answer = posted.await.ok().flatten();
        match answer {
            Some(200..=299) => break,
            // Twilio's default is to repeat only where there was no connection.
            Some(_) if !wish.whatever => break,
            _ => {}
        }
    }
    desk.book().called_back(CallbackMade {
        sid: message.sid,
        status,
        answer,
    });
    desk.changed();
}

/// What the fragment of a callback's URL asks for.
struct Wish {
    repetitions: u32,
    whatever: bool,
}

fn parse(callback: &str) -> Option<(Url, Wish)> {
    let mut url: Url = callback.parse().ok()?;
    let fragment = url.fragment().unwrap_or_default().to_owned();
    url.set_fragment(None);
    let value = |name: &str| {
        let mut pairs = fragment.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let wish = Wish {
        repetitions: value("rc").and_then(|n| n.parse().ok()).unwrap_or(1).min(5),
        whatever: value("rp") == Some("all"),
    };
    Some((url, wish))
}

fn form(message: &Message, status: &'static str, code: Option<i32>) -> Vec<(&'static str, String)> {
    let mut form = vec![
        ("AccountSid", message.account.clone()),
        ("ApiVersion", "2010-04-01".to_owned()),
        ("MessageSid", message.sid.clone()),
        ("MessageStatus", status.to_owned()),
        ("SmsSid", message.sid.clone()),
        ("SmsStatus", status.to_owned()),
        ("To", message.to.clone()),
    ];
    form.extend(message.from.clone().map(|from| ("From", from)));
    let service = message.service.clone();
    form.extend(service.map(|service| ("MessagingServiceSid", service)));
    form.extend(code.map(|code| ("ErrorCode", code.to_string())));
    form
}

/// The signature over the URL as given, and every parameter in the order of the names.
pub(crate) fn sign(auth_token: &str, url: &str, form: &[(&str, String)]) -> String {
    let mut form: Vec<_> = form.iter().collect();
    form.sort();
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(auth_token.as_bytes()).unwrap();
    mac.update(url.as_bytes());
    for (name, value) in form {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

/// To the first address where somebody is; `None`: nobody is anywhere, or does not answer.
async fn post(hooks: &[String], request: &str) -> Option<u16> {
    for hook in hooks {
        let Ok(mut stream) = TcpStream::connect(hook).await else {
            continue;
        };
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        // Leaves no port behind for a minute: there are many callbacks.
        stream.set_zero_linger().ok()?;
        let head = String::from_utf8(head).ok()?;
        return head.split(' ').nth(1)?.parse().ok();
    }
    None
}
