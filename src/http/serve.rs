//! The connections: accepts, limits and drains them.
//!
//! hyper is used directly because axum's `serve` has neither a time-out for the head of a request nor a limit of
//! connections, and waits without limit for open ones at a shutdown.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use http_body::Frame;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::endpoint::{Endpoint, Socket};
use super::patience::Patience;
use super::places::{Class, Places, Seat, Work};
use super::{AGAIN, HttpState, jobs, public, router, text};
use crate::limits::HttpLimits;
use crate::receipt::CallbackHandler;
use crate::store::TrackingLinks;

/// The longest head of a request, in bytes; a browser's cookies fit (431 beyond).
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The most header lines of a request (431 beyond).
const HEADERS_MAX: usize = 64;

/// The pause after a failed `accept`. It mostly fails for lack of file descriptors; without a pause the loop would
/// spin until one is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The origin of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// This user, over the Unix socket.
    Own,
    /// Anybody, over the network.
    Network(IpAddr),
}

/// Serves the routes on `endpoint` until `shutdown`, then lets open requests finish within [`HttpLimits::drain`], and
/// work on the database that they have begun within as long again, and drops the rest. Returns once no connection is
/// open.
pub async fn serve(endpoint: Endpoint, state: HttpState, shutdown: CancellationToken) {
    let limits = state.limits;
    let limiter = Arc::clone(&state.limiter);
    let (jobs, worker) = jobs::channel();
    let hearing = HttpState {
        jobs: jobs.clone(),
        ..state.clone()
    };
    let router = router(state, jobs, shutdown.clone());
    let Endpoint { tcp, socket, .. } = endpoint;
    let by_address = serve_router(
        Listener::Tcp(tcp),
        router.clone(),
        &limits,
        shutdown.clone(),
    );
    let by_socket = async {
        if let Some(socket) = socket {
            let Socket { listener, file } = socket;
            serve_router(Listener::Unix(listener), router, &limits, shutdown.clone()).await;
            drop(file);
        }
    };
    let sums = async {
        let mut times = interval(limits.sum_up);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            times.tick().await;
            limiter.sum_up();
        }
    };
    let mut work = std::pin::pin!(worker.run());
    tokio::select! {
        biased;
        // It ends before the worker, which ends once no route is left to hand work over.
        _ = async { tokio::join!(by_address, by_socket) } => {}
        () = sums => {}
        () = hearing.keep_hearing() => {}
        () = &mut work => return,
    }
    if tokio::time::timeout(limits.drain, work).await.is_err() {
        tracing::warn!("requests to the database did not finish in time and were interrupted");
    }
    limiter.sum_up();
}

/// Serves only the provider's callbacks and tracking links, in the same way.
pub async fn serve_public(
    listener: TcpListener,
    handler: CallbackHandler,
    links: Option<TrackingLinks>,
    limits: HttpLimits,
    shutdown: CancellationToken,
) {
    let router = public::router(handler, links, &limits);
    serve_router(Listener::Tcp(listener), router, &limits, shutdown).await;
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Listener {
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Responses are small, so waiting to fill a packet would only delay them.
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), Peer::Network(peer.ip())))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), Peer::Own))
            }
        }
    }
}

async fn serve_router(
    listener: Listener,
    router: Router,
    limits: &HttpLimits,
    shutdown: CancellationToken,
) {
    // Dropping this future ends all connections.
    let mut connections = JoinSet::new();
    let places = Places::new(limits.connections, limits.reserved);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (stream, peer) = accept(&listener, &places) => {
                let stream = Patience::new(stream, limits.write);
                let seat = places.take();
                let (router, shutdown) = (router.clone(), shutdown.clone());
                connections.spawn(connection(stream, peer, seat, router, limits.head, shutdown));
            }
        }
    }
    // Closed first, so that new clients are refused instead of waiting in a queue that is not read.
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain, drained).await.is_err() {
        let open = connections.len();
        tracing::warn!(
            open,
            "HTTP connections did not finish in time and were closed"
        );
        connections.shutdown().await;
    }
}

/// The next connection, once there is room for it. Cancel safe.
async fn accept(listener: &Listener, places: &Places) -> (Box<dyn Stream>, Peer) {
    places.room().await;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "an HTTP connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: Patience<Box<dyn Stream>>,
    peer: Peer,
    seat: Seat,
    router: Router,
    head: Duration,
    shutdown: CancellationToken,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| answer(request, peer, seat.clone(), router.clone()));
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = seat.lost() => {
            tracing::debug!("http connection closed in favour of another");
            return;
        }
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // The client disconnected or was too slow.
        tracing::debug!(%error, "http connection ended");
    }
}

/// Answers one request. Its slot is occupied until the response has been written.
async fn answer(
    mut request: hyper::Request<Incoming>,
    peer: Peer,
    seat: Seat,
    router: TowerToHyperService<Router>,
) -> Result<Response, Infallible> {
    let class = match request.uri().path() {
        "/healthz" | "/readyz" => Some(Class::Reserved),
        // Its slot is occupied once its body is complete.
        path if path.starts_with("/webhooks/") => None,
        _ => Some(Class::Page),
    };
    let work = class.map(|class| seat.begin(class));
    let work = match work {
        Some(None) => return Ok(busy()),
        Some(work) => work,
        None => None,
    };
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(seat);
    let response = hyper::service::Service::call(&router, request).await?;
    Ok(response.map(|body| match work {
        Some(work) => Body::new(Worked { body, _work: work }),
        None => body,
    }))
}

/// Occupies the slot of a callback once its body is complete: a client that delays its body occupies none.
pub(super) async fn whole(request: Request, next: axum::middleware::Next) -> Response {
    let seat = request.extensions().get::<Seat>().cloned();
    let (parts, body) = request.into_parts();
    let body = match Bytes::from_request(Request::new(body), &()).await {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let work = seat.and_then(|seat| seat.begin(Class::Reserved));
    let response = next.run(Request::from_parts(parts, body.into())).await;
    drop(work);
    response
}

fn busy() -> Response {
    let head = [
        AGAIN,
        (header::CONNECTION, HeaderValue::from_static("close")),
    ];
    let sentence = "too many requests at the moment; try again in a few seconds";
    (head, text(StatusCode::SERVICE_UNAVAILABLE, sentence)).into_response()
}

/// The body of a response, with the slot that it occupies.
struct Worked {
    body: Body,
    _work: Work,
}

impl http_body::Body for Worked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
