-- The template that a person names, and a few others.
-- $1 key or id  $2 at most
select id, name, message_template, required_vars, max_length, is_active, is_it
  from punctual.templates_named($1, $2)
