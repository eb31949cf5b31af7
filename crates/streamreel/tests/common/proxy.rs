//! A proxy of TCP that can be cut: what went through it is gone, and nothing comes through until it is mended.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Listens on a port of this machine and passes everything on to another one, as long as the process lives.
pub struct Proxy {
    shared: Arc<Shared>,
}

struct Shared {
    to: u16,
    is_cut: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// From where it listens to a port.
    pub fn start(listener: TcpListener, to: u16) -> Self {
        let shared = Arc::new(Shared { to, is_cut: AtomicBool::new(false), open: Mutex::default() });
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || listener.incoming().flatten().for_each(|stream| shared.connect(stream))
        });
        Self { shared }
    }

    /// Ends all connections; new ones are ended at once.
    pub fn cut(&self) {
        self.shared.is_cut.store(true, Ordering::SeqCst);
        for stream in self.shared.open.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.shared.is_cut.store(false, Ordering::SeqCst);
    }
}

impl Shared {
    fn connect(&self, client: TcpStream) {
        // Nobody there is the same as a cut: the client's connection ends.
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.to)) else { return };
        let mut open = self.open.lock().expect("no panic");
        if self.is_cut.load(Ordering::SeqCst) {
            return;
        }
        for (from, to) in [(&client, &server), (&server, &client)] {
            let (from, to) = (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
            thread::spawn(move || pass(from, to));
        }
        // What has ended takes no place any more.
        open.retain(|stream| stream.peer_addr().is_ok());
        open.extend([client, server]);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
