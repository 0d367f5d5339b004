//! Twilio's reports on messages, as they arrive at a daemon whose public URL is `https://sms.example`.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::twilio::sign;

/// Status of `POST path` with a report on the message with this sid, signed with this token.
pub(crate) async fn report(
    addr: &str,
    path: &str,
    token: &str,
    (sid, status): (&str, &str),
) -> u16 {
    let form = [("MessageSid", sid), ("MessageStatus", status)];
    report_all(addr, path, token, &form).await
}

/// The same with all that the report says.
pub(crate) async fn report_all(addr: &str, path: &str, token: &str, form: &[(&str, &str)]) -> u16 {
    let form: Vec<_> = form
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    let signature = sign(token, &format!("https://sms.example{path}"), &form);
    let body: Vec<_> = form
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let body = body.join("&");
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nx-twilio-signature: {signature}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}
