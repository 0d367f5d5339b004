-- For the statements on rows: each uses an index, also where the server would consider a table small.
set enable_seqscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
