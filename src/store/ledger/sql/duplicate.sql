-- Of these attempts those beside which another attempt at the same message was accepted as well, neither
-- of them given up by the provider: then the text went out twice.
-- $1 tokens
select a.token
  from punctual.attempts a
 where a.token in (select unnest($1::uuid[])) and not undelivered!(a) and doubled!(a)
