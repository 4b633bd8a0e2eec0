use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::*;
use crate::engine::Message;
use crate::listening::calls::Post;

/// What loops were told: the numbers of clients, and whether they were granted what they asked for; those of servers.
#[derive(Debug, Default)]
struct Told {
    clients: Mutex<Vec<(u64, bool)>>,
    numbers: Mutex<Vec<u32>>,
    servers: Mutex<Vec<u64>>,
}

impl Post for Told {
    fn send(&self, _: usize, message: Message) {
        match message {
            Message::Listening { seat, number, granted } => {
                self.numbers.lock().unwrap_or_else(PoisonError::into_inner).push(number);
                self.clients
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((seat.id, granted));
            }
            Message::CancelDone { serial, certain: true } => {
                self.servers.lock().unwrap_or_else(PoisonError::into_inner).push(serial);
            }
            other => panic!("{other:?}"),
        }
    }
}

impl Told {
    fn clients(&self) -> Vec<(u64, bool)> {
        std::mem::take(&mut self.clients.lock().unwrap())
    }

    fn servers(&self) -> Vec<u64> {
        std::mem::take(&mut self.servers.lock().unwrap())
    }
}

fn seat(id: u64) -> Seat {
    Seat { at: usize::try_from(id % 2).unwrap(), slot: 10, id }
}

fn channel(name: &str) -> Channel {
    name.as_bytes().into()
}

/// A board with a connection, and what it tells.
struct Scene {
    board: Board,
    told: Arc<Told>,
    begun: Instant,
}

impl Scene {
    fn new() -> Self {
        let mut board = Board::default();
        assert!(board.came_up().is_empty());
        board.is_up = true;
        Self { board, told: Arc::default(), begun: Instant::now() }
    }

    fn ask(&mut self, id: u64, names: &[&str]) {
        self.ask_until(id, names, Duration::from_secs(5));
    }

    fn ask_until(&mut self, id: u64, names: &[&str], patience: Duration) {
        let channels = names.iter().map(|name| channel(name)).collect();
        let due = self.begun + patience;
        let ask = Ask::new(Arc::<Told>::clone(&self.told), (seat(id), 1), channels, due);
        drop(self.board.ask(ask));
    }

    /// The query that is next, answered like this.
    fn turn(&mut self, singly: bool, succeeds: bool) -> String {
        let Some(batch) = self.board.take_batch(singly) else { return "nothing".to_owned() };
        let text = String::from_utf8(batch.text.clone()).unwrap();
        let (asks, tickets) =
            if succeeds { self.board.done(batch) } else { self.board.refused(batch) };
        drop(tickets);
        if succeeds {
            asks.into_iter().for_each(Ask::grant);
        }
        text
    }

    fn listens(&mut self, id: u64, names: &[&str]) {
        self.board.join(seat(id));
        self.ask(id, names);
        self.turn(false, true);
        assert_eq!(self.told.clients(), [(id, true)]);
    }

    /// Who hears this channel.
    fn audience(&self, name: &str) -> Vec<u64> {
        let loops = self.board.audience(name.as_bytes()).into_iter();
        loops.flat_map(|(_, audience)| audience.keys().copied().collect::<Vec<_>>()).collect()
    }
}

#[test]
fn several_wishes_go_in_one_query_and_are_granted_when_it_is_done() {
    let mut scene = Scene::new();
    for (id, names) in [(1, ["a", "odd \"name"].as_slice()), (2, &["a"]), (3, &[])] {
        scene.board.join(seat(id));
        scene.ask(id, names);
    }
    assert_eq!(scene.audience("a"), Vec::<u64>::new());
    assert_eq!(scene.turn(false, true), "LISTEN \"a\";LISTEN \"odd \"\"name\";LISTEN \"a\";");
    assert_eq!(scene.told.clients(), [(1, true), (2, true), (3, true)]);
    assert_eq!(scene.audience("a"), [2, 1]);
    assert_eq!(scene.audience("odd \"name"), [1]);
    assert_eq!(scene.board.count(), (2, 2));
    assert_eq!(scene.turn(false, true), "nothing");
}

#[test]
fn what_nobody_wants_any_more_is_ended_and_begun_anew_if_it_is_wanted() {
    let mut scene = Scene::new();
    scene.listens(1, &["a", "b"]);
    scene.listens(2, &["b"]);
    scene.board.forget(2, &[channel("b"), channel("never")]);
    assert_eq!(scene.turn(false, true), "nothing");
    scene.board.leave(1);
    assert_eq!(scene.turn(false, true), "UNLISTEN \"a\";UNLISTEN \"b\";");
    scene.listens(2, &["a"]);
    scene.board.forget(2, &[channel("a")]);
    scene.listens(3, &["a"]);
    assert_eq!(scene.audience("a"), [3]);
    assert_eq!(scene.turn(false, true), "nothing");
}

#[test]
fn a_client_that_goes_while_it_waits_leaves_nothing_that_is_heard() {
    let mut scene = Scene::new();
    scene.board.join(seat(1));
    scene.ask(1, &["a"]);
    let batch = scene.board.take_batch(false).unwrap();
    scene.board.leave(1);
    drop(scene.board.done(batch));
    assert_eq!(scene.turn(false, true), "UNLISTEN \"a\";");
    assert_eq!(scene.turn(false, true), "nothing");
}

