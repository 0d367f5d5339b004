-- Which database this is, and on which of its histories. A restore or a failover changes it.
select (select c.system_identifier from pg_control_system() c) as system,
       ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int as timeline,
       d.oid as database
  from pg_database d
 where d.datname = current_database()
