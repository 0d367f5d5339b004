-- What the app has deferred to the end of the transaction is asked now, while the answer can
-- still be undone to a savepoint.
set constraints all immediate
