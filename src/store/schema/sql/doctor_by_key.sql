-- For the statements on rows: each goes by an index, also where the server would take a table for small.
set enable_seqscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
