-- What a change feed depends on, and how much of the log is kept for those that are there. A standby that commits wait
-- for may be anybody who replicates, by the name of the session or by a star.
select current_setting('wal_level') as wal_level,
       exists (select from pg_catalog.pg_publication p where p.pubname = 'punctual_feed') as is_published,
       is_waited_for!() as is_waited_for,
       count(s.slot_name) as slots,
       least(current_setting('max_replication_slots')::bigint - (select count(*) from pg_get_replication_slots()),
             current_setting('max_wal_senders')::bigint - (select count(*) from pg_stat_get_wal_senders())) as free,
       coalesce(max(pg_catalog.pg_wal_lsn_diff(
         case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_lsn() end,
         s.restart_lsn)), 0)::bigint as kept
  from (select 1) always
  left join pg_catalog.pg_replication_slots s on s.slot_name ^@ 'punctual_feed_' and s.active
