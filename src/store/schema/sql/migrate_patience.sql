-- A concurrent build waits for every older transaction, however long, and keeps nobody out
-- while it does.
set lock_timeout = 0;
set statement_timeout = 0;
