-- Rates of senders: a pace of another kind. `gap_min` and `gap_max`, which are equal, are the time of one segment.
alter table punctual.paces drop constraint if exists paces_scope_check;
alter table punctual.paces add constraint paces_scope_check check (scope in ('campaign', 'sender'));
-- Segments that a sender may send at once after it has sent nothing for a while.
alter table punctual.paces add column if not exists burst int not null default 1 check (burst > 0);
