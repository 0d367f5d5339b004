-- Puts parts of messages into the table of what the app shows, each unless it is there, and notifies the app. In the
-- order of messages, so that no two of these statements wait for each other.
-- $1 messages, $2 parts, $3 users, $4 message types, $5 subjects, $6 texts, one each
select punctual.put_in_app(a.message, a.part, a.whose, a.kind, a.subject, a.body)
  from (select * from unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[], $6::text[])
                      as a (message, part, whose, kind, subject, body)
         order by a.message, a.part) a
