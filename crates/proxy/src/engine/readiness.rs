//! Which sockets of a loop have something to do: `epoll(7)`, edge-triggered, and a way to wake the loop from outside.
//!
//! Straight to the kernel by `rustix`: the C library's `epoll_wait` is a cancellation point and costs a hundred
//! instructions a turn, and a turn at light load serves a single event.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::{
    event::{
        EventfdFlags, Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
        eventfd,
    },
    io::Errno,
};

/// A second.
const SECOND_US: u64 = 1_000_000;

/// Events taken per system call. More are taken by the next.
const EVENTS_PER_TURN: usize = 1024;

/// What a registered socket is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// The client in this slot.
    Client(usize),
    /// The server in this slot.
    Server(usize),
    /// The inbox.
    Inbox,
}

impl Token {
    /// Packed so that a server differs from a client in one bit.
    fn pack(self) -> u64 {
        let wide = |index: usize| u64::try_from(index).unwrap_or(u64::MAX) << 1;
        match self {
            Self::Client(index) => wide(index),
            Self::Server(index) => wide(index) | 1,
            Self::Inbox => u64::MAX,
        }
    }

    #[inline]
    fn unpack(packed: u64) -> Self {
        if packed == u64::MAX {
            return Self::Inbox;
        }
        let index = usize::try_from(packed >> 1).unwrap_or(usize::MAX);
        if packed & 1 == 1 { Self::Server(index) } else { Self::Client(index) }
    }
}

/// What has happened at a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) token: Token,
    /// It takes bytes again.
    pub(crate) writable: bool,
    /// The other side has closed its half, or the connection is broken.
    pub(crate) hung_up: bool,
}

impl Ready {
    #[inline]
    fn of(event: Event) -> Self {
        // Copied: the kernel's struct is packed.
        let (flags, data) = (event.flags, event.data);
        Self {
            token: Token::unpack(data.u64()),
            writable: flags.contains(EventFlags::OUT),
            hung_up: flags.intersects(EventFlags::HUP.union(EventFlags::RDHUP)),
        }
    }
}

/// Where the sockets of a loop are registered.
#[derive(Debug)]
pub(crate) struct Registry(OwnedFd);

/// The poll of one loop; it stays in the thread of the loop.
pub(crate) struct Readiness {
    registry: Registry,
    events: Box<[Event]>,
    /// How many of them the last wait has filled.
    filled: usize,
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readiness").field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// Wakes a loop from another thread.
#[derive(Debug, Clone)]
pub(crate) struct Waker(Arc<OwnedFd>);

impl Readiness {
    /// The poll of what is registered.
    pub(crate) fn new(registry: Registry) -> Self {
        let empty = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        Self { registry, events: vec![empty; EVENTS_PER_TURN].into_boxed_slice(), filled: 0 }
    }

    /// Where sockets are registered.
    #[inline]
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Waits until something happens, or for as many microseconds, rounded up to milliseconds; says how many sockets
    /// it has happened to. A signal ends the wait early.
    pub(crate) fn wait(&mut self, timeout_us: u64) -> io::Result<usize> {
        let timeout = timespec(timeout_us);
        self.filled = match epoll::wait(&self.registry.0, &mut *self.events, Some(&timeout)) {
            Ok(filled) => filled,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(self.filled)
    }

    /// One of those that the last wait has found, by its number.
    #[inline]
    pub(crate) fn get(&self, number: usize) -> Option<Ready> {
        self.events.get(..self.filled)?.get(number).copied().map(Ready::of)
    }
}

impl Registry {
    /// Registers nothing yet but what wakes the loop.
    pub(crate) fn new() -> io::Result<(Self, Waker)> {
        let registry = Self(epoll::create(CreateFlags::CLOEXEC)?);
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Edge-triggered: each write is an event, so the counter is never read. It cannot overflow in practice.
        let data = EventData::new_u64(Token::Inbox.pack());
        epoll::add(&registry.0, &bell, data, EventFlags::IN | EventFlags::ET)?;
        Ok((registry, Waker(Arc::new(bell))))
    }

    /// Registers a socket for reading, and for writing if `writable`.
    pub(crate) fn add(&self, socket: impl AsFd, token: Token, writable: bool) -> io::Result<()> {
        Ok(epoll::add(&self.0, socket, EventData::new_u64(token.pack()), interest(writable))?)
    }

