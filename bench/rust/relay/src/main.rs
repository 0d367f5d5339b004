//! `relay PORT MS`: passes connections on to 127.0.0.1:PORT, each byte MS milliseconds later, and prints its own port.
//!
//! Threads that sleep, and no event loop: its timers would be a millisecond off, and its turns would delay what else is
//! due.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What was read, and when it is written.
type Bytes = (Instant, Vec<u8>);

fn spawn(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(work)
        .expect("a thread");
}

fn read(mut from: TcpStream, delay: Duration, to: &Sender<Bytes>) {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let n = from.read(&mut buffer).unwrap_or(0);
        let end = n == 0;
        if to.send((Instant::now() + delay, buffer[..n].to_vec())).is_err() || end {
            return;
        }
    }
}

fn write(mut to: TcpStream, from: &Receiver<Bytes>) {
    while let Ok((at, bytes)) = from.recv() {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        if bytes.is_empty() || to.write_all(&bytes).is_err() {
            break;
        }
    }
    // It may be closed already.
    let _ = to.shutdown(Shutdown::Write);
}

fn pass_on(from: &TcpStream, to: &TcpStream, delay: Duration) -> std::io::Result<()> {
    let (from, to) = (from.try_clone()?, to.try_clone()?);
    let (sender, receiver) = channel();
    spawn(move || read(from, delay, &sender));
    spawn(move || write(to, &receiver));
    Ok(())
}

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(port), Some(ms)) = (args.next(), args.next()) else {
        eprintln!("relay PORT MS");
        std::process::exit(64);
    };
    let port: u16 = port.parse().expect("a port");
    let delay = Duration::from_secs_f64(ms.parse::<f64>().expect("milliseconds") / 1000.0);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    for client in listener.incoming() {
        let client = client?;
        // A server that is away: the client sees its connection end.
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
            continue;
        };
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        pass_on(&client, &server, delay)?;
        pass_on(&server, &client, delay)?;
    }
    Ok(())
}
