//! The protocol of [`Faces`] under every interleaving of a few loops, and every order in which their stores may reach
//! each other.

use std::collections::VecDeque;

use loom::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering, fence},
    },
    thread,
};

use super::{Faces, Number, Way};

impl Number for AtomicU64 {
    fn zero() -> Self {
        Self::new(0)
    }

    fn store(&self, value: u64) {
        Self::store(self, value, Ordering::Relaxed);
    }

    fn load(&self) -> u64 {
        Self::load(self, Ordering::Relaxed)
    }

    fn fence() {
        fence(Ordering::SeqCst);
    }
}

/// What loops send each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letter {
    Connection,
    /// The wish of this loop for a connection.
    Wish {
        by: usize,
    },
}

/// One loop's own part. The channel between loops is not what is modelled: letters are kept by who writes them, and are
/// read when all first deeds are done.
#[derive(Debug, Default)]
struct Own {
    index: usize,
    idle: u64,
    /// Arrivals of those who wait.
    waiters: VecDeque<u64>,
    letters: Vec<(usize, Letter)>,
}

/// With three loops, so many changes of thread in the middle of a deed.
const THREE: Option<usize> = Some(3);

type Deed = fn(&mut Own, &Faces<AtomicU64>);

impl Own {
    fn publish(&self, faces: &Faces<AtomicU64>) {
        faces.publish(self.index, self.waiters.front().copied().unwrap_or(0), self.idle);
    }

    fn enqueue(&mut self, faces: &Faces<AtomicU64>, now: u64) {
        self.waiters.push_back(now);
        if let Some(holder) = faces.wait(self.index, self.waiters[0], self.idle) {
            self.letters.push((holder, Letter::Wish { by: self.index }));
        }
    }

    fn park(&mut self, faces: &Faces<AtomicU64>) {
        match faces.way(self.index, self.waiters.front().copied(), 0) {
            Way::Own => {
                self.waiters.pop_front();
                self.publish(faces);
            }
            Way::Other(other) => self.letters.push((other, Letter::Connection)),
            Way::Nobody => {
                self.idle += 1;
                if let Some(other) = faces.rest(self.index, self.idle) {
                    self.take_idle(faces);
                    self.letters.push((other, Letter::Connection));
                }
            }
        }
    }

    /// Takes a connection out of those that are parked, if there is one.
    fn take_idle(&mut self, faces: &Faces<AtomicU64>) -> bool {
        let taken = self.idle > 0;
        if taken {
            self.idle -= 1;
            self.publish(faces);
        }
        taken
    }

    fn read(&mut self, letter: Letter, faces: &Faces<AtomicU64>) {
        match letter {
            Letter::Connection => self.park(faces),
            Letter::Wish { by } => {
                if self.take_idle(faces) {
                    self.park(faces);
                } else if let Some(other) = faces.pass_on(self.index, by) {
                    self.letters.push((other, Letter::Wish { by }));
                }
            }
        }
    }
}

/// Does the loops' first deeds at the same time, in every way that differs by at most `preemptions` involuntary changes
/// of thread; lets letters be read until none is left; and checks that no connection idles while anybody waits.
fn run<const N: usize>(preemptions: Option<usize>, idle: [u64; N], deeds: [Deed; N]) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(move || {
        let faces = Arc::new(Faces::new(N));
        let mut begun = Vec::new();
        for (index, deed) in deeds.into_iter().enumerate() {
            let mut own = Own { index, idle: idle[index], ..Own::default() };
            own.publish(&faces);
            let faces = Arc::clone(&faces);
            begun.push(move || {
                deed(&mut own, &faces);
                own
            });
        }
        // One of them in this thread: each thread more multiplies the ways.
        let last = begun.pop().expect("there are loops");
        let threads: Vec<_> = begun.into_iter().map(thread::spawn).collect();
        let last = last();
        let mut owns: Vec<Own> =
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        owns.push(last);
        while let Some((to, letter)) = owns.iter_mut().find_map(|own| own.letters.pop()) {
            owns[to].read(letter, &faces);
        }
        let idle: u64 = owns.iter().map(|own| own.idle).sum();
        let waiting: usize = owns.iter().map(|own| own.waiters.len()).sum();
        assert!(idle == 0 || waiting == 0, "{owns:?}");
    });
}

#[test]
fn a_connection_that_is_parked_while_another_loop_enqueues_finds_the_waiter() {
    run(None, [0, 0], [|own, faces| own.park(faces), |own, faces| own.enqueue(faces, 1)]);
}

#[test]
fn two_connections_parked_while_two_clients_come_serve_both() {
    run(
        None,
        [0, 1],
        [
            |own, faces| own.park(faces),
            |own, faces| {
                let _ = own.take_idle(faces);
                own.enqueue(faces, 1);
                own.enqueue(faces, 2);
            },
        ],
    );
}

#[test]
fn a_wish_for_a_connection_that_has_gone_finds_another_one() {
    run(
        THREE,
        [1, 1, 0],
        [
            |own, faces| {
                let _ = own.take_idle(faces);
            },
            |_, _| {},
            |own, faces| own.enqueue(faces, 1),
        ],
    );
}

#[test]
fn two_loops_that_wait_share_what_a_third_parks() {
    run(
        THREE,
        [0, 0, 0],
        [
            |own, faces| own.enqueue(faces, 1),
            |own, faces| own.enqueue(faces, 2),
            |own, faces| own.park(faces),
        ],
    );
}
