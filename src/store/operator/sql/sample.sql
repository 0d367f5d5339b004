-- What only the database knows and should be monitored. The counts are bounded: they are made every few
-- seconds.
-- $1 count at most
select pg_notification_queue_usage() as notify_queue,
       (select count(*) from (select from public.scheduled_messages
                               where status = 'unconfirmed' limit $1) u)::float8 as in_doubt,
       (select count(*) from (select from punctual.outbox limit $1) o)::float8 as outbox,
       (select max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn))
          from pg_catalog.pg_get_replication_slots() s
         where s.slot_name ^@ 'punctual_feed_' and s.active)::float8 as feed_kept
