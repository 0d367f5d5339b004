-- Keeps which model writes texts, for want_texts; the instance that started last is right.
-- $1 the model; null: none
update punctual.settings s set llm_model = $1::text where s.llm_model is distinct from $1::text
