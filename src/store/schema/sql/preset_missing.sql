-- Which of these tables do not exist.
-- $1 their names, with their schemas, quoted
select w.name from unnest($1::text[]) with ordinality as w (name, n) where to_regclass(w.name) is null order by w.n
