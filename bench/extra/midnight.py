"""The local midnight of many users at once, beside messages of others: midnight.py BIN [users] [events of each]

A zone is taken whose day has begun within this hour, and the day of all users is due to be planned at one instant, by
punctual.planner_users, as at a midnight: under libfaketime a daemon's timers are up to a second late."""
import sys, os, time, re
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import psycopg
from harness import *
from others import PROFILED, Beside, Profile, figures
bin_=sys.argv[1]; users=int(sys.argv[2]) if len(sys.argv)>2 else 100000; events=int(sys.argv[3]) if len(sys.argv)>3 else 3
LEAD,TAIL=25,5
# The calendar is there before Punctual: of each event that is inserted later a trigger looks for messages.
EVENTS="""
    create table task_calendar_events (id uuid primary key default gen_random_uuid(), calendar_event_id text, user_id uuid, event_title text,
      event_start timestamptz, event_end timestamptz, event_link text, sync_status text, created_at timestamptz default now(),
      updated_at timestamptz default now());
    create index on task_calendar_events (calendar_event_id, user_id);
    insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start, event_end, event_link, sync_status)
    select 'event ' || i || ' ' || n, md5('user ' || i)::uuid, 'Standup ' || n, t.at, t.at + interval '30 minutes',
           case when n = 1 then 'https://meet.example/' || i end, 'synced'
      from generate_series(1, %(users)s) i cross join generate_series(1, %(events)s) n
     cross join lateral (select to_timestamp(%(day)s) + interval '9 hours' + n * interval '40 minutes' as at) t"""
USERS="""
    insert into user_sms_preferences (user_id, phone_number, phone_verified, event_reminders_enabled, timezone,
                                      quiet_hours_start, quiet_hours_end, daily_sms_limit)
    select md5('user ' || i)::uuid, '+1202555' || lpad((i %% 10000)::text, 4, '0'), true, true, %(zone)s, '21:00', '08:00', 10
      from generate_series(1, %(users)s) i"""
with Cluster(PROFILED) as c:
    c.execute("create database app"); beside=Beside(c,bin_,PUNCTUAL_PLANNER="true"); db=psycopg.connect(beside.url,autocommit=True); profile=Profile(db)
    now=time.time(); ahead=(24-time.gmtime(now).tm_hour+12)%24-12; zone=f"Etc/GMT{-ahead:+d}"
    fill=lambda sql: db.execute(psycopg.ClientCursor(db).mogrify(sql,dict(users=users,events=events,zone=zone,day=now//3600*3600)))
    fill(EVENTS)
    beside.migrate(PUNCTUAL_PLANNER="false")
    fill(USERS)
    beside.migrate()
    db.execute("vacuum analyze"); db.execute("checkpoint"); MIDNIGHT=time.time()+LEAD
    db.execute("update punctual.planner_users set at = to_timestamp(%s)",[MIDNIGHT])
    beside.run()
    def planned():
        found=re.search(r"^punctual_reminders_planned_total (\d+)",beside.ask("/metrics"),re.M)
        return int(found[1]) if found else 0
    beside.start()
    time.sleep(max(0,MIDNIGHT-1-time.time())); profile.reset()
    own,pg=beside.cpu(); wanted=users*events; ended=None
    while time.time()<MIDNIGHT+300:
        time.sleep(.25)
        if planned()>=wanted: ended=time.time(); break
    cpu=beside.cpu(); cpu=(cpu[0]-own,cpu[1]-pg); profile.print(); time.sleep(TAIL)
    rows=db.execute("select count(*), count(distinct (user_id, calendar_event_id)) from scheduled_messages where message_type='event_reminder'").fetchone()
    beside.stop(); ok=beside.once()
print(f"{users} users, {events} events each: {rows[0]} planned, {rows[1]} distinct, in {ended-MIDNIGHT if ended else float('nan'):.1f} s; CPU of the daemon {cpu[0]:.1f} s, of Postgres {cpu[1]:.1f} s; load average {os.getloadavg()[0]:.1f}")
print(" before",figures(beside.late(0,MIDNIGHT))[1]); print(" during",figures(beside.late(MIDNIGHT,ended or time.time()))[1])
sys.exit(not (rows==(wanted,wanted) and ended and ended-MIDNIGHT<=60 and ok))
