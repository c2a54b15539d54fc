//! One direction of a connection: pieces are read, stamped with the moment they are due, and
//! written then.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rand::Rng;
use rand::rngs::StdRng;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Way;

/// Bytes of a piece.
const PIECE_BYTES: usize = 16 * 1_024;
/// Pieces under way; the reader waits when there are more, and so does the sender behind it.
const PIECES_MAX: usize = 256;

/// Which way the data goes.
pub(super) enum Direction {
    /// From the caller, who may see a reset for what it sends.
    Up {
        /// Told when a reset is drawn.
        reset_drawn: mpsc::Sender<()>,
    },
    /// From the callee.
    Down,
}

/// One direction.
pub(super) struct Pipe {
    pub(super) from: Arc<TcpStream>,
    pub(super) to: Arc<TcpStream>,
    pub(super) way: watch::Receiver<Way>,
    pub(super) direction: Direction,
    pub(super) random: StdRng,
}

struct Piece {
    bytes: Bytes,
    due: Instant,
}

impl Pipe {
    /// Carries data until the sending side ends or an error ends the connection.
    pub(super) async fn run(self) {
        let (put, take) = mpsc::channel(PIECES_MAX);
        let writing = write(take, Arc::clone(&self.to), self.way.clone());
        // An error of either half needs no telling: both ends see that the connection is over.
        let _ = tokio::join!(self.read(put), writing);
    }

    async fn read(mut self, put: mpsc::Sender<Piece>) -> io::Result<()> {
        let mut last_due = Instant::now();
        loop {
            let bytes = read_some(&self.from).await?;
            if bytes.is_empty() {
                return Ok(());
            }
            if self.draws_reset().await {
                return Ok(());
            }
            last_due = last_due.max(Instant::now() + self.delay());
            if put.send(Piece { bytes, due: last_due }).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn draws_reset(&mut self) -> bool {
        let Direction::Up { reset_drawn } = &self.direction else { return false };
        let percent = self.way.borrow().conditions.reset_percent;
        if percent == 0 || self.random.random_range(0..100) >= percent {
            return false;
        }
        reset_drawn.send(()).await.is_ok()
    }

    fn delay(&mut self) -> std::time::Duration {
        let conditions = self.way.borrow().conditions;
        let delay = match self.direction {
            Direction::Up { .. } => conditions.up,
            Direction::Down => conditions.down,
        };
        delay.draw(&mut self.random)
    }
}

/// Writes pieces when they are due, then ends this direction.
async fn write(
    mut take: mpsc::Receiver<Piece>,
    to: Arc<TcpStream>,
    mut way: watch::Receiver<Way>,
) -> io::Result<()> {
    while let Some(piece) = take.recv().await {
        tokio::time::sleep_until(piece.due).await;
        // Fails when the proxy is dropped, and then the connection goes too.
        let _ = way.wait_for(|way| !way.conditions.blackhole).await;
        write_all(&to, piece.bytes).await?;
    }
    rustix::net::shutdown(&*to, rustix::net::Shutdown::Write)?;
    Ok(())
}

/// The next bytes; none at the end of the stream.
async fn read_some(from: &TcpStream) -> io::Result<Bytes> {
    let mut buffer = BytesMut::with_capacity(PIECE_BYTES);
    loop {
        from.readable().await?;
        match from.try_read_buf(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
            Ok(_) => return Ok(buffer.freeze()),
        }
    }
}

async fn write_all(to: &TcpStream, mut bytes: Bytes) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(&bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
            Ok(written) => bytes = bytes.split_off(written),
        }
    }
    Ok(())
}
