//! The simulated phone: an HTTP server on loopback that responds as Twilio's Messages API does, and notes
//! when each text arrived; and the endpoint of a webhook.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::webhook::{self, JOBS};
use crate::clock;
use crate::message::Moment;

/// Twilio's test number for "this number is not valid".
pub const INVALID_NUMBER: &str = "+15005550001";

/// A text that arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When the head of the request had been parsed, by the wall clock of this machine.
    pub at: Moment,
    /// The text.
    pub body: String,
    /// It is a webhook with a valid signature, and no text.
    pub is_webhook: bool,
}

/// The running phone.
pub struct Phone {
    /// The address of its server.
    pub addr: SocketAddr,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

#[derive(Clone)]
struct PhoneState {
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    arrived: mpsc::UnboundedSender<Arrival>,
}

impl PhoneState {
    fn note(&self, arrival: Arrival) {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.push(arrival.clone());
        drop(arrivals);
        // No receiver any more: the demo is ending.
        let _ = self.arrived.send(arrival);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    to: String,
    body: String,
}

impl Phone {
    /// A phone, its server (for the caller to run), and its arrivals.
    pub async fn start(
        stop: CancellationToken,
    ) -> std::io::Result<(
        Self,
        impl Future<Output = std::io::Result<()>>,
        mpsc::UnboundedReceiver<Arrival>,
    )> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        // Bounded by the number of the demo's messages.
        let (arrived, receiver) = mpsc::unbounded_channel();
        let state = PhoneState {
            arrivals: Arc::clone(&arrivals),
            arrived,
        };
        let router = Router::new()
            .route(
                "/2010-04-01/Accounts/{account}/Messages.json",
                post(message),
            )
            .route(JOBS, post(job))
            .with_state(state);
        let server = async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await
        };
        Ok((Self { addr, arrivals }, server, receiver))
    }

    /// Everything that has arrived.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn message(
    State(state): State<PhoneState>,
    Path(account): Path<String>,
    Form(message): Form<Message>,
) -> (StatusCode, Json<Value>) {
    let at = Moment::from_micros(clock::reading().real_us);
    if message.to == INVALID_NUMBER {
        let refusal = json!({
            "code": 21211,
            "message": "Invalid 'To' Phone Number",
            "more_info": "https://www.twilio.com/docs/errors/21211",
            "status": 400,
        });
        return (StatusCode::BAD_REQUEST, Json(refusal));
    }
    state.note(Arrival {
        at,
        body: message.body,
        is_webhook: false,
    });
    let sid = format!("SM{}", uuid::Uuid::new_v4().simple());
    let response =
        json!({ "sid": sid, "status": "queued", "account_sid": account, "error_code": null });
    (StatusCode::CREATED, Json(response))
}

async fn job(State(state): State<PhoneState>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let now_us = clock::reading().real_us;
    if !webhook::is_genuine(webhook::KEY, &headers, &body, now_us / 1_000_000) {
        return StatusCode::UNAUTHORIZED;
    }
    let payload: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(job) = payload["data"]["body"].as_str() else {
        return StatusCode::BAD_REQUEST;
    };
    state.note(Arrival {
        at: Moment::from_micros(now_us),
        body: job.to_owned(),
        is_webhook: true,
    });
    StatusCode::NO_CONTENT
}
