-- Writes sent messages into the app's tables; what these refuse is put in the outbox. Returns why.
-- $1 scheduled messages  $2 conversations  $3 bodies  $4 from  $5 to  $6 sids (empty: not known)  $7 sent at
select punctual.write_sent($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