    /// Changes whether a registered socket is of interest when it takes bytes.
    pub(crate) fn modify(&self, socket: impl AsFd, token: Token, writable: bool) -> io::Result<()> {
        Ok(epoll::modify(&self.0, socket, EventData::new_u64(token.pack()), interest(writable))?)
    }

    /// Takes a socket out.
    pub(crate) fn delete(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.0, socket)?)
    }
}

impl Waker {
    /// Ends the wait of the loop, or the next one if it does not wait.
    pub(crate) fn wake(&self) -> io::Result<()> {
        match rustix::io::write(&*self.0, &1_u64.to_ne_bytes()) {
            // A full counter wakes, too.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn interest(writable: bool) -> EventFlags {
    let read = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
    if writable { read | EventFlags::OUT } else { read }
}

/// The time span; `epoll_pwait(2)` takes it in milliseconds, to which it is rounded up on the way.
#[inline]
fn timespec(us: u64) -> Timespec {
    let (mut seconds, mut rest) = (0, us);
    if us >= SECOND_US {
        (seconds, rest) = (us / SECOND_US, us % SECOND_US);
    }
    Timespec {
        tv_sec: i64::try_from(seconds).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(rest).unwrap_or(0).saturating_mul(1000),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::net::UnixStream, thread};

    use super::*;

    fn poll() -> (Readiness, Waker) {
        let (registry, waker) = Registry::new().unwrap();
        (Readiness::new(registry), waker)
    }

    fn all(readiness: &Readiness) -> Vec<Ready> {
        (0..).map_while(|number| readiness.get(number)).collect()
    }

    #[test]
    fn a_token_survives_the_kernel() {
        for token in [Token::Client(0), Token::Server(0), Token::Client(77), Token::Inbox] {
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }

    #[test]
    fn bytes_and_a_hang_up_are_told_once() {
        let (mut readiness, _waker) = poll();
        let (here, mut there) = UnixStream::pair().unwrap();
        readiness.registry().add(&here, Token::Server(3), false).unwrap();
        assert_eq!(readiness.wait(0).unwrap(), 0);
        there.write_all(b"x").unwrap();
        assert_eq!(readiness.wait(1_000_000).unwrap(), 1);
        let ready = Ready { token: Token::Server(3), writable: false, hung_up: false };
        assert_eq!(all(&readiness), [ready]);
        assert_eq!(readiness.wait(0).unwrap(), 0, "the byte was not read, and is not told again");
        drop(there);
        assert_eq!(readiness.wait(1_000_000).unwrap(), 1);
        assert_eq!(all(&readiness), [Ready { hung_up: true, ..ready }]);
    }

    #[test]
    fn room_to_write_is_told_when_asked_for() {
        let (mut readiness, _waker) = poll();
        let (here, _there) = UnixStream::pair().unwrap();
        readiness.registry().add(&here, Token::Client(1), false).unwrap();
        assert_eq!(readiness.wait(0).unwrap(), 0);
        readiness.registry().modify(&here, Token::Client(1), true).unwrap();
        assert_eq!(readiness.wait(1_000_000).unwrap(), 1);
        assert!(all(&readiness).iter().all(|ready| ready.writable));
        readiness.registry().delete(&here).unwrap();
        assert_eq!(readiness.wait(0).unwrap(), 0);
    }

    #[test]
    fn a_waker_ends_a_wait_each_time() {
        let (mut readiness, waker) = poll();
        for _ in 0..3 {
            let other = waker.clone();
            let waking = thread::spawn(move || other.wake());
            assert_eq!(readiness.wait(60_000_000).unwrap(), 1);
            assert_eq!(all(&readiness).first().map(|ready| ready.token), Some(Token::Inbox));
            waking.join().unwrap().unwrap();
        }
        // One that came before the wait is not lost.
        waker.wake().unwrap();
        assert_eq!(readiness.wait(60_000_000).unwrap(), 1);
    }

    #[test]
    fn a_wait_is_never_shorter_than_asked_for() {
        assert_eq!(timespec(0), Timespec { tv_sec: 0, tv_nsec: 0 });
        assert_eq!(timespec(1), Timespec { tv_sec: 0, tv_nsec: 1000 });
        assert_eq!(timespec(1_500_000), Timespec { tv_sec: 1, tv_nsec: 500_000_000 });
    }
}
