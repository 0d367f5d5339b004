//! The types of a message, used by every other module. Pure.
//!
//! A value that exists is valid: an [`E164`] has been parsed, a [`Moment`] is on the database's clock, a
//! [`Status`] is one of seven, and [`transition`](status::transition) defines which may follow which.

mod address;
mod capabilities;
mod claim;
mod delivery;
pub mod facts;
pub mod filter;
mod ids;
mod in_doubt;
mod lane;
mod moment;
mod outcome;
mod pace;
mod parties;
pub mod parts;
mod pause;
mod phone;
mod retention;
pub mod segments;
mod sender;
pub mod status;
pub mod template;

pub use address::{Address, AddressError, Email, UserId, WebUrl};
pub use capabilities::{Capabilities, Carriers, PoolForm};
pub use claim::{Claim, ClaimAnswer, RowState};
pub use delivery::{Delivery, Failure, Stage, UnknownStage};
pub use facts::{Facts, Priority};
pub use filter::{Filter, FilterError};
pub use ids::{AttemptToken, DatabaseId, InstanceId, MessageId, PaceId};
pub use in_doubt::{InDoubt, UnknownPolicy};
pub use lane::{Channel, LaneKey};
pub use moment::{Moment, Now, Uptime};
pub use outcome::{Category, LedgerOutcome, Outcome, ProviderSid, Retry, Scope};
pub use pace::{PaceDue, PacedAnswer, PacedClaim};
pub use parties::{Parties, PartyKey};
pub use parts::Part;
pub use pause::{Pausable, Pause, PauseKey, PauseScope};
pub use phone::{E164, PhoneError};
pub use retention::Retention;
pub use sender::{Name, PoolId, Sender, SenderError, ShortCode};
pub use status::Status;
