//! What each statement is asked, in the names of `names.sql`, and what it may cost: half as much again as
//! it does here, for an index that is written to cleans up after itself now and then.

/// One statement with its parameters.
pub(super) struct Case {
    /// Room and file, or words for what an app writes.
    pub(super) name: &'static str,
    /// As `execute` takes them; for an app's statement the statement itself.
    pub(super) asks: &'static str,
    /// Ids that it is asked about, rows it may answer with, or rows of its limit.
    pub(super) of: u64,
    /// Blocks for each of these.
    pub(super) each: u64,
}

const fn case(name: &'static str, of: u64, each: u64, asks: &'static str) -> Case {
    Case {
        name,
        asks,
        of,
        each,
    }
}

/// Whatever of the store does not go on while messages do, or reads no table that grows; and what says of
/// itself that it reads a whole one, once a restore.
pub(super) const APART: &[&str] = &[
    "schema/",
    "session/",
    "ledger/restored_mark",
    "ledger/quarantine_begin",
];

// Whatever looks for the first that are due (`load_window`, `expire`, `held_*`) passes the index pages on which
// only dead entries are left, until somebody vacuums: some 250 of these a page, hence their larger shares.
pub(super) const DAEMON: &[Case] = &[
    case("ledger/recover_known", 20, 6, "plans.tokens('new')"),
    case(
        "path/claim",
        20,
        65,
        "plans.ids('pending'), plans.tokens('new'), plans.id('instance', 2), 30000, 50000, '+15005550006', 'UTC', false, 0, plans.known('sent'), plans.known('sent')",
    ),
    case(
        "path/claim",
        20,
        100,
        "plans.ids('people'), plans.tokens('new'), plans.id('instance', 2), 30000, 50000, '+15005550006', 'UTC', true, 0, '{}', '{}'",
    ),
    case(
        "path/read_rows",
        20,
        20,
        "plans.ids('sending'), '+15005550006'",
    ),
    case(
        "path/record_accepted",
        20,
        135,
        "plans.ids('sending'), plans.tokens('sending'), plans.texts('SM new'), plans.same(now()), plans.same(now()), 60000, plans.texts('text'), plans.same('+15005550006'::text), plans.numbers(), plans.same(null::bigint), plans.same(0::smallint), plans.same(1::smallint), plans.same(null::bigint)",
    ),
    case(
        "path/record_lost",
        20,
        175,
        "plans.ids('pending'), plans.tokens('new'), plans.texts('SM new'), plans.same(now()), plans.same(now()), 60000, plans.texts('text'), plans.same('+15005550006'::text), plans.numbers(), plans.same(null::bigint), plans.same(0::smallint), plans.same(1::smallint), plans.same(null::bigint), plans.id('instance', 2)",
    ),
    case(
        "path/record_settled",
        20,
        85,
        "plans.ids('sending'), plans.tokens('sending'), plans.same('unconfirmed'::text), plans.same('unknown'::text), plans.same(1), plans.same('x'::text), plans.same('x'::text), plans.same(null::bigint), plans.same(true), plans.same(now()), plans.same(now()), plans.same(null::timestamptz), 1000, plans.numbers(), plans.numbers(), plans.same('\\x00'::bytea), plans.texts('text')",
    ),
    case(
        "path/keep_texts",
        20,
        85,
        "plans.ids('sending'), plans.tokens('sending'), plans.texts('text')",
    ),
    case(
        "path/load_window",
        40,
        16,
        "now(), 3600000000, '+15005550006'",
    ),
    case("path/beyond", 100, 3, "now(), 100"),
    case(
        "path/expire_candidates",
        10,
        80,
        "1000000, 10, null, '+15005550006'",
    ),
    case(
        "path/expire_cancel",
        10,
        80,
        "plans.ids('pending'), plans.same('too late'::text)",
    ),
    case(
        "path/overdue",
        40,
        40,
        "10000000, null, 40, 10, '+15005550006'",
    ),
    case(
        "path/claim_paced",
        20,
        100,
        "plans.ids('pace'), plans.tokens('new'), plans.id('instance', 2), 30000, 50000, '+15005550006', 'UTC', false, 0, plans.known('sent'), plans.known('sent'), 1000000, 0",
    ),
    case(
        "path/paces_load",
        20,
        20,
        "now() + interval '1 hour', null, '+15005550006'",
    ),
    case(
        "path/pace_keep",
        1,
        10,
        "'00000000-0000-0000-0000-0000000000cd', 1000000, 2000000",
    ),
    case(
        "path/pace_end",
        1,
        10,
        "'00000000-0000-0000-0000-0000000000cd'",
    ),
    case(
        "path/pace_waiting",
        10,
        10,
        "'00000000-0000-0000-0000-0000000000cd', 10",
    ),
    case("path/pace_list", 20, 3, ""),
    case("path/pauses_in_force", 1, 3, ""),
    case("path/pauses_prune", 1, 10, "now() - interval '10 days'"),
    case(
        "path/pause_keep",
        1,
        10,
        "'everything', '', now() + interval '1 hour', 'x'",
    ),
    case("path/pause_end", 1, 10, "'everything', ''"),
    case("path/pause_list", 1, 3, ""),
    case(
        "path/pause_expired",
        40,
        40,
        "'everything', '', '+15005550006', 40",
    ),
    case("path/counts_prune", 1, 20, "now() - interval '10 days'"),
    case(
        "path/days_keep",
        20,
        20,
        "plans.texts('zone/'), plans.same(date_trunc('day', now(), 'UTC')), plans.same(now() + interval '1 day'), plans.same('2026-01-01'::text)",
    ),
    case("path/notify", 1, 1, "'x'"),
    case("path/notify_others", 1, 1, "'x'"),
    case("path/now", 1, 1, ""),
    case("path/prepares", 1, 1, ""),
    case("path/sample", 100, 3, "100"),
    case(
        "path/settings_keep",
        1,
        10,
        "'UTC', null, '{}', '{}', 'warn', '[BUBBLE]'",
    ),
    case(
        "path/suppress",
        20,
        64,
        "plans.same('+15005550006'::text), plans.numbers(), 'STOP', '+15005550006', 'SM0'",
    ),
    case(
        "path/unsuppress",
        1,
        24,
        "array['+15005550006'], '+16000000001', 'SM-1'",
    ),
    case("path/template_uses", 20, 60, ""),
    case("app/attempt_hold", 1, 10, "plans.sid('sent', 1)"),
    case("app/follow_missed", 20, 115, "20"),
    case("app/outbox_again", 1, 10, "1, 'x', 'x', 1000"),
    case("app/outbox_done", 1, 10, "1"),
    case("app/outbox_due", 1, 20, "1"),
    case(
        "app/tell_statuses",
        20,
        45,
        "plans.ids('sent'), plans.sids('sent')",
    ),
    case("app/write_statuses", 20, 45, "plans.sids('sent')"),
    case("app/user_cancel", 1, 40, "plans.id('pending', 30)"),
    case("app/user_delete", 1, 40, "plans.id('pending', 30)"),
    case("app/user_edit", 1, 40, "plans.id('pending', 30), 'x'"),
    case("app/user_fate", 1, 10, "plans.id('pending', 30)"),
    case(
        "app/user_insert",
        1,
        40,
        "plans.id('user', 1), '+13105550100', 'x', now() + interval '1 hour'",
    ),
    case(
        "app/user_prefer",
        1,
        20,
        "plans.id('user', 0), 'UTC', 0, 0, 1",
    ),
    case(
        "app/user_reschedule",
        1,
        40,
        "plans.id('pending', 30), now()",
    ),
    case(
        "app/user_schedule",
        1,
        40,
        "'+13105550100', null, 'x', now() + interval '1 hour', null, null, null, null, null, null, null, null, 'sms'",
    ),
    case("app/user_separator", 1, 3, ""),
    case("app/user_templates", 100, 4, "'key_1', 3"),
    case(
        "app/write_messages",
        20,
        60,
        "plans.ids('sent'), plans.same(null::uuid), plans.texts('text'), plans.numbers(), plans.numbers(), plans.texts('SM new'), plans.same(now())",
    ),
    case(
        "app/write_sent",
        20,
        60,
        "plans.ids('sent'), plans.same(null::uuid), plans.texts('text'), plans.numbers(), plans.numbers(), plans.texts('SM new'), plans.same(now())",
    ),
    case("ledger/duplicate", 20, 30, "plans.tokens('sent')"),
    case(
        "ledger/look_ups_done",
        20,
        45,
        "plans.tokens('unconfirmed'), plans.same(now()), plans.same(1), plans.same(null::bigint), plans.texts('x')",
    ),
    case("ledger/look_ups_take", 20, 60, "10, 10, 1000"),
    case("ledger/look_up_known", 20, 15, "plans.texts('SM')"),
    case("ledger/look_up_known_app", 20, 15, "plans.texts('SM')"),
    case(
        "ledger/look_up_put_back",
        20,
        60,
        "plans.ids('unconfirmed'), plans.tokens('unconfirmed'), plans.texts('resend'), plans.texts('x')",
    ),
    case(
        "ledger/look_up_put_back_rows",
        20,
        20,
        "plans.ids('unconfirmed'), '+15005550006'",
    ),
    case(
        "ledger/look_up_rivals",
        20,
        40,
        "plans.tokens('unconfirmed'), plans.same('+13000000001'::text), plans.same('\\x00'::bytea)",
    ),
    case("ledger/quarantine_cleared", 40, 16, "now(), null, 10"),
    case("ledger/quarantine_rows", 40, 16, "now(), null, 10"),
    case(
        "ledger/instance_beat",
        1,
        20,
        "plans.id('instance', 2), 7, 0, plans.known('sent'), '{}'",
    ),
    case(
        "ledger/attempts_without_outcome",
        20,
        15,
        "plans.tokens('sent')",
    ),
    case("ledger/quarantine_read", 1, 10, ""),
    case(
        "ledger/quarantine_account",
        1,
        20,
        "plans.id('instance', 2), array[plans.id('instance', 3)], 0, '{}', '{}'",
    ),
    case("ledger/quarantine_end", 1, 10, "now()"),
    case("ledger/quarantine_clear", 20, 10, "plans.ids('pending')"),
    case(
        "ledger/instance_start",
        1,
        10,
        "plans.id('instance', 0), 'x'",
    ),
    case(
        "ledger/instance_journal",
        1,
        10,
        "plans.id('instance', 2), true",
    ),
    case("ledger/instance_stop", 1, 10, "plans.id('instance', 2)"),
    case("ledger/members", 1, 10, "20000, 10"),
    case("ledger/without_attempt", 20, 85, "0, 20, 'x'"),
    case("ledger/reap", 20, 85, "plans.id('instance', 2), 20000, 20"),
    case(
        "ledger/receipts_advance",
        20,
        60,
        "plans.tokens('sent'), plans.sids('sent'), plans.same('delivered'::text), plans.same('delivered'::text), plans.same(null::bigint), plans.same(false)",
    ),
    case("ledger/receipts_alone", 1, 10, "plans.id('sent', 1)"),
    case(
        "ledger/receipts_alone_attempt",
        1,
        10,
        "plans.token('sent', 1)",
    ),
    case("ledger/receipts_attempts", 20, 30, "plans.tokens('sent')"),
    case(
        "ledger/receipts_keep",
        20,
        30,
        "plans.ids('sent'), plans.tokens('sent'), plans.texts('SM new'), plans.same('delivered'::text), plans.same(null::int), plans.same('advanced'::text), plans.same('delivered'::text)",
    ),
    case(
        "ledger/receipts_move",
        20,
        60,
        "plans.ids('sent'), plans.same('delivered'::text), plans.sids('sent'), plans.same(null::text), plans.same(null::int), plans.same(null::bigint), plans.same(0), plans.same(null::int), plans.same(null::int)",
    ),
    case("ledger/receipts_owners", 20, 15, "plans.sids('sent')"),
    case(
        "ledger/receipts_rows",
        20,
        45,
        "plans.tokens('sent'), plans.ids('sent'), plans.sids('sent'), '+15005550006'",
    ),
    case(
        "ledger/receipts_rows",
        20,
        45,
        "plans.same(null::uuid), plans.same(null::uuid), plans.sids('sent'), '+15005550006'",
    ),
    case(
        "ledger/recover_open",
        40,
        20,
        "plans.id('instance', 1), 100, null",
    ),
    case(
        "ledger/recover_unbegun",
        20,
        80,
        "plans.ids('unconfirmed'), plans.tokens('unconfirmed'), plans.texts('x')",
    ),
    case(
        "ledger/resolve_ledger",
        1,
        30,
        "plans.id('unconfirmed', 1), true, 'SM new', 'x', 1000",
    ),
    case(
        "ledger/resolve_move",
        1,
        40,
        "plans.id('unconfirmed', 1), 'sent', 'SM new', null",
    ),
    case("ledger/resolve_row", 1, 20, "plans.id('unconfirmed', 1)"),
    case(
        "ledger/resolve_sid",
        1,
        20,
        "plans.sid('sent', 1), plans.id('sent', 2)",
    ),
    case("ledger/story_attempts", 1, 20, "plans.id('sent', 1)"),
    case("ledger/story_notes", 1, 20, "plans.id('sent', 1)"),
    case("ledger/story_outbox", 1, 20, "plans.id('sent', 1)"),
    case("ledger/story_receipts", 1, 20, "plans.id('sent', 30)"),
    case(
        "ledger/story_row",
        1,
        40,
        "plans.id('people', 1), '+15005550006'",
    ),
    case(
        "ledger/orphaned_claims",
        20,
        10,
        "plans.id('instance', 1), 20",
    ),
    case("ledger/tell_ids", 1, 10, "plans.id('sent', 1)"),
];

