-- A check that would take longer is given up, and said to be.
set statement_timeout = '10s';
set lock_timeout = '1s';
