//! Sessions: how the database is reached, how a session is set up, and whether it can be trusted.

pub mod connect;
pub mod dsn;
pub mod feed;
pub(in crate::store) mod history;
pub(in crate::store) mod lineage;
mod message;
pub(in crate::store) mod notify;
mod prewarm;
pub(in crate::store) mod server;
mod stateless;
pub(in crate::store) mod timestamp;
mod tls;
pub(in crate::store) mod watch;
