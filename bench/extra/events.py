"""Events of many users within a minute, beside messages of others: events.py BIN [events] [rounds]

Each round emits so many events, each to one of a thousand users who has subscribed, by SENDERS (4) sessions in transactions of
EACH (50) within SECONDS (60), by the channels sms and in_app. Before it the others alone, for as long as half of it. Printed:
how late messages of others are before it and during it, and the ratio; whether each event was delivered once by each channel."""
import sys, os, subprocess, time, json, urllib.request, threading, collections
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import psycopg
from harness import *
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
def figures(late):
    late=sorted(late); q=lambda x: round(late[int((len(late)-1)*x)],2) if late else None
    return q(.99),f"n={len(late)} late p50={q(.5)} p99={q(.99)} max={q(1)} ms"
ok=True
with Cluster({"shared_preload_libraries":"pg_stat_statements","pg_stat_statements.track":"all"} if os.environ.get("PROFILE") else None) as c:
    c.execute("create database app"); url=c.url("app"); db=psycopg.connect(url,autocommit=True)
    if os.environ.get("PROFILE"): db.execute("create extension pg_stat_statements")
    sink=subprocess.Popen([str(BIN/"sink"),"--listen","127.0.0.1:%d"%(sp:=free_port())],stdout=subprocess.DEVNULL); time.sleep(.3)
    env=dict(os.environ,DATABASE_URL=url,TWILIO_API_BASE_URL=f"http://127.0.0.1:{sp}",TWILIO_ACCOUNT_SID="AC"+"0"*32,TWILIO_AUTH_TOKEN="x",TWILIO_SMS_FROM_NUMBER="+18184633772",PUNCTUAL_IN_APP="true",PUNCTUAL_HTTP_ADDR=f"127.0.0.1:{(hp:=free_port())}",RUST_LOG="warn",PUNCTUAL_DEBUG_TOKEN="0123456789abcdef0123",PUNCTUAL_STATE_DIR=f"/tmp/bench-state-{hp}")
    cursor=psycopg.ClientCursor(db)
    db.execute(cursor.mogrify(TABLES,[USERS]))
    subprocess.run([bin_,"migrate","--preset","buildos"],env=env,check=True,stdout=subprocess.DEVNULL)
    db.execute(cursor.mogrify(SUBSCRIBED,[USERS])); db.execute("vacuum analyze"); db.execute("checkpoint")
    daemon=subprocess.Popen([bin_,"run"],env=env)
    while True:
        try: urllib.request.urlopen(f"http://127.0.0.1:{hp}/readyz").read(); break
        except OSError:
            if daemon.poll() is not None: sys.exit(f"the daemon has ended with {daemon.returncode}: it says why above")
            time.sleep(.1)
    due={}; stop=threading.Event(); faults=[]
    def foreground():
        with psycopg.connect(url,autocommit=True) as own:
            start=time.time()+1
            for n in range(10**9):
                time.sleep(max(0,start+n-1-time.time()))
                if stop.is_set(): return
                rows=[(f"+1201{2000000+i:07d}",str(i),start+n+(i-n*50)*.02) for i in range(n*50,n*50+50)]
                due.update((body,at) for _,body,at in rows)
                with own.cursor() as cur: cur.executemany("insert into scheduled_messages (to_number, body, scheduled_at) values (%s,%s,to_timestamp(%s))",rows)
    def emit(which,this,began):
        try:
            with psycopg.connect(url) as own:
                for n in range(which*EACH,events,SENDERS*EACH):
                    time.sleep(max(0,began+SECONDS*n/events-time.time()))
                    with own.transaction(), own.pipeline():
                        for i in range(n,min(n+EACH,events)): own.execute(EMIT,[i,USERS,f"{this}-{i}"])
        except Exception as error: faults.append(error)
    def sent(): return db.execute("select count(*) from notification_deliveries where status in ('sent','delivered')").fetchone()[0]
    thread=threading.Thread(target=foreground); thread.start(); spans=[]
    for this in range(rounds):
        alone=time.time()+2; time.sleep(2+SECONDS/2)
        if os.environ.get("PROFILE"): db.execute("select pg_stat_statements_reset()")
        began=time.time(); own,pg=cpu_seconds(proc_stat(daemon.pid),False),c.cpu()
        senders=[threading.Thread(target=emit,args=(n,this,began)) for n in range(SENDERS)]
        for s in senders: s.start()
        for s in senders: s.join()
        emitted=time.time(); wanted=2*events*(this+1)
        while (there:=sent())<wanted and time.time()<emitted+max(60,5*SECONDS): time.sleep(1)
        ended=time.time(); spans.append((alone,began,emitted,ended)); ok&=there==wanted and not faults and emitted-began<=SECONDS*1.05
        print(f"round {this+1}: {events} events emitted in {emitted-began:.1f} s, all delivered after {ended-began:.1f} s; {there} of {wanted} deliveries sent; CPU of the daemon {cpu_seconds(proc_stat(daemon.pid),False)-own:.1f} s, of Postgres {c.cpu()-pg:.1f} s; load average {os.getloadavg()[0]:.1f}",*faults)
    if os.environ.get("PROFILE"):
        for row in db.execute("select calls, round(total_exec_time::numeric), round(mean_exec_time::numeric,2), rows, shared_blks_hit, wal_bytes, left(regexp_replace(query,'\\s+',' ','g'),150) from pg_stat_statements order by total_exec_time desc limit 24"): print(*row,sep=" | ")
    stop.set(); thread.join(); time.sleep(4)
    got=collections.Counter(); late=collections.defaultdict(list)
    for line in urllib.request.urlopen(f"http://127.0.0.1:{sp}/report").read().decode().splitlines():
        m=json.loads(line); key=m["key"]; got[key]+=1
        for n,(alone,began,emitted,ended) in enumerate(spans):
            if key in due and got[key]==1 and alone<=due[key]<ended: late[n,due[key]>=began].append((m["arrival_us"]/1e6-due[key])*1000)
    shown=dict(db.execute("select body, count(*) from punctual_api.in_app_messages group by 1"))
    daemon.terminate(); daemon.wait(20); sink.terminate()
for n in range(rounds):
    (before,a),(during,b)=figures(late[n,False]),figures(late[n,True])
    print(f"round {n+1}, others before:",a); print(f"round {n+1}, others during:",b,f"ratio of p99 {during/before:.1f}" if before and during else "")
    ok&=bool(during) and during<=5
every=[f"{n}-{i}" for n in range(rounds) for i in range(events)]
once=lambda seen: (sum(seen.get(key,0)==1 for key in every),sum(seen.get(key,0)>1 for key in every))
for name,seen in (("sms",got),("in_app",shown)): print(f"{name}: {once(seen)[0]} of {len(every)} once, {once(seen)[1]} twice"); ok&=once(seen)==(len(every),0)
others=(sum(got[key]==1 for key in due),sum(got[key]>1 for key in due)); print(f"others: {others[0]} of {len(due)} once, {others[1]} twice"); ok&=others==(len(due),0)
sys.exit(not ok)
