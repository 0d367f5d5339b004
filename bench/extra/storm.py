"""Storms beside messages of others: storm.py BIN [far] [window] [herd] [clients] [forged]; all without a name

Others have a message every 20 ms. Each storm is one after the other on the same database:
far      one INSERT of ROWS (1,000,000) rows due in a month
window   one INSERT of ROWS rows due in 30 to 60 minutes, of which as many are armed as the cap allows
herd     HERD (100,000) rows due at one instant, as unimportant ones (priority low), so that others pass them
clients  8 sessions that insert single rows due in an hour, for SECONDS (20)
forged   8 sessions that send notices of ids that there are not, of far rows, and to read everything, for SECONDS
Exits 1 if one of the others was lost or doubled, or their p99 is 250 ms or more during a storm."""
import sys, os, time, threading
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import psycopg
from harness import *
from others import PROFILED, Beside, Profile, figures
bin_=sys.argv[1]; names=sys.argv[2:] or ["far","window","herd","clients","forged"]
ROWS,HERD,SECONDS=(int(os.environ.get(k,d)) for k,d in (("ROWS",1000000),("HERD",100000),("SECONDS",20)))
INSERT="insert into scheduled_messages (to_number, body, scheduled_at) select '+12015550123', 'far', now() + interval '{}' + interval '{}' * i / {} from generate_series(1, {}) i"
def sessions(step):
    """What `step(session, which, turn)` does from 8 sessions for SECONDS; how often, and until when."""
    done=[0]*8; until=time.time()+SECONDS
    def one(which):
        with psycopg.connect(url,autocommit=True) as own:
            while time.time()<until: step(own,which,done[which]); done[which]+=1
    threads=[threading.Thread(target=one,args=(n,)) for n in range(8)]
    for t in threads: t.start()
    for t in threads: t.join()
    return f"{sum(done)/SECONDS:.0f} a second"
def insert_one(own,which,turn):
    own.execute("insert into scheduled_messages (to_number, body, scheduled_at) values ('+12015550123', 'one', now() + interval '1 hour')")
def forge(own,which,turn):
    if which==0: notice="rescan"
    elif which%2: notice="ids "+",".join(str(db_uuid(which,turn*100+i)) for i in range(100))
    else: notice="ids "+",".join(known[(turn*100+i)%len(known)] for i in range(100))
    own.execute("select pg_notify('punctual', %s)",[notice])
def db_uuid(which,i): import uuid; return uuid.UUID(int=(which+1)<<96|i)
def herd():
    at=time.time()+max(10,HERD/10000)
    db.execute("insert into scheduled_messages (to_number, body, scheduled_at, priority) select '+1202' || (2000000 + i), 'herd ' || i, to_timestamp(%s), 'low' from generate_series(1, %s) i",[at,HERD])
    inserted=time.time(); time.sleep(max(0,at-time.time()))
    while db.execute("select exists (select from scheduled_messages where status in ('pending', 'sending') and priority = 'low' and scheduled_at = to_timestamp(%s))",[at]).fetchone()[0]: time.sleep(1)
    return f"the last sent {time.time()-at:.1f} s after the instant"
STORMS={"far":lambda: db.execute(INSERT.format("30 days","1 day",ROWS,ROWS)) and "","window":lambda: db.execute(INSERT.format("30 minutes","30 minutes",ROWS,ROWS)) and "","herd":herd,"clients":lambda: sessions(insert_one),"forged":lambda: sessions(forge)}
ok=True; spans=[]
with Cluster(PROFILED) as c:
    c.execute("create database app"); beside=Beside(c,bin_,PUNCTUAL_MAX_IN_FLIGHT="50"); url=beside.url
    beside.migrate(); beside.run(); db=psycopg.connect(url,autocommit=True); profile=Profile(db); beside.start(); time.sleep(2)
    for name in names:
        known=[str(r[0]) for r in db.execute("select id from scheduled_messages where status = 'pending' limit 100000")] if name=="forged" else []
        alone=time.time(); time.sleep(8); cpu=beside.cpu(); profile.reset(); began=time.time(); said=STORMS[name](); took=time.time()-began; time.sleep(5)
        ended=time.time(); spans.append((name,alone,began,ended)); after=beside.cpu()
        print(f"{name}: {took:.1f} s {said}; CPU of the daemon {after[0]-cpu[0]:.1f} s, of Postgres {after[1]-cpu[1]:.1f} s; resident {vm_kib(beside.daemon.pid,'VmRSS')/1024:.0f} MiB; load average {os.getloadavg()[0]:.1f}",flush=True); profile.print()
    beside.stop(); ok&=beside.once()
for name,alone,began,ended in spans:
    p99,line=figures(beside.late(began,ended)); ok&=p99 is not None and p99<250
    print(name.ljust(8),"before:",figures(beside.late(alone,began))[1]); print(" "*8,"during:",line)
sys.exit(not ok)
