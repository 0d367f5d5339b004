//! Senders.
use super::{E164, PhoneError};
use std::str::FromStr;
/// Who sends.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Sender {
    /// A number.
    Number(E164),
    /// A messaging service.
    Service(String),
}
/// Why not.
pub type SenderError = PhoneError;
impl FromStr for Sender {
    type Err = SenderError;
    fn from_str(s: &str) -> Result<Self, SenderError> {
        s.parse().map(Self::Number)
    }
}
