//! The types of a message, used by every other module. Pure.
//!
//! A value that exists is valid: an [`E164`] has been parsed, a [`Moment`] is on the database's clock, a
//! [`Status`] is one of seven, and [`transition`](status::transition) defines which may follow which.

mod address;
mod amount;
mod capabilities;
mod claim;
mod counted;
mod delivery;
mod dial_plan;
mod email;
pub mod facts;
pub mod filter;
pub mod gsm7;
mod ids;
mod in_doubt;
mod lane;
pub mod media;
mod moment;
mod numbering;
mod outcome;
mod pace;
mod parties;
pub mod parts;
mod pause;
mod phone;
mod regions;
mod retention;
mod route;
mod routes;
pub mod segments;
mod sender;
pub mod status;
pub mod template;
mod webhook_urls;

pub use address::{Address, AddressError, UserId, WebUrl};
pub use amount::{Nanos, NotAnAmount};
pub use capabilities::{Capabilities, PoolForm, ProviderCapabilities};
pub use claim::{Claim, ClaimResponse, RowState};
pub use counted::counted;
pub use delivery::{Delivery, Failure, Stage, UnknownStage};
pub use dial_plan::DialPlan;
pub use email::Email;
pub use facts::{Facts, Priority};
pub use filter::{Filter, FilterError};
pub use ids::{AttemptToken, DatabaseId, InstanceId, MessageId, PaceId};
pub use in_doubt::{InDoubt, InDoubtError};
pub use lane::{Channel, LaneKey, NO_SENDER};
pub use moment::{Moment, Now, Uptime};
pub use numbering::{NumberFault, countries_of, country_of, is_country, is_in_any, read_plans};
pub use outcome::{Category, LedgerOutcome, Outcome, ProviderSid, Retry, Scope, Severity};
pub use pace::{PaceDue, PaceKey, PaceScope, PacedClaim, PacedResponse};
pub use parties::{Parties, PartyKey};
pub use parts::Part;
pub use pause::{Pausable, Pause, PauseKey, PauseKeyError, PauseScope};
pub use phone::{E164, PhoneError};
pub use retention::Retention;
pub use route::{Route, RouteError, RouteList, Standing, choose};
pub use routes::{AccountNumber, Routes, SenderTaken};
pub use sender::{Name, PoolId, Sender, SenderError, ShortCode, WHATSAPP, WhatsApp, is_whatsapp};
pub use status::Status;
pub use webhook_urls::{WebhookUrls, WebhookUrlsError};
