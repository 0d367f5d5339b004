//! The limits of clients of the HTTP interface.

use std::time::Duration;

/// Clients of the HTTP interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// How long the head of a request may take to arrive, also on an idle connection: limits slow clients.
    pub head: Duration,
    /// From the head to the end of the response.
    pub request: Duration,
    /// The longest request body that is read. The largest bodies are callbacks, which are smaller.
    pub body: usize,
    /// For the reactor to answer. It never blocks, so if this takes longer it hangs, and a health check must report
    /// that.
    pub answer: Duration,
    /// For the history of a message to be read: less than a client waits for the response.
    pub history: Duration,
    /// For other work on the database, from the request on, until the response says that it has not ended: less than
    /// `request`.
    pub work: Duration,
    /// For forecasts to be read: the timers that they are about are shown without them too.
    pub forecast: Duration,
    /// How old the forecasts may be that pages show: all viewers share them.
    pub forecasts_every: Duration,
    /// Between two reads of what other instances have published, while there are viewers. They publish with each
    /// heartbeat.
    pub hear_every: Duration,
    /// For the first such read, before a viewer is shown what is known without it.
    pub first_hearing: Duration,
    /// How long open connections may take to finish at a shutdown.
    pub drain: Duration,
    /// How long a client may take to read more of a response.
    pub write: Duration,
    /// Connections at once. Beyond that, a connection without a complete request is closed for a new one.
    pub connections: usize,
    /// How many of these are reserved for callbacks and health checks.
    pub reserved: usize,
    /// Streams of events at once: open pages. Fewer than connections, so that health checks and callbacks always have
    /// room.
    pub streams: usize,
    /// Between two comments on a stream while there are no events: proxies close connections without traffic for a
    /// minute.
    pub comment_every: Duration,
    /// How many wrong tokens of one peer get the usual response at once …
    pub wrong_tokens: u32,
    /// … and how often one more does.
    pub wrong_token_every: Duration,
    /// How many wrong tokens between two summaries get a log line of their own.
    pub wrong_token_lines: u32,
    /// Between two summaries of wrong tokens in the log.
    pub sum_up: Duration,
    /// How many requests for tracking links of one address are answered …
    pub link_requests: u32,
    /// … within this.
    pub link_requests_within: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            request: Duration::from_secs(10),
            body: 64 * 1024,
            answer: Duration::from_secs(2),
            history: Duration::from_secs(5),
            work: Duration::from_secs(8),
            forecast: Duration::from_secs(1),
            forecasts_every: Duration::from_secs(2),
            hear_every: Duration::from_secs(2),
            first_hearing: Duration::from_millis(300),
            drain: Duration::from_secs(3),
            write: Duration::from_secs(10),
            connections: 256,
            reserved: 64,
            streams: 32,
            comment_every: Duration::from_secs(15),
            wrong_tokens: 10,
            wrong_token_every: Duration::from_secs(10),
            wrong_token_lines: 5,
            sum_up: Duration::from_secs(60),
            link_requests: 60,
            link_requests_within: Duration::from_secs(60),
        }
    }
}
