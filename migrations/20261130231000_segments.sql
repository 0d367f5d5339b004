-- Which attempt a modem's status report is about: it has the number of a segment, and not the message. Only a modem's
-- ids of messages (`account:imsi:numbers:attempt`) have a colon, so attempts of other providers cost nothing more.
create index if not exists attempts_sim_idx
  on punctual.attempts ((split_part(provider_sid, ':', 1) || ':' || split_part(provider_sid, ':', 2)), claimed_at)
  where provider_sid like '%:%';
