//! The stream under a connection, plain or TLS, which counts: what the phase of an attempt is read from.
//!
//! Written bytes are counted at the socket (below TLS): zero there means that nothing of a request left this process.
//! Read bytes and "all flushed" are counted above TLS: a session ticket is no answer.

use socket2::SockRef;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// What one exchange left on the wire. One task at a time touches it, so the order of its fields' changes is the task's.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    written: AtomicU64,
    read: AtomicU64,
    read_max: AtomicU64,
    body_taken: AtomicBool,
    flushed: AtomicBool,
    probe: AtomicBool,
}

impl Tally {
    /// Starts counting anew for a request whose answer has at most `read_max` bytes; `probe` on a connection that lay idle.
    pub(crate) fn begin(&self, body_is_empty: bool, read_max: u64, probe: bool) {
        self.written.store(0, Relaxed);
        self.read.store(0, Relaxed);
        self.read_max.store(read_max, Relaxed);
        self.body_taken.store(body_is_empty, Relaxed);
        self.flushed.store(false, Relaxed);
        self.probe.store(probe, Relaxed);
    }

    /// The connection has taken the body's last byte.
    pub(crate) fn take_body(&self) {
        self.body_taken.store(true, Relaxed);
    }

    /// Whether a byte of the request was given to the socket.
    pub(crate) fn any_written(&self) -> bool {
        self.written.load(Relaxed) > 0
    }

    /// Whether all of the request was given to the socket.
    pub(crate) fn all_written(&self) -> bool {
        self.flushed.load(Relaxed)
    }

    /// Whether a byte of the answer came.
    pub(crate) fn any_read(&self) -> bool {
        self.read.load(Relaxed) > 0
    }

    // One task at a time writes these, so a load and a store do what a costlier read-modify-write would.
    fn add_written(&self, bytes: usize) {
        self.written.store(self.written.load(Relaxed) + bytes as u64, Relaxed);
    }

    fn add_read(&self, bytes: usize) {
        self.read.store(self.read.load(Relaxed) + bytes as u64, Relaxed);
    }

    fn check_read(&self) -> io::Result<()> {
        let is_over = self.read.load(Relaxed) > self.read_max.load(Relaxed);
        if is_over { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
    }

    fn note_flush(&self) {
        if self.body_taken.load(Relaxed) && self.any_written() {
            self.flushed.store(true, Relaxed);
        }
    }

    fn take_probe(&self) -> bool {
        self.probe.load(Relaxed) && {
            self.probe.store(false, Relaxed);
            true
        }
    }
}

/// A socket that counts what it was given, and looks at itself before it is used again.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    tally: Arc<Tally>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, tally: Arc<Tally>) -> Self {
        Socket { stream, tally }
    }

    /// Asks the kernel, not the reactor (which may not have looked yet), whether the recipient closed this idle
    /// connection or spoke without being asked: either way it is not used again.
    fn check_idle(&self) -> io::Result<()> {
        let mut byte = [MaybeUninit::<u8>::uninit()];
        match SockRef::from(&self.stream).peek(&mut byte) {
            Ok(0) => Err(io::ErrorKind::ConnectionAborted.into()),
            Ok(_) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "bytes on an idle connection")),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.tally.add_written(bytes);
        }
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.tally.take_probe() {
            self.check_idle()?;
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

enum Layer {
    Plain(Socket),
    Secure(Box<TlsStream<Socket>>),
}

/// What a connection speaks over.
pub(crate) struct Wire {
    layer: Layer,
    tally: Arc<Tally>,
}

impl Wire {
    pub(crate) fn plain(socket: Socket) -> Self {
        let tally = socket.tally.clone();
        Wire { layer: Layer::Plain(socket), tally }
    }

    pub(crate) fn secure(stream: TlsStream<Socket>) -> Self {
        let tally = stream.get_ref().0.tally.clone();
        Wire { layer: Layer::Secure(Box::new(stream)), tally }
    }

    pub(crate) fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }
}

macro_rules! layered {
    ($wire:ident, $stream:ident => $call:expr) => {
        match &mut $wire.layer {
            Layer::Plain(socket) => {
                let $stream = Pin::new(socket);
                $call
            }
            Layer::Secure(stream) => {
                let $stream = Pin::new(&mut **stream);
                $call
            }
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = layered!(self, stream => stream.poll_read(cx, buf));
        self.tally.add_read(buf.filled().len() - before);
        self.tally.check_read()?;
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        layered!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        layered!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.layer {
            Layer::Plain(socket) => socket.is_write_vectored(),
            Layer::Secure(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = layered!(self, stream => stream.poll_flush(cx));
        if let Poll::Ready(Ok(())) = polled {
            self.tally.note_flush();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        layered!(self, stream => stream.poll_shutdown(cx))
    }
}
