//! What a message is: the words every other room speaks. Pure.
//!
//! Nothing here knows a clock, a socket or a database. A value that exists is valid:
//! [`E164`] has been parsed, a [`Moment`] is on the database's clock, a [`Status`] is one
//! of seven, and [`transition`](status::transition) says which may follow which.

mod claim;
mod delivery;
mod doubt;
pub mod facts;
mod ids;
mod lane;
mod moment;
mod outcome;
mod phone;
pub mod segments;
mod sender;
pub mod status;
pub mod template;

pub use claim::{Claim, ClaimAnswer, RowState};
pub use delivery::{Delivery, Failure, Stage, UnknownStage};
pub use doubt::{InDoubt, UnknownPolicy};
pub use facts::{Facts, Priority};
pub use ids::{AttemptToken, DatabaseId, InstanceId, MessageId};
pub use lane::{Channel, LaneKey};
pub use moment::{Moment, Now, Uptime};
pub use outcome::{Category, LedgerOutcome, Outcome, ProviderSid, Retry};
pub use phone::{E164, PhoneError};
pub(crate) use sender::is_sid;
pub use sender::{Name, Sender, SenderError, ServiceSid, ShortCode};
pub use status::Status;
