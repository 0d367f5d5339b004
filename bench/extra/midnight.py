"""The local midnight of many users at once, beside messages of others: midnight.py BIN [users] [events of each]

A zone is taken whose day has begun within this hour, and the day of all users is due to be planned at one instant, by
punctual.planner_users, as at a midnight: under libfaketime a daemon's timers are up to a second late."""
import sys, os, subprocess, time, json, urllib.request, re, threading, collections
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import psycopg
from harness import *
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
def figures(late):
    late=sorted(late); q=lambda x: round(late[int((len(late)-1)*x)],2) if late else None
    return f"n={len(late)} late p50={q(.5)} p99={q(.99)} max={q(1)} ms"
with Cluster({"shared_preload_libraries":"pg_stat_statements","pg_stat_statements.track":"all"} if os.environ.get("PROFILE") else None) as c:
    c.execute("create database app"); url=c.url("app"); db=psycopg.connect(url,autocommit=True)
    if os.environ.get("PROFILE"): db.execute("create extension pg_stat_statements")
    sink=subprocess.Popen([str(BIN/"sink"),"--listen","127.0.0.1:%d"%(sp:=free_port())],stdout=subprocess.DEVNULL); time.sleep(.3)
    env=dict(os.environ,DATABASE_URL=url,TWILIO_API_BASE_URL=f"http://127.0.0.1:{sp}",TWILIO_ACCOUNT_SID="AC"+"0"*32,TWILIO_AUTH_TOKEN="x",TWILIO_SMS_FROM_NUMBER="+18184633772",PUNCTUAL_HTTP_ADDR=f"127.0.0.1:{(hp:=free_port())}",RUST_LOG="warn",PUNCTUAL_PLANNER="true",PUNCTUAL_DEBUG_TOKEN="0123456789abcdef0123",PUNCTUAL_STATE_DIR=f"/tmp/bench-state-{hp}")
    now=time.time(); ahead=(24-time.gmtime(now).tm_hour+12)%24-12; zone=f"Etc/GMT{-ahead:+d}"
    fill=lambda sql: db.execute(psycopg.ClientCursor(db).mogrify(sql,dict(users=users,events=events,zone=zone,day=now//3600*3600)))
    fill(EVENTS)
    subprocess.run([bin_,"migrate"],env=dict(env,PUNCTUAL_PLANNER="false"),check=True,stdout=subprocess.DEVNULL)
    fill(USERS)
    subprocess.run([bin_,"migrate"],env=env,check=True,stdout=subprocess.DEVNULL)
    db.execute("vacuum analyze"); db.execute("checkpoint"); MIDNIGHT=time.time()+LEAD
    db.execute("update punctual.planner_users set at = to_timestamp(%s)",[MIDNIGHT])
    daemon=subprocess.Popen([bin_,"run"],env=env)
    def planned():
        ask=urllib.request.Request(f"http://127.0.0.1:{hp}/metrics",headers={"authorization":"Bearer 0123456789abcdef0123"})
        found=re.search(r"^punctual_reminders_planned_total (\d+)",urllib.request.urlopen(ask).read().decode(),re.M)
        return int(found[1]) if found else 0
    while True:
        try: planned(); break
        except OSError: time.sleep(.1)
    due={}; stop=threading.Event()
    def foreground():
        with psycopg.connect(url,autocommit=True) as own:
            start=time.time()+1
            for n in range(10**9):
                time.sleep(max(0,start+n-1-time.time()))
                if stop.is_set(): return
                rows=[(f"+1201{2000000+i:07d}",str(i),start+n+(i-n*50)*.02) for i in range(n*50,n*50+50)]
                due.update((int(body),at) for _,body,at in rows)
                with own.cursor() as cur: cur.executemany("insert into scheduled_messages (to_number, body, scheduled_at) values (%s,%s,to_timestamp(%s))",rows)
    thread=threading.Thread(target=foreground); thread.start()
    if os.environ.get("PROFILE"): time.sleep(max(0,MIDNIGHT-1-time.time())); db.execute("select pg_stat_statements_reset()")
    own,pg=cpu_seconds(proc_stat(daemon.pid),False),c.cpu(); wanted=users*events; ended=None
    while time.time()<MIDNIGHT+300:
        time.sleep(.25)
        if planned()>=wanted: ended=time.time(); break
    cpu=(cpu_seconds(proc_stat(daemon.pid),False)-own,c.cpu()-pg)
    if os.environ.get("PROFILE"):
        for row in db.execute("select calls, round(total_exec_time::numeric), round(mean_exec_time::numeric,2), rows, shared_blks_hit, wal_bytes, left(regexp_replace(query,'\\s+',' ','g'),150) from pg_stat_statements order by total_exec_time desc limit 24"): print(*row,sep=" | ")
    time.sleep(TAIL); stop.set(); thread.join(); time.sleep(3)
    got=collections.Counter(); late={"before":[],"during":[]}
    for line in urllib.request.urlopen(f"http://127.0.0.1:{sp}/report").read().decode().splitlines():
        m=json.loads(line); key=int(m["key"]); got[key]+=1
        when="before" if due[key]<MIDNIGHT else "during" if ended is None or due[key]<ended else None
        if when and got[key]==1: late[when].append((m["arrival_us"]/1e6-due[key])*1000)
    rows=db.execute("select count(*), count(distinct (user_id, calendar_event_id)) from scheduled_messages where message_type='event_reminder'").fetchone()
    daemon.terminate(); daemon.wait(20); sink.terminate()
print(f"{users} users, {events} events each: {rows[0]} planned, {rows[1]} distinct, in {ended-MIDNIGHT if ended else float('nan'):.1f} s; CPU of the daemon {cpu[0]:.1f} s, of Postgres {cpu[1]:.1f} s; load average {os.getloadavg()[0]:.1f}")
for when in late: print(when.rjust(7),figures(late[when]))
print(f"foreground: {len(due)} inserted, {len(got)} arrived, {sum(got.values())-len(got)} twice")
sys.exit(not (rows==(wanted,wanted) and ended and ended-MIDNIGHT<=60 and len(got)==len(due)==sum(got.values())))
