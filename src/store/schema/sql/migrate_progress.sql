-- How far the building of an index in this database is: blocks read of all there are.
select p.phase, p.blocks_done, p.blocks_total
  from pg_catalog.pg_stat_progress_create_index p
 where p.datname = current_database()
 limit 1
