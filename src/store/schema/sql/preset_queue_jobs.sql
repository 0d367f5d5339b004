-- The queue of jobs of preset `buildos`, and its types, where they are missing.
do $$
begin
  if to_regtype('public.queue_type') is null then
    create type public.queue_type as enum (
      'generate_daily_brief', 'generate_phases', 'sync_calendar', 'process_brain_dump', 'send_email',
      'update_recurring_tasks', 'cleanup_old_data', 'onboarding_analysis', 'send_sms', 'generate_brief_email',
      'send_notification', 'other');
  end if;
  if to_regtype('public.queue_status') is null then
    create type public.queue_status as enum ('pending', 'processing', 'completed', 'failed', 'cancelled', 'retrying');
  end if;
  if to_regclass('public.queue_jobs') is not null then
    return;
  end if;
  create table public.queue_jobs (
    id            uuid primary key default gen_random_uuid(),
    user_id       uuid not null,
    job_type      public.queue_type not null,
    queue_job_id  text not null unique default gen_random_uuid()::text,
    scheduled_for timestamptz not null default now(),
    -- The lower, the sooner.
    priority      int not null default 10,
    status        public.queue_status not null default 'pending',
    attempts      int not null default 0,
    max_attempts  int not null default 3,
    started_at    timestamptz,
    processed_at  timestamptz,
    completed_at  timestamptz,
    result        jsonb,
    error_message text,
    metadata      jsonb,
    dedup_key     text,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz default now()
  );
  create index queue_jobs_job_type_status_idx on public.queue_jobs (job_type, status);
  create index queue_jobs_scheduled_for_status_idx on public.queue_jobs (scheduled_for, status);
  create unique index queue_jobs_dedup_key_idx on public.queue_jobs (dedup_key) where status in ('pending', 'processing');
end
$$