/// What an app does, in whose session nothing is set: the triggers are in it.
pub(super) const APP: &[Case] = &[
    case(
        "a far insert",
        1,
        30,
        "insert into scheduled_messages (to_number, body, scheduled_at) values ('+13105550100', 'x', now() + interval '1 day')",
    ),
    case(
        "a near insert",
        1,
        100,
        "insert into scheduled_messages (to_number, body, scheduled_at) values ('+13105550100', 'x', now() + interval '1 minute')",
    ),
    case(
        "an edit",
        1,
        40,
        "update scheduled_messages set body = 'x' where id = plans.id('pending', 30)",
    ),
    case(
        "a cancel",
        1,
        40,
        "update scheduled_messages set status = 'cancelled' where id = plans.id('pending', 30)",
    ),
    case(
        "a cancel that is refused",
        1,
        40,
        "do $$ begin update scheduled_messages set status = 'cancelled' where id = plans.id('sent', 1); exception when others then null; end $$",
    ),
    case(
        "a delete",
        1,
        40,
        "delete from scheduled_messages where id = plans.id('pending', 30)",
    ),
    case(
        "an opt-out",
        1,
        150,
        "update user_sms_preferences set opted_out = true where user_id = plans.id('user', 30)",
    ),
    case(
        "an event that moves",
        1,
        120,
        "update task_calendar_events set event_start = event_start + interval '1 hour' where calendar_event_id = 'event 30'",
    ),
    case(
        "an event that is cancelled",
        1,
        120,
        "update task_calendar_events set sync_status = 'cancelled' where calendar_event_id = 'event 30'",
    ),
    case(
        "an event that is deleted",
        1,
        120,
        "delete from task_calendar_events where calendar_event_id = 'event 30'",
    ),
    case(
        "a new event",
        1,
        60,
        "insert into task_calendar_events (calendar_event_id, user_id, event_start) values ('new', plans.id('user', 30), now() + interval '1 hour')",
    ),
    case(
        "a deletion from the ledger",
        20,
        135,
        "select punctual.forget(now() - interval '90 days', 20)",
    ),
    // A statement of the app's may look at all dead entries of what is on its way.
    case(
        "the messages in local time",
        5,
        450,
        "select * from scheduled_messages_local limit 5",
    ),
];
