-- Jobs that are sent to endpoints of the app's (triggers/job_runs.sql).

-- The URL of each job type, kept by the running daemon. Programs of before do not write the column.
alter table punctual.settings add column if not exists job_urls jsonb;

-- What is known of the message of a job beside it, until its outcome is written to the job.
create table if not exists punctual.job_runs (
  message_id uuid primary key,
  -- The attempts of the messages of the job before this one.
  base       int not null default 0,
  -- What the endpoint has answered.
  status     int,
  answer     text,
  is_whole   boolean not null default true,
  -- The worker has failed, and it is to be run again then.
  next_at    timestamptz,
  at         timestamptz not null default clock_timestamp()
);
revoke all on punctual.job_runs from PUBLIC;
