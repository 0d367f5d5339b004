//! The PDUs of 3GPP TS 23.040, as modems take and give them: hexadecimal, in `AT+CMGF=0`. Pure.
//!
//! `submit` writes the ones that are sent; `received` reads replies and status reports.

mod received;
mod septets;
mod submit;

pub(super) use received::{PduError, Received, Reply, StatusReport};
pub(super) use submit::{Submit, submits};

/// The type of an address: an international number of the ISDN plan.
const INTERNATIONAL: u8 = 0x91;
