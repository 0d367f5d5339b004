//! The stand-in on the wire: one request after the other, and what goes wrong with each.

use std::sync::Arc;

use base64::Engine as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::habits::{Fault, Plan};
use super::{Desk, callback, list};
use crate::standin::{JSON, Seen, answer, read};

const HTML: &str = "content-type: text/html\r\n";

/// Answers whoever comes; ends, and every connection with it, when it is dropped.
pub(super) async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((tcp, _)) = accepted else { continue };
                let (desk, own) = (Arc::clone(&desk), number);
                number += 1;
                // Errors are the client's going away, which it may.
                connections.spawn(async move { drop(serve(tcp, own, &desk).await) });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(tcp: TcpStream, number: usize, desk: &Arc<Desk>) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut wire = BufReader::new(tcp);
    while let Some(seen) = read(&mut wire, number).await? {
        let on = if seen.webhook_id().is_some() {
            webhook(&mut wire, seen, desk).await?
        } else if seen.is_create() {
            create(&mut wire, seen, desk).await?
        } else {
            let text = other(&seen, desk);
            wire.write_all(text.as_bytes()).await?;
            true
        };
        if !on {
            break;
        }
    }
    Ok(())
}

fn json(status: u16, headers: &str, body: &Value) -> String {
    answer(status, &format!("{JSON}{headers}"), &body.to_string())
}

fn is_ours(seen: &Seen, desk: &Desk) -> bool {
    let book = desk.book();
    let pair = format!("{}:{}", book.account, book.auth_token);
    let basic = base64::engine::general_purpose::STANDARD.encode(pair);
    seen.header("authorization") == Some(&format!("Basic {basic}"))
}

fn other(seen: &Seen, desk: &Desk) -> String {
    desk.book().others.push(seen.line.clone());
    desk.changed();
    if !is_ours(seen, desk) {
        return json(401, "", &list::error(401, 20003, "Authenticate"));
    }
    let target = seen.line.split(' ').nth(1).unwrap_or_default();
    let (status, body) = list::look_up(&desk.book(), target);
    json(status, "", &body)
}

/// Does with a request for a message what is planned; `false` ends the connection.
async fn create(
    wire: &mut BufReader<TcpStream>,
    seen: Seen,
    desk: &Arc<Desk>,
) -> std::io::Result<bool> {
    if !is_ours(&seen, desk) {
        let refusal = json(401, "", &list::error(401, 20003, "Authenticate"));
        wire.write_all(refusal.as_bytes()).await?;
        return Ok(true);
    }
    let plan = desk.book().asked(&seen);
    let taken = plan.fault.takes_it_in().then(|| take_in(&seen, plan, desk));
    desk.changed();
    let created = taken.map(|resource| json(201, "", &resource));
    let created = created.unwrap_or_default();
    let response = match plan.fault {
        Fault::None => created,
        Fault::Slow(delay) => {
            tokio::time::sleep(delay).await;
            created
        }
        Fault::Drip(gap) => {
            for byte in created.bytes() {
                wire.write_all(&[byte]).await?;
                tokio::time::sleep(gap).await;
            }
            String::new()
        }
        Fault::Silence(_) => {
            // Until the other side has had enough.
            while wire.read(&mut [0; 64]).await? > 0 {}
            return Ok(false);
        }
        Fault::Reset(_) => {
            wire.get_ref().set_zero_linger()?;
            return Ok(false);
        }
        Fault::Cut => {
            let half = &created.as_bytes()[..created.len() / 2];
            wire.write_all(half).await?;
            return Ok(false);
        }
        Fault::Error(_, status) => answer(status, HTML, "<h1>upstream</h1>"),
        Fault::Garbage(_) => answer(201, HTML, "<h1>Welcome</h1>"),
        Fault::Busy(after) => {
            let headers = after.map_or(String::new(), |s| format!("retry-after: {s}\r\n"));
            json(429, &headers, &list::error(429, 20429, "Too Many Requests"))
        }
        Fault::Refuse(code) => json(400, "", &list::error(400, code, "refused")),
    };
    wire.write_all(response.as_bytes()).await?;
    if matches!(plan.fault, Fault::None | Fault::Slow(_) | Fault::Drip(_)) {
        desk.book().answered(seen.field("Body").unwrap_or_default());
        desk.changed();
    }
    Ok(true)
}

/// The same as an endpoint of webhooks, which responds 200 to an id that it has processed.
async fn webhook(
    wire: &mut BufReader<TcpStream>,
    seen: Seen,
    desk: &Arc<Desk>,
) -> std::io::Result<bool> {
    let plan = desk.book().asked(&seen);
    let is_known = desk.book().is_known(&seen);
    if plan.fault.takes_it_in() {
        desk.book().process(&seen);
    }
    desk.changed();
    let accepted = answer(200, "", "ok");
    let response = match plan.fault {
        Fault::Error(..) | Fault::Busy(_) | Fault::Refuse(_) if is_known => accepted,
        Fault::None => accepted,
        Fault::Slow(delay) => {
            tokio::time::sleep(delay).await;
            accepted
        }
        Fault::Drip(gap) => {
            for byte in accepted.bytes() {
                wire.write_all(&[byte]).await?;
                tokio::time::sleep(gap).await;
            }
            String::new()
        }
        Fault::Silence(_) => {
            while wire.read(&mut [0; 64]).await? > 0 {}
            return Ok(false);
        }
        Fault::Reset(_) => {
            wire.get_ref().set_zero_linger()?;
            return Ok(false);
        }
        Fault::Cut => {
            wire.write_all(b"HTTP/1.1 2").await?;
            return Ok(false);
        }
        Fault::Garbage(_) => "Welcome to the wrong port\r\n\r\n".to_owned(),
        Fault::Error(_, status) => answer(status, HTML, "<h1>upstream</h1>"),
        Fault::Busy(after) => {
            let headers = after.map_or(String::new(), |s| format!("retry-after: {s}\r\n"));
            answer(429, &headers, "")
        }
        Fault::Refuse(_) => answer(410, "", ""),
    };
    wire.write_all(response.as_bytes()).await?;
    if matches!(plan.fault, Fault::None | Fault::Slow(_) | Fault::Drip(_)) {
        desk.book().answered(&seen.text());
        desk.changed();
    }
    Ok(!matches!(plan.fault, Fault::Garbage(_)))
}

/// The message is ours from here on, whatever the answer will be.
fn take_in(seen: &Seen, plan: Plan, desk: &Arc<Desk>) -> Value {
    let message = desk.book().take_in(seen);
    let resource = message.resource();
    desk.lives()
        .spawn(callback::live(Arc::clone(desk), message, plan));
    resource
}