#[test]
fn a_wish_that_is_refused_alone_is_denied_and_others_are_not() {
    let mut scene = Scene::new();
    for (id, name) in [(1, "good"), (2, "bad")] {
        scene.board.join(seat(id));
        scene.ask(id, &[name]);
    }
    assert_eq!(scene.turn(false, false), "LISTEN \"good\";LISTEN \"bad\";");
    assert_eq!(scene.told.clients(), []);
    assert_eq!(scene.turn(true, true), "LISTEN \"good\";");
    assert_eq!(scene.turn(true, false), "LISTEN \"bad\";");
    assert_eq!(scene.told.clients(), [(1, true), (2, false)]);
}

#[test]
fn a_lost_connection_listens_to_the_same_again_and_those_who_wait_go_on_waiting() {
    let mut scene = Scene::new();
    scene.listens(1, &["a", "b"]);
    scene.board.forget(1, &[channel("b")]);
    scene.board.join(seat(2));
    scene.ask(2, &["c"]);
    scene.ask(1, &[]);
    drop(scene.board.wait(Ticket::new(Arc::<Told>::clone(&scene.told), 0, 77)));
    let batch = scene.board.take_batch(false);
    drop(scene.board.went_down(batch));
    // What only waits to hear what was sent hears nothing now.
    assert_eq!((scene.told.clients(), scene.told.servers()), (vec![(1, false)], vec![77]));
    scene.ask(1, &[]);
    drop(scene.board.wait(Ticket::new(Arc::<Told>::clone(&scene.told), 0, 78)));
    assert_eq!((scene.told.clients(), scene.told.servers()), (vec![(1, false)], vec![78]));
    assert_eq!(scene.board.came_up(), [b"LISTEN \"a\";"]);
    assert_eq!(scene.board.everybody().len(), 1);
    assert_eq!(scene.turn(false, true), "LISTEN \"c\";");
    assert_eq!(scene.told.clients(), [(2, true)]);
}

#[test]
fn nobody_waits_for_ever_nor_for_what_cannot_be_had() {
    let mut scene = Scene::new();
    scene.board.join(seat(1));
    scene.ask_until(1, &["a"], Duration::from_secs(1));
    scene.ask_until(1, &["b"], Duration::from_secs(2));
    assert_eq!(scene.board.next_due(), Some(scene.begun + Duration::from_secs(1)));
    drop(scene.board.expired(scene.begun + Duration::from_secs(1)));
    assert_eq!(scene.told.clients(), [(1, false)]);
    drop(scene.board.fail("no such database"));
    assert_eq!(scene.told.clients(), [(1, false)]);
    scene.ask(1, &["a"]);
    assert_eq!(scene.told.clients(), [(1, false)]);
    scene.board.came_up();
    scene.ask(1, &["a"]);
    assert_eq!(scene.told.clients(), []);
}

#[test]
fn many_channels_are_begun_by_several_queries() {
    let mut scene = Scene::new();
    let names: Vec<String> = (0..BATCH_MAX).map(|number| format!("c{number:05}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for id in [1, 2] {
        scene.board.join(seat(id));
        scene.ask(id, &names[..BATCH_MAX * 2 / 3]);
    }
    scene.turn(false, true);
    assert_eq!(scene.told.clients(), [(1, true)]);
    scene.turn(false, true);
    assert_eq!(scene.told.clients(), [(2, true)]);
    scene.board.leave(1);
    scene.board.leave(2);
    assert_eq!(scene.turn(false, true).matches("UNLISTEN").count(), BATCH_MAX * 2 / 3);
}

#[test]
fn an_answer_bears_the_number_of_its_ask() {
    let mut scene = Scene::new();
    scene.board.join(seat(1));
    for number in [7, 8] {
        let due = scene.begun + Duration::from_secs(5);
        let ask = Ask::new(Arc::<Told>::clone(&scene.told), (seat(1), number), Vec::new(), due);
        drop(scene.board.ask(ask));
    }
    scene.turn(false, true);
    assert_eq!(*scene.told.numbers.lock().unwrap(), [7, 8]);
}

#[test]
fn who_waits_for_too_long_for_an_answer_is_not_kept_and_hears_nothing() {
    let mut scene = Scene::new();
    for (id, patience) in [(1, 5), (2, 9)] {
        scene.board.join(seat(id));
        scene.ask_until(id, &["late"], Duration::from_secs(patience));
    }
    let mut batch = scene.board.take_batch(false).expect("wishes");
    assert_eq!(batch.next_due(), Some(scene.begun + Duration::from_secs(5)));
    drop(batch.expired(scene.begun + Duration::from_secs(5)));
    assert_eq!(scene.told.clients(), [(1, false)]);
    scene.board.done(batch).0.into_iter().for_each(Ask::grant);
    assert_eq!((scene.told.clients(), scene.audience("late")), (vec![(2, true)], vec![2]));
    scene.board.join(seat(3));
    scene.ask(3, &["vain"]);
    let mut batch = scene.board.take_batch(false).expect("a wish");
    drop(batch.expired(scene.begun + Duration::from_secs(5)));
    drop(scene.board.done(batch));
    // It is heard for nobody.
    assert_eq!(scene.turn(false, true), "UNLISTEN \"vain\";");
}

#[test]
fn channels_that_are_waited_for_count_as_well() {
    let mut scene = Scene::new();
    let names: Vec<String> = (1..CHANNELS_MAX).map(|number| number.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (id, names) in [(1, &names[..]), (2, &["one", "too many"]), (3, &["one"])] {
        scene.board.join(seat(id));
        scene.ask(id, names);
    }
    assert_eq!(scene.told.clients(), []);
    while scene.turn(false, true) != "nothing" {}
    assert_eq!(scene.told.clients(), [(2, false), (1, true), (3, true)]);
}
