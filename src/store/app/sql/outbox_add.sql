-- $1 message  $2 the write  $3 why the app's tables refused it
insert into punctual.outbox (message_id, write, last_error, next_attempt_at)
select u.id, u.write, u.error, clock_timestamp() + interval '1 second'
  from unnest($1::uuid[], $2::jsonb[], $3::text[]) as u (id, write, error)
