-- What an instance publishes of itself, for forecasts.
-- $1 instance  $2 its state
update punctual.instances set state = $2::jsonb where id = $1::uuid
