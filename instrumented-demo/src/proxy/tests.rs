//! A real echo server behind a proxy. Only delays, which are about time, look at the clock.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Conditions, DeadAddress, Delay, Mesh, Proxy};

/// Sends back what comes, until the caller ends.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn ask(stream: &mut TcpStream, question: &[u8]) -> io::Result<()> {
    stream.write_all(question).await?;
    let mut answer = vec![0; question.len()];
    stream.read_exact(&mut answer).await?;
    assert_eq!(answer, question);
    Ok(())
}

#[tokio::test]
async fn integration_passes_everything_and_both_ends() {
    let proxy = Proxy::start(echo().await, 1).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut got = Vec::new();
    let (mut read, mut write) = stream.split();
    let send = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let (_, received) = tokio::join!(send, read.read_to_end(&mut got));
    received.unwrap();
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    assert_eq!(proxy.counts().connections, 1);
}

#[tokio::test]
async fn integration_delays_there_and_back() {
    let proxy = Proxy::start(echo().await, 1).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    ask(&mut stream, b"fast").await.unwrap();
    proxy.set(Conditions::slower_by(80, 20));
    for _ in 0..3 {
        let start = Instant::now();
        ask(&mut stream, b"slow").await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(60), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn integration_a_delay_does_not_add_up_over_pieces() {
    let proxy = Proxy::start(echo().await, 1).await.unwrap();
    proxy.set(Conditions { up: Delay { latency_ms: 100, jitter_ms: 0 }, ..Conditions::default() });
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let start = Instant::now();
    // 64 pieces: one after the other they would take more than six seconds.
    ask(&mut stream, &vec![7; 1_024 * 1_024]).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test]
async fn integration_resets_about_one_request_in_twenty() {
    let proxy = Proxy::start(echo().await, 5).await.unwrap();
    proxy.set(Conditions { reset_percent: 5, ..Conditions::default() });
    let mut broken = 0;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    for _ in 0..1_000 {
        if let Err(error) = ask(&mut stream, b"hello").await {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            broken += 1;
            stream = TcpStream::connect(proxy.address()).await.unwrap();
        }
    }
    assert_eq!(proxy.counts().resets, broken);
    // 50 ± 3σ.
    assert!((30..=70).contains(&broken), "{broken}");
}

#[tokio::test]
async fn integration_a_blackhole_holds_and_then_delivers() {
    let proxy = Proxy::start(echo().await, 1).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.set(Conditions { blackhole: true, ..Conditions::default() });
    let quiet = tokio::time::timeout(Duration::from_millis(50), ask(&mut stream, b"lost?")).await;
    assert!(quiet.is_err());
    proxy.set(Conditions::default());
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"lost?");
}

#[tokio::test]
async fn integration_nobody_behind_it_looks_like_a_reset() {
    let dead = DeadAddress::take().unwrap();
    let refused = TcpStream::connect(dead.address()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    let proxy = Proxy::start(dead.address(), 1).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(ask(&mut stream, b"hello").await.is_err());
    assert_eq!(proxy.counts().refused, 1);
    proxy.lead_to(echo().await);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    ask(&mut stream, b"hello").await.unwrap();
}

#[tokio::test]
async fn integration_a_dropped_proxy_ends_its_connections() {
    let proxy = Proxy::start(echo().await, 1).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    ask(&mut stream, b"hello").await.unwrap();
    drop(proxy);
    assert!(stream.read_u8().await.is_err());
}

#[tokio::test]
async fn integration_a_mesh_knows_edges_by_name() {
    let mesh = Mesh::new(1);
    let (first, second) = (echo().await, echo().await);
    mesh.set("order", "payment", Conditions { reset_percent: 100, ..Conditions::default() }).await;
    let a = mesh.address("order", "payment", first).await.unwrap();
    let b = mesh.address("order", "payment", second).await.unwrap();
    let other = mesh.address("gateway", "payment", first).await.unwrap();
    assert_eq!(a, mesh.address("order", "payment", first).await.unwrap());
    assert!(a != b && a != other);
    let mut stream = TcpStream::connect(other).await.unwrap();
    ask(&mut stream, b"hello").await.unwrap();
    for address in [a, b] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut stream, b"hello").await.is_err());
    }
    assert_eq!(mesh.counts("order", "payment").await.resets, 2);
    mesh.forget(first).await;
    assert_eq!(mesh.counts("order", "payment").await.connections, 1);
}

#[test]
fn unit_jitter_lies_around_the_latency() {
    let mut random = StdRng::seed_from_u64(3);
    let delay = Delay { latency_ms: 40, jitter_ms: 10 };
    let drawn: Vec<Duration> = (0..1_000).map(|_| delay.draw(&mut random)).collect();
    let (least, most) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
    assert!(*least >= Duration::from_millis(30) && *least < Duration::from_millis(31));
    assert!(*most <= Duration::from_millis(50) && *most > Duration::from_millis(49));
    assert_eq!(Delay::default().draw(&mut random), Duration::ZERO);
}
