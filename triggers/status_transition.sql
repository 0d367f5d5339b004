-- Whether a status may become another, by a name that apps know. Re-runnable; replaced as a whole. For tables of the
-- app's own with words like those of Punctual: scheduled_messages has a guard (scheduled_messages.sql). Nothing of
-- Punctual's calls them. Functions of that name without Punctual's comment are the app's own.
--
-- What was delivered stays so, and what was sent can only arrive, or not. Anything else may come to anything: what has
-- failed may be sent again, and proof that a message was sent may come late.
do $$
begin
  if not punctual.may_offer('validate_status_transition') then
    return;
  end if;
  create or replace function public.validate_status_transition(old_status text, new_status text) returns boolean
  language sql immutable set search_path = pg_catalog, pg_temp as $f$
    select case old_status
             when new_status then true
             when 'delivered' then false
             when 'sent' then new_status in ('delivered', 'failed', 'undelivered', 'cancelled')
             else true
           end
  $f$;
  create or replace function public.validate_status_transition() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $f$
  begin
    if old.status is distinct from new.status
       and old.status::text in ('sent', 'delivered')
       and (old.status::text = 'delivered' or coalesce(new.status::text, '') not in ('delivered', 'failed', 'undelivered', 'cancelled'))
    then
      raise exception using errcode = 'PT409',
        message = format('a row of %s that is %s cannot become %s', tg_table_name, old.status, coalesce(new.status::text, 'null')),
        hint = 'To send it again, insert a new row.';
    end if;
    return new;
  end
  $f$;
  comment on function public.validate_status_transition(text, text) is 'made by Punctual';
  comment on function public.validate_status_transition() is 'made by Punctual';
end
$$;
