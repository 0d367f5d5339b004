"""Events of many users within a minute, beside messages of others: events.py BIN [events] [rounds]

Each round emits so many events, each to one of a thousand users who has subscribed, by SENDERS (4) sessions in transactions of
EACH (50) within SECONDS (60), by the channels sms and in_app. Before it the others alone, for as long as half of it. Printed:
how late messages of others are before it and during it, and the ratio; whether each event was delivered once by each channel."""
import sys, os, time, threading
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import psycopg
from harness import *
from others import PROFILED, Beside, Profile, figures
bin_=sys.argv[1]; events=int(sys.argv[2]) if len(sys.argv)>2 else 100000; rounds=int(sys.argv[3]) if len(sys.argv)>3 else 1
SECONDS,SENDERS,EACH,USERS=(int(os.environ.get(k,d)) for k,d in (("SECONDS",60),("SENDERS",4),("EACH",50),("USERS",1000)))
TABLES="create table users (id uuid primary key, email text); insert into users select md5('user ' || i)::uuid from generate_series(1, %s) i"
SUBSCRIBED="""
    insert into user_sms_preferences (user_id, phone_number, phone_verified, quiet_hours_start, quiet_hours_end, daily_sms_limit)
    select md5('user ' || i)::uuid, '+1202555' || lpad((i %% 10000)::text, 4, '0'), true, null, null, 1000000 from generate_series(1, %s) i;
    select subscribe_to_notifications('{brief.completed}');
    update user_notification_preferences set sms_enabled = true, email_enabled = false, push_enabled = false"""
EMIT="""select emit_notification_event('brief.completed', 'worker_job', p_target_user_id => md5('user ' || (1 + %s %% %s))::uuid,
    p_payload => jsonb_build_object('body', %s::text))"""
ok=True
with Cluster(PROFILED) as c:
    c.execute("create database app"); beside=Beside(c,bin_,PUNCTUAL_IN_APP="true"); url=beside.url; db=psycopg.connect(url,autocommit=True); profile=Profile(db)
    cursor=psycopg.ClientCursor(db)
    db.execute(cursor.mogrify(TABLES,[USERS]))
    beside.migrate("--preset","buildos")
    db.execute(cursor.mogrify(SUBSCRIBED,[USERS])); db.execute("vacuum analyze"); db.execute("checkpoint")
    beside.run(); faults=[]
    def emit(which,this,began):
        try:
            with psycopg.connect(url) as own:
                for n in range(which*EACH,events,SENDERS*EACH):
                    time.sleep(max(0,began+SECONDS*n/events-time.time()))
                    with own.transaction(), own.pipeline():
                        for i in range(n,min(n+EACH,events)): own.execute(EMIT,[i,USERS,f"{this}-{i}"])
        except Exception as error: faults.append(error)
    def sent(): return db.execute("select count(*) from notification_deliveries where status in ('sent','delivered')").fetchone()[0]
    beside.start(); spans=[]
    for this in range(rounds):
        alone=time.time()+2; time.sleep(2+SECONDS/2)
        profile.reset(); began=time.time(); own,pg=beside.cpu()
        senders=[threading.Thread(target=emit,args=(n,this,began)) for n in range(SENDERS)]
        for s in senders: s.start()
        for s in senders: s.join()
        emitted=time.time(); wanted=2*events*(this+1)
        while (there:=sent())<wanted and time.time()<emitted+max(60,5*SECONDS): time.sleep(1)
        ended=time.time(); spans.append((alone,began,emitted,ended)); ok&=there==wanted and not faults and emitted-began<=SECONDS*1.05
        print(f"round {this+1}: {events} events emitted in {emitted-began:.1f} s, all delivered after {ended-began:.1f} s; {there} of {wanted} deliveries sent; CPU of the daemon {beside.cpu()[0]-own:.1f} s, of Postgres {beside.cpu()[1]-pg:.1f} s; load average {os.getloadavg()[0]:.1f}",*faults)
    profile.print(); beside.stop()
    shown=dict(db.execute("select body, count(*) from punctual_api.in_app_messages group by 1"))
for n,(alone,began,_,ended) in enumerate(spans):
    (before,a),(during,b)=figures(beside.late(alone,began)),figures(beside.late(began,ended))
    print(f"round {n+1}, others before:",a); print(f"round {n+1}, others during:",b,f"ratio of p99 {during/before:.1f}" if before and during else "")
    ok&=bool(during) and during<=5
every=[f"{n}-{i}" for n in range(rounds) for i in range(events)]
once=lambda seen: (sum(seen.get(key,0)==1 for key in every),sum(seen.get(key,0)>1 for key in every))
for name,seen in (("sms",beside.got),("in_app",shown)): print(f"{name}: {once(seen)[0]} of {len(every)} once, {once(seen)[1]} twice"); ok&=once(seen)==(len(every),0)
ok&=beside.once()
sys.exit(not ok)
