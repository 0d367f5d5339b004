-- Which of these attempts have another accepted attempt at the same message, neither of them reported as
-- undelivered: then the text was sent twice.
-- $1 tokens
select a.token
  from punctual.attempts a
 where a.token = any ($1::uuid[]) and not undelivered!(a) and doubled!(a)
