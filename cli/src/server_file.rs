//! `server.json` in the data directory and the ready file: where a running server is reached.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Name of the file within a data directory.
const NAME: &str = "server.json";

/// A full disk, a spent quota, a limit on the sizes of files.
const NO_SPACE: [io::ErrorKind; 3] =
    [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge];

/// The addresses of a running server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) otlp_grpc: SocketAddr,
    pub(crate) otlp_http: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) pid: u32,
}

impl Addresses {
    /// What the server that holds `dir` wrote, if there is one.
    pub(crate) fn read(dir: &Path) -> Option<Addresses> {
        let text = fs::read(dir.join(NAME)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Base URL of the HTTP API.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", reachable(self.http))
    }
}

/// The address a client on this machine dials: an unspecified one listens on loopback, too.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Files that exist while the server runs; dropping removes them.
#[derive(Debug)]
pub(crate) struct ServerFiles {
    paths: Vec<PathBuf>,
}

impl ServerFiles {
    /// Writes `server.json` into `dir`, and the ready file last: who waits for it may connect. On a full
    /// disk the server does without the first; commands then find it by `--url`.
    pub(crate) fn write(
        dir: &Path,
        ready_file: Option<&Path>,
        addresses: &Addresses,
    ) -> io::Result<ServerFiles> {
        let text = serde_json::to_vec(addresses)?;
        let mut files = ServerFiles { paths: vec![dir.join(NAME)] };
        match write_atomically(&files.paths[0], &text) {
            Err(why) if NO_SPACE.contains(&why.kind()) => {
                // One of a server that was killed would lead astray.
                let _ = fs::remove_file(&files.paths[0]);
                tracing::warn!(path = %files.paths[0].display(), %why, "writing a file failed");
            }
            written => written?,
        }
        if let Some(path) = ready_file {
            write_atomically(path, &text)?;
            files.paths.push(path.to_owned());
        }
        Ok(files)
    }
}

impl Drop for ServerFiles {
    fn drop(&mut self) {
        for path in &self.paths {
            // A file already gone is what we want.
            let _ = fs::remove_file(path);
        }
    }
}

/// A reader sees the whole text or no file. Not synced: after a crash it is worthless anyway.
fn write_atomically(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let written = fs::File::create(&temporary).and_then(|mut file| file.write_all(text));
    written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        // Best effort: half a file is of no use.
        let _ = fs::remove_file(&temporary);
    })
}
