-- Asks for texts of planned messages, as far as a daemon has them written by a language model.
-- $1 ids
select punctual.want_texts($1::uuid[]) as asked
