-- Trigger on punctual.suppressions, where people and the app's backend write opt-outs too. Re-runnable; replaced as a
-- whole.

-- A recipient on WhatsApp is the bare number here, as it is in messages. With the prefix that a provider has, an
-- opt-out would be of nobody.
create or replace function punctual.bare_suppression() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.their_number := regexp_replace(new.their_number, '^\s*whatsapp:', '');
  return new;
end
$$;

create or replace trigger punctual_bare_suppression
  before insert or update of their_number on punctual.suppressions for each row
  execute function punctual.bare_suppression();
