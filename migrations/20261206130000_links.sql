-- Where tracking links are served (PUNCTUAL_LINK_URL), for the texts that get them; kept by the running daemon. Programs
-- of before do not write the column.
alter table punctual.settings add column if not exists link_url text;
