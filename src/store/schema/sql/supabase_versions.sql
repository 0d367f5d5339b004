-- Which of these versions the Supabase CLI has recorded.
-- $1 versions
select version::text from supabase_migrations.schema_migrations
 where version::text = any ($1::text[])
 order by version
