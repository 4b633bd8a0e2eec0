//! A crowd at several loops, in many orders of events: nobody is overtaken beyond the slack, no connection idles while
//! anybody waits, everybody has his share, and the cap holds.

use std::time::Duration;

use trunkline_settings::Settings;

use super::{Drill, pass};

/// Clients that all want a server all the time.
const CLIENTS: usize = 60;

/// Statements that a client has on average.
const MEAN: usize = 20;

/// Chance, from a seed, so that a story that fails can be told again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, count: usize) -> usize {
        // Knuth's multiplier; the high bits are the good ones.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % count
    }
}

/// What a client of the crowd is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    /// Its loop has read its statement at this time, in microseconds.
    Waits(u64),
    Served,
    /// The server has answered, and the client has not read it yet.
    Answered,
}

/// A crowd and what it has seen.
struct Crowd {
    drill: Drill,
    homes: Vec<usize>,
    stages: [Stage; CLIENTS],
    counts: [usize; CLIENTS],
    /// Whose statement each server is at.
    serving: Vec<Option<usize>>,
    slack: u64,
}

impl Crowd {
    fn new(loops: usize, size: usize) -> Self {
        let mut settings = Settings::default();
        settings.pool.size = size;
        settings.pool.slots_per_worker = 5;
        settings.pool.wait_timeout = Duration::ZERO;
        let slack = u64::try_from(settings.pool.fairness_slack.as_micros()).expect("short");
        let mut drill = Drill::new(loops, settings);
        let spread = size >= loops * 5;
        let homes: Vec<usize> = (0..CLIENTS).map(|n| if spread { n % loops } else { 0 }).collect();
        for home in &homes {
            drill.log_in(*home);
        }
        drill.settle();
        for client in 0..CLIENTS {
            assert!(drill.told(client).ends_with('Z'), "a client was not let in");
        }
        let (stages, counts) = ([Stage::Idle; CLIENTS], [0; CLIENTS]);
        Self { drill, homes, stages, counts, serving: Vec::new(), slack }
    }

    fn ask(&mut self, client: usize) {
        if self.stages[client] == Stage::Answered && self.drill.told(client).ends_with('Z') {
            self.stages[client] = Stage::Idle;
        }
        if self.stages[client] == Stage::Idle {
            self.drill.ask(client, &format!("SELECT {client}"));
            // Before the loop's turn, for the statement may go on in it.
            self.stages[client] = Stage::Waits(self.drill.shared.now_us());
            self.drill.turn(self.homes[client]);
        }
    }

    fn answer(&mut self, server: usize) {
        if let Some(client) = self.serving[server].take() {
            self.drill.answer(server, "SELECT 1", b'I');
            self.stages[client] = Stage::Answered;
            self.counts[client] += 1;
        }
    }

    /// Looks at what has come to the servers: nobody who came later by more than the slack is served before one who
    /// still waits.
    fn look(&mut self) {
        self.serving.resize(self.drill.servers.len(), None);
        let mut begun = Vec::new();
        for server in 0..self.serving.len() {
            for text in self.drill.asked(server) {
                let number = text.strip_prefix("SELECT ").expect("a statement of the crowd");
                let client: usize = number.parse().expect("the number of a client");
                let Stage::Waits(since) = self.stages[client] else {
                    panic!("a statement that was not asked: {text}");
                };
                begun.push(since);
                self.stages[client] = Stage::Served;
                self.serving[server] = Some(client);
            }
        }
        let waits = |stage: &Stage| match stage {
            Stage::Waits(since) => Some(*since),
            _ => None,
        };
        let oldest = self.stages.iter().filter_map(waits).min().unwrap_or(u64::MAX);
        for since in begun {
            assert!(since <= oldest.saturating_add(self.slack), "{since} overtook {oldest}");
        }
    }

    /// When all is done that can be done now, nothing idles beside a waiter.
    fn rest(&mut self) {
        self.drill.settle();
        self.look();
        let reports = self.drill.reports();
        let pools = || reports.iter().flat_map(|report| &report.pools);
        let idle: usize = pools().map(|pool| pool.servers_idle).sum();
        let waiting: usize = pools().map(|pool| pool.clients_waiting).sum();
        assert!(idle == 0 || waiting == 0, "{idle} connections idle beside {waiting} waiters");
    }
}

