-- The publication that pgoutput wants to be given: of no table, for notices are messages of the log. The server
-- warns where wal_level is another; a daemon says so at its start.
do $$
begin
  if not exists (select from pg_catalog.pg_publication p where p.pubname = 'punctual_feed') then
    create publication punctual_feed;
  end if;
end
$$
