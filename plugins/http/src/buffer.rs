//! Byte queues of connections, and the pool their memory comes from.
//! An idle connection holds no memory; a busy one between 16 and 64 KiB per direction.

/// What a buffer starts with, and what the pool keeps.
pub const SMALL: usize = 16 * 1024;
/// Where a direction stops taking in more until something has left.
pub const HIGH: usize = 64 * 1024;
/// Buffers kept for reuse; more are given back to the system.
const KEPT: usize = 256;

/// Memory that idle connections have given back.
#[derive(Debug, Default)]
pub struct Pool {
    free: Vec<Vec<u8>>,
}

impl Pool {
    fn take(&mut self) -> Vec<u8> {
        self.free.pop().unwrap_or_else(|| vec![0; SMALL])
    }

    fn give(&mut self, bytes: Vec<u8>) {
        if bytes.len() == SMALL && self.free.len() < KEPT {
            self.free.push(bytes);
        }
    }
}

/// A queue of bytes: appended at the end, consumed from the front.
#[derive(Debug, Default)]
pub struct Buffer {
    /// All of it is initialised; the queue is `start..end`.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// The bytes in the queue.
    pub fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Takes `n` bytes off the front.
    pub fn consume(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Free memory behind the queue, made if need be, so that the queue may come to `limit` bytes; empty when it is full.
    pub fn space(&mut self, pool: &mut Pool, limit: usize) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = pool.take();
        }
        if self.end == self.bytes.len() {
            if self.start > 0 {
                self.bytes.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else if self.bytes.len() < limit {
                let larger = (self.bytes.len() * 2).min(limit);
                self.bytes.resize(larger, 0);
            }
        }
        let end = self.bytes.len().min(self.start + limit).max(self.end);
        &mut self.bytes[self.end..end]
    }

    /// Counts `n` bytes, written into `space()`, as part of the queue.
    pub fn filled(&mut self, n: usize) {
        self.end = (self.end + n).min(self.bytes.len());
    }

    /// Appends bytes, however many.
    pub fn append(&mut self, pool: &mut Pool, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let wanted = self.len() + bytes.len();
            let space = self.space(pool, wanted.max(SMALL));
            let n = space.len().min(bytes.len());
            space[..n].copy_from_slice(&bytes[..n]);
            self.filled(n);
            bytes = &bytes[n..];
        }
    }

    /// Gives the memory back when nothing is in the queue.
    pub fn release(&mut self, pool: &mut Pool) {
        if self.is_empty() && !self.bytes.is_empty() {
            pool.give(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let (mut pool, mut buffer) = (Pool::default(), Buffer::default());
        let (mut fed, mut seen) = (0u32, 0u32);
        for round in 1..400u32 {
            let bytes: Vec<u8> = (0..round * 7).map(|i| (fed + i) as u8).collect();
            fed += round * 7;
            buffer.append(&mut pool, &bytes);
            let n = buffer.len().min(round as usize * 6);
            for (i, byte) in buffer.data()[..n].iter().enumerate() {
                assert_eq!(*byte, (seen + i as u32) as u8);
            }
            buffer.consume(n);
            seen += n as u32;
            assert_eq!(buffer.len() as u32, fed - seen);
        }
    }

    #[test]
    fn space_ends_at_the_limit_and_memory_goes_back() {
        let (mut pool, mut buffer) = (Pool::default(), Buffer::default());
        let mut total = 0;
        loop {
            let n = buffer.space(&mut pool, 40_000).len();
            if n == 0 {
                break;
            }
            buffer.filled(n);
            total += n;
        }
        assert_eq!(total, 40_000);
        buffer.consume(total);
        buffer.release(&mut pool);
        assert_eq!(pool.free.len(), 0, "a grown buffer is not kept");
        buffer.append(&mut pool, b"x");
        buffer.release(&mut pool);
        assert_eq!(buffer.data(), b"x", "a queue with bytes keeps its memory");
        buffer.consume(1);
        buffer.release(&mut pool);
        assert_eq!(pool.free.len(), 1);
    }
}
