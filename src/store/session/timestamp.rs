//! [`Moment`] in the wire format of Postgres: both are microseconds, so nothing is rounded, and
//! `infinity` is a moment like any other.

use std::error::Error;

use tokio_postgres::types::{
    FromSql, IsNull, ToSql, Type, accepts, private::BytesMut, to_sql_checked,
};

use crate::message::Moment;

/// Postgres counts from 2000-01-01.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

/// A `timestamptz`.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct PgTimestamp(pub(in crate::store) Moment);

impl<'a> FromSql<'a> for PgTimestamp {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let us = i64::from_be_bytes(raw.try_into()?);
        Ok(Self(match us {
            i64::MAX => Moment::MAX,
            i64::MIN => Moment::MIN,
            us => Moment::from_micros(us.saturating_add(POSTGRES_EPOCH_US)),
        }))
    }

    accepts!(TIMESTAMPTZ);
}

impl ToSql for PgTimestamp {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let us = match self.0 {
            Moment::MAX => i64::MAX,
            Moment::MIN => i64::MIN,
            at => at.as_micros().saturating_sub(POSTGRES_EPOCH_US),
        };
        out.extend_from_slice(&us.to_be_bytes());
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}
