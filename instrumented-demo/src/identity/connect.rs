//! Connections that know who is at the other end: a connector for HTTP and gRPC clients, and a
//! listener for servers. Without papers both are plain TCP.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tower::Service;

/// Handshakes under way at once; further connections wait in the system's queue.
const HANDSHAKES_MAX: usize = 64;
/// A caller that takes longer is no caller.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// After an error of the listener, such as too many open files.
const PAUSE: Duration = Duration::from_millis(10);

/// A connection, with TLS or without.
#[derive(Debug)]
pub enum Stream {
    /// Without.
    Plain(TcpStream),
    /// With; both ends have shown their papers.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects to the address of a URI, and expects one service there.
#[derive(Clone)]
pub struct Connector(Option<(TlsConnector, ServerName<'static>)>);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let service = self.0.as_ref().map(|(_, service)| service);
        f.debug_tuple("Connector").field(&service).finish()
    }
}

impl Connector {
    /// Takes whoever is there.
    pub fn plain() -> Connector {
        Connector(None)
    }

    /// Expects this service. A name that no certificate can have is an error.
    pub fn to(service: &str, config: Arc<ClientConfig>) -> io::Result<Connector> {
        let name = ServerName::try_from(service.to_owned()).map_err(io::Error::other)?;
        Ok(Connector(Some((TlsConnector::from(config), name))))
    }

    async fn connect(self, uri: Uri) -> io::Result<TokioIo<Stream>> {
        let address = uri.authority().and_then(|authority| authority.as_str().parse().ok());
        let address: SocketAddr =
            address.ok_or_else(|| io::Error::other("no address in the URI"))?;
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let stream = match self.0 {
            None => Stream::Plain(tcp),
            Some((tls, service)) => Stream::Tls(Box::new(tls.connect(service, tcp).await?.into())),
        };
        Ok(TokioIo::new(stream))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// Accepts connections, for [`axum::serve`]. Handshakes go on beside each other; who fails one is
/// dropped and sees why.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    handshakes: JoinSet<Option<(Stream, SocketAddr)>>,
}

impl Listener {
    /// Takes over a listener.
    pub fn new(tcp: TcpListener, tls: Option<Arc<ServerConfig>>) -> Listener {
        Listener { tcp, tls, handshakes: JoinSet::new() }
    }
}

impl axum::serve::Listener for Listener {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        loop {
            let accepted = tokio::select! {
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = done {
                        return connection;
                    }
                    continue;
                }
                accepted = self.tcp.accept(), if self.handshakes.len() < HANDSHAKES_MAX => accepted,
            };
            let Ok((tcp, address)) = accepted else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let _ = tcp.set_nodelay(true);
            match &self.tls {
                None => return (Stream::Plain(tcp), address),
                Some(config) => {
                    self.handshakes.spawn(shake_hands(Arc::clone(config), tcp, address));
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

async fn shake_hands(
    config: Arc<ServerConfig>,
    tcp: TcpStream,
    address: SocketAddr,
) -> Option<(Stream, SocketAddr)> {
    let shaking = tokio::time::timeout(HANDSHAKE_TIME, TlsAcceptor::from(config).accept(tcp));
    let stream = shaking.await.ok()?.ok()?;
    Some((Stream::Tls(Box::new(stream.into())), address))
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
