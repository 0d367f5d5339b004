//! The rights of a daemon's role.

/// What the daemon's statements do to each table, and the columns that they update. `tests/pg/least.rs`
/// derives both from the statements. `migrate --role` grants exactly these; without them a daemon does not start.
pub(super) const DAEMON_RIGHTS: &str = "(select c.oid, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity,
       format('%I.%I', n.nspname, c.relname) as name, w.privileges,
       -- A lock on a row needs the right to update some column, also where the app's table has none of these.
       case when w.updates = '{}' or u.columns <> '{}' then u.columns else '{id}' end as updates
  from (values
       ('public', 'scheduled_messages', '{SELECT,INSERT}'::text[],
        '{status,attempts,sent_at,delivered_at,cancelled_at,twilio_sid,error_message,error_code,cancel_reason,
          deferred_until,deferred_reason,next_attempt_at,requeued_at,updated_at,parts_done,parts_total,
          scheduled_at,event_start,template_vars,account}'::text[]),
       ('public', 'conversations', '{SELECT,INSERT}', '{last_message_at,updated_at}'),
       ('public', 'messages', '{SELECT,INSERT}', '{status,body,updated_at,delivered_at,twilio_status,twilio_error_code}'),
       ('public', 'contacts', '{SELECT}', '{}'),
       ('punctual', 'migrations', '{SELECT}', '{}'), ('punctual', 'triggers', '{SELECT}', '{}'),
       -- What happened: never deleted, and without the right to change which message, when and by whom.
       ('punctual', 'attempts', '{SELECT,INSERT}',
        '{started_at,finished_at,outcome,provider_sid,code,category,error,receipt_status,message_status,lookups,
          looked_up_at,lookup_note,next_lookup_at,lookup_to,lookup_from,lookup_text,settled_by,settled_at,
          quota_returned,body,texts,recovered,lease_until,price,price_unit,lawful}'),
       ('punctual', 'receipts', '{SELECT,INSERT}', '{}'), ('punctual', 'notes', '{SELECT,INSERT}', '{}'),
       ('punctual', 'history', '{SELECT}', '{}'), ('punctual', 'operator_history', '{SELECT}', '{}'),
       ('punctual', 'opt_replies', '{SELECT,INSERT}', '{}'),
       ('punctual', 'instances', '{SELECT,INSERT}',
        '{started_at,heartbeat_at,stopped_at,beats,journal_incomplete,state}'),
       ('punctual', 'quarantine', '{SELECT,INSERT}', '{due_before,began_at,noticed_by,unaccounted,ended_at}'),
       -- What is to be done, or is true at the moment.
       ('punctual', 'quarantine_cleared', '{SELECT,INSERT,DELETE}', '{}'),
       ('punctual', 'outbox', '{SELECT,INSERT,DELETE}', '{attempts,next_attempt_at,last_error,app_error,created_at}'),
       ('punctual', 'pauses', '{SELECT,INSERT,DELETE}', '{until,why,who,at}'),
       ('punctual', 'paces', '{SELECT,INSERT,DELETE}', '{gap_min,gap_max,burst,position,next_at,token,slot,who,at}'),
       ('punctual', 'campaigns', '{SELECT,INSERT}', '{state,first_at}'),
       ('punctual', 'campaign_messages', '{SELECT,INSERT}', '{customer_name,phone_number,content,status,message_id}'),
       ('punctual', 'campaign_history', '{SELECT}', '{}'),
       ('punctual', 'replies', '{SELECT,INSERT}', '{}'), ('punctual', 'campaign_replies', '{SELECT,INSERT}', '{texts}'),
       ('punctual', 'suppressions', '{SELECT,INSERT,DELETE}', '{}'), ('punctual', 'help_answers', '{SELECT,INSERT}', '{at}'),
       ('punctual', 'number_key', '{SELECT}', '{}'),
       ('punctual', 'daily_counts', '{SELECT,INSERT,DELETE}', '{count,wanted,most,app_left,granted}'),
       ('punctual', 'cost_days', '{SELECT,INSERT,DELETE}', '{amount}'), ('punctual', 'costs', '{SELECT,INSERT,DELETE}', '{counted,is_changed}'), ('punctual', 'bursts', '{SELECT,INSERT,DELETE}', '{what,at,is_held,freed_at}'), ('punctual', 'days', '{SELECT,INSERT,DELETE}', '{ends,day}'),
       ('punctual', 'settings', '{SELECT,INSERT}',
        '{timezone,business_hours,open_from,open_until,validate,part_separator,account_senders,webhook_urls,campaign_timezone,campaign_hours,
          campaign_open_from,campaign_open_until,llm_model,link_url,job_urls,lawful_hours,followed_jobs,guards,oldest_program,updated_at}'),
       ('punctual', 'number_faults', '{SELECT,INSERT,DELETE}', '{fault,due,version,at}'),
       ('punctual', 'number_checks', '{SELECT,INSERT}', '{until}'),
       ('punctual', 'template_uses', '{SELECT,INSERT}', '{}'), ('punctual', 'foreign_writes', '{SELECT}', '{}'), ('punctual', 'deleted_events', '{SELECT}', '{}'),
       ('punctual', 'sources', '{SELECT}', '{}'), ('punctual', 'source_rows', '{SELECT}', '{}'), ('punctual', 'planner', '{SELECT}', '{}'), ('punctual', 'planned', '{SELECT,INSERT}', '{}'),
       ('punctual', 'source_writes', '{SELECT}', '{}'), ('punctual', 'app_tables', '{SELECT}', '{}'), ('punctual', 'draft_days', '{SELECT,INSERT}', '{reserved_usd,spent_usd,calls}'), ('punctual', 'planner_users', '{SELECT,INSERT,DELETE}', '{at}'), ('punctual', 'planner_changes', '{SELECT,DELETE}', '{}'),
       ('punctual', 'drafts', '{SELECT,INSERT}', '{version,facts,event,vars,needed_by,asked_at,attempts,taken_until,taken_by,outcome,reason,model,cost_usd,tokens_in,tokens_out,finished_at}'),
       ('punctual', 'missed_event_changes', '{SELECT,DELETE}', '{refused_at}')) as w (nspname, relname, privileges, updates)
  join pg_catalog.pg_namespace n on n.nspname = w.nspname
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.relname and c.relkind in ('r', 'p')
 cross join lateral (
   select array(select a.attname::text from pg_catalog.pg_attribute a
                 where a.attrelid = c.oid and a.attname = any (w.updates) and not a.attisdropped
                 order by a.attname) as columns) u)";

/// Whether this session writes as Punctual does: it says so, and its role may write the ledger. For any
/// other role the setting has no effect.
pub(super) const IS_WRITER: &str = "(coalesce(current_setting('punctual.writer', true), '') = 'on'
         and has_table_privilege('punctual.attempts'::regclass, 'INSERT'))";

/// Whether a role may write the ledger that need not have the right to use schema `punctual`: where [`IS_WRITER`] is
/// not the condition of a trigger, which is read with the rights of whoever made it.
pub(super) const MAY_WRITE_LEDGER: &str = "coalesce((select has_table_privilege(c.oid, 'INSERT')
                        from pg_class c
                        join pg_namespace n on n.oid = c.relnamespace
                       where n.nspname = 'punctual' and c.relname = 'attempts'), false)";

/// Whether a session says so that does not name the program it is of.
pub(super) const IS_UNNAMED_WRITER: &str = "current_setting('punctual.writer', true) = 'on'
         and coalesce(current_setting('punctual.program', true), '') = ''";
