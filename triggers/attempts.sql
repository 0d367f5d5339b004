-- Trigger on punctual.attempts: settling an attempt as certainly not sent returns its quota of the user's day.
-- Re-runnable; replaced as a whole. Batches do it themselves, users in order (record_settled.sql, and
-- receipts_advance.sql for what did not arrive), and mark that with `quota_returned`; this is for all other
-- writes.

create or replace function punctual.return_quota() returns trigger
language plpgsql set search_path = '' as $$
begin
  update punctual.daily_counts c
     set count = greatest(c.count - 1, 0)
   where c.user_id = new.user_id and c.day = new.day;
  new.quota_returned := true;
  return new;
end
$$;

create or replace trigger punctual_return_quota
  before update on punctual.attempts for each row
  when (new.day is not null and not new.quota_returned
        and sent_nothing!(new))
  execute function punctual.return_quota();
