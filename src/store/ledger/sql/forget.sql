-- Removes a recipient from what is kept of messages (punctual.forget).
-- $1 the recipient  $2 in the app's tables, too
select f.erased, f.kept, f.opt_outs, f.app_rows from punctual.forget($1::text, $2::boolean) f
