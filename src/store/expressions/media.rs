//! Whether a row has media, in a table that may have no column for it.

/// The name is looked up in the row, and where the row has no such column, one level further out: there it is null, and
/// the whole expression is a constant. A prepared statement follows when the app adds the column or drops it.
pub(super) const HAS_MEDIA: &str = concat!(
    "(select own.has_media
               from (select null::text as media_url) no_column
              cross join lateral (
                select coalesce(",
    trimmed!("to_jsonb(media_url) #>> '{}'"),
    ", '') not in ('', '[]', '{}') as has_media
                  from (select $*) r) own)"
);
