//! Phone numbers.
use std::str::FromStr;
/// An E.164 number.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct E164(String);
/// Why not.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not E.164")]
pub struct PhoneError;
impl FromStr for E164 {
    type Err = PhoneError;
    fn from_str(s: &str) -> Result<Self, PhoneError> {
        if s.starts_with('+') {
            Ok(Self(s.into()))
        } else {
            Err(PhoneError)
        }
    }
}
