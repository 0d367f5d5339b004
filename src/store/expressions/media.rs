//! The media of a row: those of `media_urls`, or, in a table of the app's with such a column, of `media_url`.

use super::{Text, lists};
use crate::message::Channel;
use crate::message::media::{MEDIA_MAX, MediaError};

/// The name `media_url` is looked up in the row, and where the row has no such column, one level further out: there it
/// is null, and that part of the expression is a constant. A prepared statement follows when the app adds the column
/// or drops it. The app's column may be of any type: a text, a list, JSON. A list of lists is one list.
pub(super) const MEDIA: &str = concat!(
    "(select case when cardinality(own.urls) > 0 then array(select u.url from unnest(own.urls) u (url)) else array(select e.url from jsonb_array_elements_text(own.list) e (url)) end
   from (select null::text as media_url) no_column
  cross join lateral (
    select r.media_urls as urls, case when jsonb_typeof(to_jsonb(media_url)) = 'array' then to_jsonb(media_url)
             when ",
    trimmed!("to_jsonb(media_url) #>> '{}'"),
    " not in ('', '[]', '{}') then jsonb_build_array(media_url) end as list from (select $*) r) own)"
);

/// Appends whether the row's channel can have media.
pub(super) const fn carries<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    let (mut at, mut some) = (0, false);
    out.byte(b'(');
    while at < Channel::UNDERSTOOD.len() {
        if Channel::UNDERSTOOD[at].has_media() {
            if some {
                out.row(" or ", b"");
            }
            lists::is_channel(Channel::UNDERSTOOD[at], alias, out);
            some = true;
        }
        at += 1;
    }
    out.byte(b')');
}

/// Appends why a message cannot have its media, of a row with its `channel` and `media`; null: it can.
pub(super) const fn fault<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    out.row("case when not ", b"");
    carries(alias, out);
    out.row(" then ", b"");
    out.quoted(MediaError::Channel.text(), false);
    out.row("\n when cardinality($media) > ", alias);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "a few"
    )]
    out.number(MEDIA_MAX as i32);
    out.row(" then ", b"");
    out.quoted(MediaError::TooMany.text(), false);
    out.row(URLS, alias);
    out.row(" then ", b"");
    out.quoted(MediaError::Url.text(), false);
    out.row(" end", b"");
}

const URLS: &str = concat!(
    "
 when exists (select from unnest($media) u (url)
               where coalesce(length(",
    trimmed!("u.url"),
    ") > 2048 or ",
    trimmed!("u.url"),
    " !~ '^https://(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?([/?][!-~]*)?\\Z', true))"
);
