//! What comes from the terminal, read on a thread of its own.
//!
//! crossterm's reader does not return once the terminal is gone: it reads its end again and again. On
//! its own thread that keeps nothing from ending.

use std::io;
use std::thread::JoinHandle;

use crossterm::event::{Event, EventStream};
use futures::channel::oneshot;
use futures::future::{Either, select};
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;

/// Events that wait at most; beyond, the reader waits, and the terminal with it.
const WAITING_MAX: usize = 1_024;

/// The reader with what it has read.
#[derive(Debug)]
pub(crate) struct Keyboard {
    events: mpsc::Receiver<io::Result<Event>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keyboard {
    /// Begins to read.
    pub(crate) fn start() -> io::Result<Keyboard> {
        let (sender, events) = mpsc::channel(WAITING_MAX);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("keyboard".to_owned())
            .spawn(move || futures::executor::block_on(read(sender, stopped)))?;
        Ok(Keyboard { events, stop: Some(stop), thread: Some(thread) })
    }

    /// The next event; cancel-safe.
    pub(crate) async fn next(&mut self) -> io::Result<Event> {
        self.events.recv().await.ok_or_else(gone)?
    }

    /// An event that is there already.
    pub(crate) fn waiting(&mut self) -> Option<io::Result<Event>> {
        self.events.try_recv().ok()
    }

    /// Stops reading, and returns once nothing reads any more: an editor may then.
    pub(crate) fn stop(mut self) {
        // A receiver that is gone has stopped by itself.
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            // A reader that panicked does not read either.
            let _ = thread.join();
        }
    }
}

async fn read(sender: mpsc::Sender<io::Result<Event>>, mut stopped: oneshot::Receiver<()>) {
    let mut stream = EventStream::new();
    loop {
        let event = match select(stream.next().fuse(), &mut stopped).await {
            Either::Left((Some(event), _)) => event,
            Either::Left((None, _)) | Either::Right(_) => return,
        };
        let failed = event.is_err();
        if sender.send(event).await.is_err() || failed {
            return;
        }
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the terminal is gone")
}
