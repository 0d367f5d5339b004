-- Whether transactions can be prepared on this server. Their commits cannot notify.
select current_setting('max_prepared_transactions')::int > 0 as prepares
