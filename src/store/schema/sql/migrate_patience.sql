-- A concurrent build waits for every older transaction, however long, and blocks no one meanwhile.
set lock_timeout = 0;
set statement_timeout = 0;
