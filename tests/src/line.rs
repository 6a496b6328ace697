//! A line between counter and head office that can be cut, or can lose every answer.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const UP: u8 = 0;
const DOWN: u8 = 1;
const ANSWERS_LOST: u8 = 2;

/// A TCP relay.
pub struct Line {
    /// `http://127.0.0.1:PORT`.
    pub address: String,
    state: Arc<AtomicU8>,
}

impl Line {
    /// A line to this address (`http://HOST:PORT`).
    pub async fn to(address: &str) -> Self {
        let target = address.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(AtomicU8::new(UP));
        tokio::spawn(relay_all(listener, target, Arc::clone(&state)));
        Self { address: own, state }
    }

    /// Everything passes.
    pub fn up(&self) {
        self.state.store(UP, Ordering::SeqCst);
    }
    /// Nothing passes.
    pub fn cut(&self) {
        self.state.store(DOWN, Ordering::SeqCst);
    }
    /// Requests arrive, answers don't.
    pub fn lose_answers(&self) {
        self.state.store(ANSWERS_LOST, Ordering::SeqCst);
    }
}

async fn relay_all(listener: TcpListener, target: String, state: Arc<AtomicU8>) {
    while let Ok((near, _)) = listener.accept().await {
        if state.load(Ordering::SeqCst) == DOWN {
            continue;
        }
        let (target, state) = (target.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            if let Ok(far) = TcpStream::connect(&target).await {
                let _ = near.set_nodelay(true);
                let _ = far.set_nodelay(true);
                let (mut near_read, mut near_write) = near.into_split();
                let (mut far_read, mut far_write) = far.into_split();
                let there = pump(&mut near_read, &mut far_write, &state, |now| now != DOWN);
                let back = pump(&mut far_read, &mut near_write, &state, |now| now == UP);
                tokio::select! { () = there => {}, () = back => {} }
            }
        });
    }
}

async fn pump(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    state: &AtomicU8,
    passes: impl Fn(u8) -> bool,
) {
    let mut buffer = vec![0u8; 64 * 1024];
    while let Ok(count) = from.read(&mut buffer).await {
        if count == 0 || !passes(state.load(Ordering::SeqCst)) {
            return;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