/// Lets a crowd rush, in an order of events that the seed decides.
async fn rush(loops: usize, size: usize, seed: u64) {
    let (mut crowd, mut chance) = (Crowd::new(loops, size), Chance(seed));
    while crowd.counts.iter().sum::<usize>() < CLIENTS * MEAN {
        match chance.below(8) {
            0 => {
                let time = u64::try_from(chance.below(2_000)).expect("short");
                pass(Duration::from_micros(time)).await;
            }
            1..=3 => crowd.ask(chance.below(CLIENTS)),
            4..=5 if !crowd.serving.is_empty() => {
                let server = chance.below(crowd.serving.len());
                crowd.answer(server);
            }
            _ => {
                let turned = chance.below(loops);
                crowd.drill.turn(turned);
            }
        }
        crowd.look();
        assert!(crowd.drill.servers.len() <= size, "more servers than the pool may have");
        if chance.below(20) == 0 {
            crowd.rest();
        }
    }
    let least = crowd.counts.iter().min().copied().unwrap_or_default();
    assert!(least * 2 >= MEAN, "the least has {least} of {MEAN}: {:?}", crowd.counts);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_shares_servers_in_order_whatever_happens_first() {
    for seed in 0..4 {
        for (loops, size) in [(4, 1), (4, 2), (4, 20), (2, 16), (4, 32)] {
            rush(loops, size, seed).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_pauses_gives_its_server_to_who_waits() {
    const MANY: usize = 1000;
    let mut settings = Settings::default();
    settings.pool.size = 1;
    let mut drill = Drill::new(1, settings);
    let (hasty, patient) = (drill.log_in(0), drill.log_in(0));
    drill.settle();
    drill.ask(hasty, "SELECT 0");
    drill.settle();
    drill.ask(patient, "SELECT 'patient'");
    drill.settle();
    drill.ask_all(hasty, vec!["SELECT 1"; MANY]);
    pass(Duration::from_millis(2)).await;
    let (mut asked, mut place, mut told) = (0, None, 0);
    for _ in 0..=MANY {
        drill.settle();
        for sql in drill.asked(0) {
            if sql == "SELECT 'patient'" {
                place = Some(asked);
            }
            asked += 1;
        }
        told += drill.told(hasty).matches('C').count();
        pass(Duration::from_millis(1)).await;
        drill.answer(0, "SELECT 1", b'I');
    }
    let place = place.expect("the patient one is served");
    assert!((1..300).contains(&place), "served after {place}");
    drill.settle();
    drill.answer(0, "SELECT 1", b'I');
    drill.settle();
    told += drill.told(hasty).matches('C').count();
    assert_eq!(told, MANY + 1);
    assert!(drill.told(patient).ends_with("CZ"));
}

#[tokio::test(start_paused = true)]
async fn copy_data_sent_ahead_goes_on_although_others_wait() {
    let mut settings = Settings::default();
    settings.pool.size = 1;
    let mut drill = Drill::new(1, settings);
    let (copier, patient) = (drill.log_in(0), drill.log_in(0));
    drill.settle();
    drill.ask(copier, "COPY t FROM STDIN");
    drill.settle();
    drill.ask(patient, "SELECT 'patient'");
    drill.settle();
    pass(Duration::from_millis(50)).await;
    // It has not been told yet that the server reads data.
    drill.clients[copier].send(b"d\0\0\0\x061\nc\0\0\0\x04");
    drill.settle();
    drill.servers[0].receive();
    drill.servers[0].send(b"G\0\0\0\x07\0\0\0");
    drill.settle();
    let tags: Vec<u8> = drill.servers[0].receive().iter().map(|(tag, _)| *tag).collect();
    assert_eq!(tags, b"dc");
    drill.answer(0, "COPY 1", b'I');
    drill.settle();
    assert_eq!(drill.asked(0), ["SELECT 'patient'"]);
}
