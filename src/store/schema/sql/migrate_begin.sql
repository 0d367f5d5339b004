-- A migration writes as the daemon does, and may take as long as it needs whatever the role's own limit is.
begin;
set local punctual.writer = 'on';
set local statement_timeout = 0;
