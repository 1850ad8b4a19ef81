//! The I/O that h2 sees: two queues in memory. What stands in the first has come from the client's socket, what it puts
//! into the second goes there; neither is longer than what the gateway lets wait in one direction.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::buffer::HIGH;

#[derive(Debug, Default)]
struct Queues {
    inbound: Vec<u8>,
    read: usize,
    outbound: Vec<u8>,
    ended: bool,
}

/// One end of the queues; h2 has the other.
#[derive(Clone, Debug, Default)]
pub struct Pipe(Rc<RefCell<Queues>>);

impl Pipe {
    /// Whether more may be put in.
    pub fn has_room(&self) -> bool {
        let queues = self.0.borrow();
        queues.inbound.len() - queues.read < HIGH
    }

    /// Bytes of the client.
    pub fn put(&self, bytes: &[u8]) {
        let mut queues = self.0.borrow_mut();
        if queues.read == queues.inbound.len() {
            queues.inbound.clear();
            queues.read = 0;
        }
        queues.inbound.extend_from_slice(bytes);
    }

    /// No more will come.
    pub fn end(&self) {
        self.0.borrow_mut().ended = true;
    }

    /// Hands over what goes to the client, if there is any.
    pub fn take(&self, to: impl FnOnce(&[u8])) -> bool {
        let mut queues = self.0.borrow_mut();
        if queues.outbound.is_empty() {
            return false;
        }
        to(&queues.outbound);
        queues.outbound.clear();
        true
    }

    /// Gives the memory of empty queues back.
    pub fn release(&self) {
        let mut queues = self.0.borrow_mut();
        if queues.read == queues.inbound.len() {
            queues.inbound = Vec::new();
            queues.read = 0;
        }
        if queues.outbound.is_empty() {
            queues.outbound = Vec::new();
        }
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut queues = self.0.borrow_mut();
        let ready = &queues.inbound[queues.read..];
        let n = ready.len().min(out.remaining());
        if n == 0 && !queues.ended {
            // the gateway polls again when there is something
            return Poll::Pending;
        }
        out.put_slice(&ready[..n]);
        queues.read += n;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut queues = self.0.borrow_mut();
        let n = HIGH.saturating_sub(queues.outbound.len()).min(bytes.len());
        if n == 0 && !bytes.is_empty() {
            return Poll::Pending;
        }
        queues.outbound.extend_from_slice(&bytes[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
