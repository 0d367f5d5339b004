-- Which database this is, on which of its histories, and how far its log is on the disk. A restore
-- or a failover changes the one or takes back the other.
select (select c.system_identifier from pg_control_system() c) as system,
       ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int as timeline,
       d.oid as database,
       pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint as reached
  from pg_database d
 where d.datname = current_database()
