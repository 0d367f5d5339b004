"""A round trip to database and provider: lateness of 1,000 over 15 s, and of 3,000 at one instant: distance.py BIN [ms]"""
import sys, os, subprocess, time, random, json, re, urllib.request
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import psycopg
from harness import *
bin_=sys.argv[1]; one_way=(float(sys.argv[2]) if len(sys.argv)>2 else 30)/2
def ready(port):
    while True:
        try:
            if urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz",timeout=1).status==200: return
        except OSError: time.sleep(.05)
def claims(port):
    text=urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/metrics",headers={"authorization":"Bearer 0123456789abcdef0123"})).read().decode()
    return {what:int(n) for what,n in re.findall(r'^punctual_claims_total\{result="(\w+)"\} ([1-9]\d*)',text,re.M)}
def relay(port):
    p=subprocess.Popen([str(BIN/"relay"),str(port),str(one_way)],stdout=subprocess.PIPE,text=True)
    return p,int(p.stdout.readline())
with Cluster() as c:
    c.execute("create database app"); url=c.url("app")
    db=psycopg.connect(url,autocommit=True)
    sink=subprocess.Popen([str(BIN/"sink"),"--listen","127.0.0.1:%d"%(sp:=free_port())],stdout=subprocess.DEVNULL); time.sleep(.3)
    p1,dbp=relay(c.port); p2,skp=relay(sp)
    env=dict(os.environ,DATABASE_URL=f"postgres://bench@127.0.0.1:{dbp}/app",TWILIO_API_BASE_URL=f"http://127.0.0.1:{skp}",TWILIO_ACCOUNT_SID="AC"+"0"*32,TWILIO_AUTH_TOKEN="x",TWILIO_SMS_FROM_NUMBER="+18184633772",PUNCTUAL_HTTP_ADDR=f"127.0.0.1:{(hp:=free_port())}",RUST_LOG="warn",PUNCTUAL_DEBUG_TOKEN="0123456789abcdef0123")
    subprocess.run([bin_,"migrate"],env=dict(env,DATABASE_URL=url),check=True,stdout=subprocess.DEVNULL)
    p=subprocess.Popen([bin_,"run"],env=env); ready(hp); time.sleep(2)
    def batch(tag,n,span,lead=8):
        start=time.time()+lead; r=random.Random(tag); due={}
        with db.cursor() as cur:
            rows=[]
            for i in range(n):
                k=tag*100000+i; due[k]=start+r.random()*span; rows.append((f"+1201{2000000+i:07d}",str(k),due[k]))
            cur.executemany("insert into scheduled_messages (to_number, body, scheduled_at) values (%s,%s,to_timestamp(%s))",rows)
        cpu=c.cpu(),cpu_seconds(proc_stat(p.pid),False)
        time.sleep(max(0,start-time.time())+span+4); was=claims(hp); time.sleep(4)
        got={}
        for l in urllib.request.urlopen(f"http://127.0.0.1:{sp}/report").read().decode().splitlines():
            m=json.loads(l); got[int(m["key"])]=m["arrival_us"]
        late=sorted((got[k]-due[k]*1e6)/1000-one_way for k in due if k in got)
        q=lambda x: round(late[int((len(late)-1)*x)],2) if late else None
        return dict(n=n,arrived=len(late),p50=q(.5),p90=q(.9),p99=q(.99),max=q(1),claimed=was,pg_cpu_s=round(c.cpu()-cpu[0],2),cpu_s=round(cpu_seconds(proc_stat(p.pid),False)-cpu[1],2))
    spread=batch(1,1000,15); print("spread, ms after it is due (the way to the provider subtracted)", spread)
    herd=batch(2,3000,0.0); print("herd of 3000", herd)
    print("messages claimed, by result", claims(hp))
    p.terminate(); p.wait(20); sink.terminate(); p1.terminate(); p2.terminate()
print("spread p50, p99, herd last ms:", spread["p50"], spread["p99"], herd["max"]); sys.exit(not (spread["p99"] <= 5 and herd["max"] <= 700))
