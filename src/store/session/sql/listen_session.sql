-- A session that only listens has nothing to say for hours: no time-out of the role's is to end it.
set idle_session_timeout = 0
