-- What operators see and do.

-- Forecasts. What each instance publishes of itself, for the forecasts that others make: its lanes, why it sends
-- nothing, the rules it judges by (src/forecast/published.rs). Null: of a version that publishes nothing.
alter table punctual.instances add column if not exists state jsonb;
-- The one that stopped last. Heartbeats do not touch it.
create index if not exists instances_stopped_idx on punctual.instances (stopped_at) where stopped_at is not null;
