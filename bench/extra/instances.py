"""Several instances beside one: rate, CPU, lateness, and claims that won nothing: instances.py BIN [herd] [spread] [counts]"""
import sys, os, subprocess, time, random, json, urllib.request, re
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import psycopg
from harness import *
bin_=sys.argv[1]; herd=int(sys.argv[2]) if len(sys.argv)>2 else 10000; spread=int(sys.argv[3]) if len(sys.argv)>3 else 1500
counts=[int(n) for n in (sys.argv[4] if len(sys.argv)>4 else "1,2,4").split(",")]
def ready(port):
    while True:
        try:
            if urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz",timeout=1).status==200: return
        except OSError: time.sleep(.05)
def claims(ports):
    sums={}
    for port in ports:
        text=urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/metrics",headers={"authorization":"Bearer 0123456789abcdef0123"})).read().decode()
        for what,n in re.findall(r'^punctual_claims_total\{result="(\w+)"\} (\d+)',text,re.M): sums[what]=sums.get(what,0)+int(n)
    return sums
def run(n):
    with Cluster({"shared_preload_libraries":"pg_stat_statements"}) as c:
        c.execute("create database app"); url=c.url("app"); db=psycopg.connect(url,autocommit=True); db.execute("create extension pg_stat_statements")
        sink=subprocess.Popen([str(BIN/"sink"),"--listen","127.0.0.1:%d"%(sp:=free_port())],stdout=subprocess.DEVNULL); time.sleep(.3)
        env=dict(os.environ,DATABASE_URL=url,TWILIO_API_BASE_URL=f"http://127.0.0.1:{sp}",TWILIO_ACCOUNT_SID="AC"+"0"*32,TWILIO_AUTH_TOKEN="x",TWILIO_SMS_FROM_NUMBER="+18184633772",RUST_LOG="error",PUNCTUAL_MAX_IN_FLIGHT="50",PUNCTUAL_DEBUG_TOKEN="0123456789abcdef0123")
        subprocess.run([bin_,"migrate"],env=env,check=True,stdout=subprocess.DEVNULL)
        ports=[free_port() for _ in range(n)]
        daemons=[subprocess.Popen([bin_,"run"],env=dict(env,PUNCTUAL_HTTP_ADDR=f"127.0.0.1:{p}",PUNCTUAL_STATE_DIR=f"/tmp/bench-state-{p}")) for p in ports]
        for port in ports: ready(port)
        time.sleep(2)
        def batch(tag,m,span,lead):
            start=time.time()+lead; r=random.Random(tag); due={}
            with db.cursor() as cur:
                due={tag*100000+i:start+r.random()*span for i in range(m)}
                cur.executemany("insert into scheduled_messages (to_number, body, scheduled_at) values (%s,%s,to_timestamp(%s))",[(f"+1201{2000000+i:07d}",str(k),due[k]) for i,k in enumerate(due)])
            left=start-time.time(); time.sleep(max(0,left)-.5 if left>.5 else 0)
            db.execute("select pg_stat_statements_reset()")
            pg,own,was=c.cpu(),sum(cpu_seconds(proc_stat(d.pid),False) for d in daemons),claims(ports)
            end=start+span+60
            while time.time()<end:
                time.sleep(.5)
                if int(urllib.request.urlopen(f"http://127.0.0.1:{sp}/count").read())>=m: break
            time.sleep(2); got={}
            for l in urllib.request.urlopen(f"http://127.0.0.1:{sp}/report").read().decode().splitlines():
                j=json.loads(l); got.setdefault(int(j["key"]),[]).append(j["arrival_us"])
            late=sorted((got[k][0]-due[k]*1e6)/1000 for k in due if k in got); q=lambda x: round(late[int((len(late)-1)*x)],2)
            now=claims(ports); calls=dict(db.execute("select case when query like '%record_accepted%' or query like '%proven%' then 'records' else 'claims' end, sum(calls)::int from pg_stat_statements where query like '%unwanted as%' or query like '%overtaken as%' group by 1").fetchall())
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{sp}/reset",method="POST"))
            return dict(arrived=len(late),twice=sum(len(v)-1 for k,v in got.items()),p50=q(.5),p99=q(.99),last=q(1),per_s=round(len(late)/max(q(1)/1000,.001)) if span==0 else None,pg_cpu=round(c.cpu()-pg,2),cpu=round(sum(cpu_seconds(proc_stat(d.pid),False) for d in daemons)-own,2),messages_claimed={k:v-was.get(k,0) for k,v in now.items() if v-was.get(k,0)},statements=calls)
        if spread: print(n,"spread",batch(1,spread,15,6),flush=True)
        if herd: print(n,"herd",batch(2,herd,0,25),flush=True)
        for d in daemons: d.terminate()
        for d in daemons: d.wait(20)
        sink.terminate()
for n in counts: run(n)
