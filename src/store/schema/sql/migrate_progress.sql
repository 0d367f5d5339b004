-- The progress of building an index in this database: blocks read, and their number.
select p.phase, p.blocks_done, p.blocks_total
  from pg_catalog.pg_stat_progress_create_index p
 where p.datname = current_database()
 limit 1
