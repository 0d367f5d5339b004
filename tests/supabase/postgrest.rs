//! `PostgREST` before a project's database, as it is before that of a Supabase project.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) const JWT_SECRET: &str = "a-secret-of-at-least-thirty-two-characters";

/// Ended with this.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct PostgRest {
    port: u16,
    _process: Process,
}

impl PostgRest {
    /// This program before the database at this URL, which is the authenticator's.
    pub(crate) fn start(program: &Path, database: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut server = Command::new(program);
        server
            .env("PGRST_DB_URI", database)
            .env("PGRST_DB_SCHEMAS", "public,punctual_api")
            .env("PGRST_DB_ANON_ROLE", "anon")
            .env("PGRST_JWT_SECRET", JWT_SECRET)
            .env("PGRST_SERVER_HOST", "127.0.0.1")
            .env("PGRST_SERVER_PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process(server.spawn().unwrap());
        Self {
            port,
            _process: process,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The status and body of the response to a request, with this token if any. `None`: there is no response yet.
    pub(crate) async fn ask(
        &self,
        line: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Option<(u16, Value)> {
        let body = body.to_string();
        let token = token.map_or_else(String::new, |token| {
            format!("authorization: Bearer {token}\r\n")
        });
        // By the older protocol, in which a response ends with its connection.
        let request = format!(
            "{line} HTTP/1.0\r\nhost: 127.0.0.1\r\n{token}content-type: application/json\r\n\
             prefer: return=representation\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
    }
}

/// The token of a role, and of the user if it is one's.
pub(crate) fn token(role: &str, subject: Option<&str>) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut claims = serde_json::json!({"role": role, "exp": now.unwrap().as_secs() + 3_600});
    if let Some(subject) = subject {
        claims["sub"] = subject.into();
    }
    let unsigned = format!(
        "{}.{}",
        part(serde_json::json!({"alg": "HS256", "typ": "JWT"})),
        part(claims)
    );
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(JWT_SECRET.as_bytes()).unwrap();
    mac.update(unsigned.as_bytes());
    format!(
        "{unsigned}.{}",
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    )
}
