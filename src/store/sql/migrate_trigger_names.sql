select tgname::text as name from pg_catalog.pg_trigger where not tgisinternal
