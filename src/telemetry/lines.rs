//! Lines on their way to standard output, which a thread writes many at a time. Whoever adds one never waits for it.
//!
//! One buffer for all, and a copy under a lock that is held for as long: a channel woke the thread, and the thread wrote, for
//! nearly every line.

use std::{
    io::{self, Write},
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

/// Bytes that may wait to be written; lines that find no room are dropped, and counted.
const ROOM: usize = 8 * 1024 * 1024;
/// What is kept of a buffer behind a burst.
const KEPT: usize = 256 * 1024;
/// How long lines gather between two writes: short beside the second that whoever follows a log waits.
const PAUSE: Duration = Duration::from_millis(10);

/// Where lines are added; a clone adds to the same ones.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// The thread has nothing to do until this tells it so.
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    is_writer_idle: bool,
    /// No more lines will come.
    is_over: bool,
    /// And the last one is written.
    is_written: bool,
}

/// The thread that writes; when this is dropped it has written everything, or nobody takes it.
#[derive(Debug)]
pub struct LineWriter(Lines);

/// Time for the log's last lines. Where nobody reads them, waiting for the writer could last for ever.
const LAST_LINES: Duration = Duration::from_millis(1500);

impl Lines {
    /// Starts the thread that writes them to `out`.
    ///
    /// # Errors
    /// A machine that has no thread left.
    pub fn to(out: impl Write + Send + 'static) -> io::Result<(Self, LineWriter)> {
        let lines = Self::default();
        let queue = Arc::clone(&lines.0);
        thread::Builder::new().name("log".to_owned()).spawn(move || queue.write_to(out))?;
        Ok((lines.clone(), LineWriter(lines)))
    }

    /// Adds a line, its end included.
    pub fn add(&self, line: &[u8]) {
        let mut waiting = self.0.waiting.lock();
        if waiting.bytes.len() + line.len() > ROOM {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.bytes.extend_from_slice(line);
        if mem::take(&mut waiting.is_writer_idle) {
            drop(waiting);
            self.0.changed.notify_one();
        }
    }

    /// How many there was no room for.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl Queue {
    fn write_to(&self, mut out: impl Write) {
        let mut taken = Vec::new();
        loop {
            let mut waiting = self.waiting.lock();
            while waiting.bytes.is_empty() && !waiting.is_over {
                waiting.is_writer_idle = true;
                self.changed.wait(&mut waiting);
            }
            mem::swap(&mut waiting.bytes, &mut taken);
            let is_over = waiting.is_over;
            drop(waiting);
            if out.write_all(&taken).and_then(|()| out.flush()).is_err() {
                // No reason to stop. Some of them may be written: nobody can tell which.
                let lost = taken.iter().filter(|byte| **byte == b'\n').count();
                self.dropped.fetch_add(lost as u64, Ordering::Relaxed);
            }
            taken.clear();
            taken.shrink_to(KEPT);
            if is_over {
                self.waiting.lock().is_written = true;
                self.changed.notify_all();
                return;
            }
            let mut waiting = self.waiting.lock();
            self.changed.wait_while_for(&mut waiting, |waiting| !waiting.is_over, PAUSE);
        }
    }
}

/// Each write is one line or several whole ones, as tracing-subscriber's formatter does it.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        let Lines(queue) = &self.0;
        queue.waiting.lock().is_over = true;
        queue.changed.notify_all();
        let mut waiting = queue.waiting.lock();
        queue.changed.wait_while_for(&mut waiting, |waiting| !waiting.is_written, LAST_LINES);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// Takes a write only when somebody receives it.
    struct Slow(SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Lines, LineWriter, Receiver<Vec<u8>>) {
        let (sender, written) = sync_channel(0);
        let (lines, writer) = Lines::to(Slow(sender)).unwrap();
        (lines, writer, written)
    }

    #[test]
    fn lines_are_written_in_their_order_and_the_last_ones_at_the_end() {
        let (lines, writer, written) = slow();
        lines.add(b"1\n");
        assert_eq!(written.recv().unwrap(), b"1\n");
        lines.add(b"2\n");
        lines.add(b"3\n");
        let ending = thread::spawn(move || drop(writer));
        assert_eq!(written.iter().collect::<Vec<_>>().concat(), b"2\n3\n");
        ending.join().unwrap();
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_the_next_ones_are_tried() {
        let (lines, writer, written) = slow();
        lines.add(b"1\n");
        assert_eq!(written.recv().unwrap(), b"1\n");
        drop(written);
        lines.add(b"2\n");
        lines.add(b"3\n");
        drop(writer);
        assert_eq!(lines.dropped(), 2);
    }

    #[test]
    fn what_nobody_takes_is_dropped_and_counted_and_holds_nobody_up() {
        let (lines, writer, written) = slow();
        let line = [b'x'; 1024];
        for _ in 0..3 * ROOM / line.len() {
            lines.add(&line);
        }
        assert!(lines.dropped() >= (ROOM / line.len()) as u64);
        let ending = thread::spawn(move || drop(writer));
        let kept: usize = written.iter().map(|bytes| bytes.len()).sum();
        assert_eq!(kept + lines.dropped() as usize * line.len(), 3 * ROOM);
        ending.join().unwrap();
    }
}
