//! The sockets that are listened on: a TCP port, or the file of a Unix socket.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};

use super::{BoundAddress, ListenAddress};

/// An open socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixFile, UnixListener),
}

/// What was accepted.
pub(super) enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// Connections that may wait to be accepted. The kernel has a bound of its own.
const BACKLOG: u32 = 1024;

/// So long a Unix socket may take to show whether somebody listens there. A listener whose queue is full shows nothing.
const LOOK_TIME: Duration = Duration::from_secs(1);

impl Socket {
    /// Opens it. `mode`: who may connect to a Unix socket, as the permissions of its file.
    pub(super) async fn open(address: &ListenAddress, mode: u32) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            ListenAddress::Unix(path) => {
                make_room(path).await?;
                let socket = UnixSocket::new_stream()?;
                socket.bind(path).map_err(|error| without_folder(path, error))?;
                let file = UnixFile::at(path)?;
                // Nobody can connect before `listen`.
                fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
                socket.listen(BACKLOG).map(|listener| Self::Unix(file, listener))
            }
        }
    }

    pub(super) fn address(&self) -> io::Result<BoundAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(BoundAddress::Tcp),
            Self::Unix(file, _) => Ok(BoundAddress::Unix(file.path.clone())),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are small and whole: waiting to fill a packet would only delay them.
                let _ = stream.set_nodelay(true);
                Ok(Accepted::Tcp(stream, peer))
            }
            Self::Unix(_, listener) => listener.accept().await.map(|(stream, _)| Accepted::Unix(stream)),
        }
    }
}

/// The operating system's words, unless the folder is missing: of what cannot be found it says no more.
fn without_folder(path: &Path, error: io::Error) -> io::Error {
    match path.parent() {
        Some(folder) if error.kind() == io::ErrorKind::NotFound => {
            io::Error::new(error.kind(), format!("there is no folder {}: make it", folder.display()))
        }
        _ => error,
    }
}

/// Removes the file of a socket on which nobody listens any more.
async fn make_room(path: &Path) -> io::Result<()> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !there.file_type().is_socket() {
        let text = "there is a file of that name that is no socket: remove it, or name another path";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match tokio::time::timeout(LOOK_TIME, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "another program listens there")),
    }
}

/// The file of a Unix socket that this process made. It is removed with this.
#[derive(Debug)]
pub(super) struct UnixFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl UnixFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

impl Drop for UnixFile {
    fn drop(&mut self) {
        // The file of a process that has taken the place is not ours.
        if identity(&self.path).is_ok_and(|there| there == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
