-- A check that would take longer is cancelled, and reported as such.
set statement_timeout = '10s';
set lock_timeout = '1s';
-- Compiling a check takes longer than running it.
set jit = off;
