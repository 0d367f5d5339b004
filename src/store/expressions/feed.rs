//! Expressions about change feeds.

use super::Text;

/// Whether a change feed of this database is there (`session/feed.rs`): what is written to the log arrives, and nothing
/// has to be notified. Every transaction that finds a slot which is ready is decoded by it. Any role may read this;
/// with another `wal_level` it costs nothing.
const IS_FED: &str = "(case when current_setting('wal_level') = 'logical' then exists (
         select from pg_get_replication_slots() s
          where s.slot_name ^@ 'punctual_feed_' and s.active and s.confirmed_flush_lsn is not null
            and s.datoid = (select d.oid from pg_database d where d.datname = current_database()))
         else false end)";

/// Whether commits wait for a session of this name that replicates, as they do for a standby: by its name, or by a
/// star.
const IS_WAITED_FOR: &str = "(current_setting('synchronous_standby_names') ~ '[*]'
         or coalesce(strpos(lower(current_setting('synchronous_standby_names')),
                            lower(nullif(current_setting('application_name'), ''))) > 0, false))";

/// Appends one of them; returns whether it is one.
pub(super) const fn put<const N: usize>(name: &[u8], out: &mut Text<N>) -> bool {
    match name {
        b"is_fed" => out.row(IS_FED, b""),
        b"is_waited_for" => out.row(IS_WAITED_FOR, b""),
        // Of a trigger: says to daemons, by the way that is there, what its variable `notice` has.
        b"say_notice" => {
            out.row("if ", b"");
            out.row(IS_FED, b"");
            out.row(
                " then
      perform pg_logical_emit_message(true, 'punctual', notice);
    else
      perform pg_notify('punctual', notice);
    end if",
                b"",
            );
        }
        _ => return false,
    }
    true
}
