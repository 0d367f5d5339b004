-- In how many milliseconds a draft can be taken that cannot be taken now, or has to be ended; null: none.
-- $1 how soon before its message is due a draft is ended (ms)
select (extract(epoch from least(
          (select min(d.taken_until) from punctual.drafts d where d.outcome is null and d.taken_until > clock_timestamp()),
          (select min(d.needed_by) from punctual.drafts d
            where d.outcome is null and (d.taken_by is null or d.taken_until <= clock_timestamp()))
          - $1::bigint * interval '1 ms')
        - clock_timestamp()) * 1000)::float8 as ms
