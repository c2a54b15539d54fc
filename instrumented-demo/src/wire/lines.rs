//! A small protocol over TCP: one line of text as the question, one as the answer. Spoken by the cache
//! and by the stub that takes mail.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::WireError;

/// Longest line; a longer one ends the connection.
const LINE_MAX_BYTES: u64 = 64 * 1024;
/// Idle connections kept for each address.
const IDLE_MAX: usize = 8;

type Conversation = BufReader<TcpStream>;

/// Connections of one caller.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<HashMap<SocketAddr, Vec<Conversation>>>);

impl Lines {
    /// Sends a line and waits for the answer. A connection that was closed while idle is replaced.
    pub(super) async fn ask(&self, address: SocketAddr, line: &str) -> Result<String, WireError> {
        if let Some(mut idle) = self.take(address)
            && let Ok(answer) = exchange(&mut idle, line).await
        {
            self.put_back(address, idle);
            return Ok(answer);
        }
        let fresh = TcpStream::connect(address).await;
        let stream = fresh.map_err(|error| WireError::of_transport(&error))?;
        stream.set_nodelay(true).map_err(|error| WireError::of_transport(&error))?;
        let mut conversation = BufReader::new(stream);
        let answer = exchange(&mut conversation, line).await?;
        self.put_back(address, conversation);
        Ok(answer)
    }

    fn take(&self, address: SocketAddr) -> Option<Conversation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&address)?.pop()
    }

    fn put_back(&self, address: SocketAddr, conversation: Conversation) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = idle.entry(address).or_default();
        if idle.len() < IDLE_MAX {
            idle.push(conversation);
        }
    }
}

async fn exchange(conversation: &mut Conversation, line: &str) -> Result<String, WireError> {
    let question = format!("{line}\n");
    let sent = conversation.get_mut().write_all(question.as_bytes()).await;
    sent.map_err(|error| WireError::of_transport(&error))?;
    match read_line(conversation).await {
        Some(answer) => Ok(answer),
        None => Err(WireError::Reset),
    }
}

async fn read_line(conversation: &mut Conversation) -> Option<String> {
    let mut line = String::new();
    let read = conversation.take(LINE_MAX_BYTES).read_line(&mut line).await.ok()?;
    let is_whole = read > 0 && line.ends_with('\n');
    line.truncate(line.trim_end().len());
    is_whole.then_some(line)
}

/// Answers each line with what the handler makes of it, for as long as it is polled.
pub async fn serve<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(String) -> F + Clone + Send + 'static,
    F: Future<Output = String> + Send + 'static,
{
    while let Ok((stream, _)) = listener.accept().await {
        let handler = handler.clone();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let mut conversation = BufReader::new(stream);
            while let Some(line) = read_line(&mut conversation).await {
                let answer = format!("{}\n", handler(line).await);
                if conversation.get_mut().write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}
