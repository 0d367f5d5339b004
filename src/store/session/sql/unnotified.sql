-- What commits need not notify: those of transactions that can be prepared on this server, and what is written for
-- change feeds, as long as one is there.
select current_setting('max_prepared_transactions')::int > 0 as prepares, is_fed!() as is_fed
