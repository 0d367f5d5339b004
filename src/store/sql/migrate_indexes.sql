-- The indexes of 20260101000400_indexes.sql and 20260102000000_receipts.sql that are not there, or were left invalid by a build
-- that was cut off, with the statement that builds each while the app goes on writing.
select w.name, i.indexrelid is not null as leftover,
       format('create index concurrently %I on public.%I %s', w.name, w.tab, w.rest) as build,
       format('drop index concurrently if exists public.%I', w.name) as drop
  from (values
    ('scheduled_messages', 'scheduled_messages_due_idx', null,
     '((greatest(scheduled_at, deferred_until, next_attempt_at))) where status = ''pending'''),
    ('scheduled_messages', 'scheduled_messages_open_idx', null,
     '(status) where status in (''sending'', ''unconfirmed'')'),
    ('conversations', 'conversations_phone_number_idx', 'phone_number', '(phone_number)'),
    ('contacts', 'contacts_phone_number_idx', 'phone_number', '(phone_number)'),
    ('messages', 'messages_twilio_sid_idx', 'twilio_sid', '(twilio_sid)')
  ) as w (tab, name, lookup, rest)
  join pg_class c
    on c.oid = to_regclass('public.' || w.tab) and c.relkind = 'r' and pg_has_role(c.relowner, 'usage')
  left join pg_index i on i.indexrelid = to_regclass('public.' || w.name)
 where i.indisvalid is not true
   -- A name that something else has taken is its own.
   and (i.indexrelid is not null or to_regclass('public.' || w.name) is null)
   and (w.lookup is null
        or exists (select from pg_attribute a
                    where a.attrelid = c.oid and a.attname = w.lookup and not a.attisdropped
                      and not exists (select from pg_index o
                                       where o.indrelid = c.oid and o.indisvalid and o.indpred is null
                                         and o.indkey[0] = a.attnum)))
   -- Not yet the tables of this version.
   and (w.tab <> 'scheduled_messages'
        or exists (select from pg_attribute a
                    where a.attrelid = c.oid and a.attname = 'next_attempt_at' and not a.attisdropped))
 order by w.name
