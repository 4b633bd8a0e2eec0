//! What one transaction costs in the session machine alone: no socket, no clock.
//!
//! `cargo bench --bench session`; the times are for comparisons on one machine in one run.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use divan::{Bencher, black_box};
use trunkline_session::{
    ClientSession, LeaseStart, OWED_MAX, Outgoing, PoolMode, RecentParses, Reply, ServerSession,
    SessionLimits, SettingSet, StatementStore, Step, Surroundings, Ways,
};
use trunkline_testkit::peer::{answer, say};
use trunkline_wire::Reported;
use trunkline_wire::frame::{Frame, MAX_FRAME};

const STATEMENT: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711";

fn main() {
    divan::main();
}

/// A client and a server that talk to each other over buffers.
struct Pair {
    client: ClientSession,
    server: ServerSession,
    around: Around,
    to_server: BytesMut,
    to_client: BytesMut,
}

#[derive(Default)]
struct Around {
    store: StatementStore,
    keys: u64,
    recent: RecentParses,
}

impl Surroundings for Around {
    /// FNV-1a: any even hash will do here.
    fn hash(&self, text: &[u8], types: &[u8], environment: &[u8]) -> u64 {
        [text, types, environment]
            .into_iter()
            .flatten()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            })
    }

    fn with_store<T>(&mut self, work: impl FnOnce(&mut StatementStore) -> T) -> T {
        work(&mut self.store)
    }

    fn unnamed_key(&mut self) -> u64 {
        self.keys += 1;
        self.keys
    }

    fn recent(&mut self) -> &mut RecentParses {
        &mut self.recent
    }
}

impl Pair {
    fn new() -> Self {
        let reported = Arc::new(Reported::new());
        let (base, limits) = (Arc::new(SettingSet::default()), SessionLimits::default());
        let mut client = ClientSession::new(PoolMode::Transaction, base, Arc::default(), limits);
        let mut welcome = BytesMut::new();
        client.welcome(&reported, &mut welcome);
        Self {
            client,
            server: ServerSession::new(reported),
            around: Around::default(),
            to_server: BytesMut::with_capacity(4096),
            to_client: BytesMut::with_capacity(4096),
        }
    }

    /// Lease, request, reply, and the lease's end.
    fn transact(&mut self, request: &[u8], reply: &[u8]) {
        self.begin();
        self.request(request);
        self.reply(reply);
        assert!(self.client.may_release(&self.server), "the server is not at rest");
        self.client.end_lease(&mut self.server);
    }

    fn begin(&mut self) {
        self.to_server.clear();
        self.to_client.clear();
        let start = self.client.begin_lease(
            &mut self.server,
            &mut self.to_server,
            &mut self.to_client,
            &mut self.around,
        );
        assert_eq!(start, LeaseStart::Ready);
    }

    fn request(&mut self, request: &[u8]) {
        let mut out = Outgoing::new(request, &mut self.to_server);
        let mut ways = Ways { server: &mut out, client: &mut self.to_client };
        let mut at = 0;
        while let Some(rest) = request.get(at..).filter(|rest| !rest.is_empty()) {
            let run = self.client.send_run(
                &mut self.server,
                rest,
                at,
                (MAX_FRAME, OWED_MAX),
                ways.server,
            );
            at += run;
            if run == 0
                && let Ok(Some(frame)) = Frame::first(rest)
            {
                let step =
                    self.client.on_client(&mut self.server, frame, at, &mut ways, &mut self.around);
                assert_eq!(step, Step::Next);
                at += frame.bytes.len();
            }
        }
        black_box(out.finish());
    }

    fn reply(&mut self, reply: &[u8]) {
        let mut out = Outgoing::new(reply, &mut self.to_client);
        let mut at = 0;
        while let Some(rest) = reply.get(at..).filter(|rest| !rest.is_empty()) {
            let run = ClientSession::pass_run(&mut self.server, rest, at, &mut out);
            at += run;
            if run == 0
                && let Ok(Some(frame)) = Frame::first(rest)
            {
                let range = at..at + frame.bytes.len();
                at = range.end;
                let said =
                    self.client.on_server(&mut self.server, frame.tag, frame.body, range, &mut out);
                assert!(matches!(said, Reply::Next | Reply::Ready), "{said:?}");
            }
        }
        black_box(out.finish());
    }
}

fn row_reply(before: &[Bytes]) -> Vec<u8> {
    let rows = [
        answer::row_description(&["abalance"]),
        answer::data_row(&[Some("0")]),
        answer::complete("SELECT 1"),
        answer::ready(b'I'),
    ];
    before.iter().chain(&rows).flatten().copied().collect()
}

/// A lease that changes nothing.
#[divan::bench]
fn lease_begins_and_ends(bencher: Bencher<'_, '_>) {
    let mut pair = Pair::new();
    bencher.bench_local(|| {
        pair.begin();
        pair.client.end_lease(&mut pair.server);
    });
}

/// One simple query.
#[divan::bench]
fn simple_query(bencher: Bencher<'_, '_>) {
    let (request, reply) = (say::query(STATEMENT), row_reply(&[]));
    let mut pair = Pair::new();
    bencher.bench_local(|| pair.transact(&request, &reply));
}

/// Parse, Bind, Describe, Execute and Sync of the unnamed statement.
#[divan::bench]
fn extended_query(bencher: Bencher<'_, '_>) {
    let request = say::extended(STATEMENT, &[]);
    let reply = row_reply(&[answer::parse_complete(), answer::bind_complete()]);
    let mut pair = Pair::new();
    bencher.bench_local(|| pair.transact(&request, &reply));
}

/// Bind, Describe, Execute and Sync of a statement that the server has.
#[divan::bench]
fn prepared_query(bencher: Bencher<'_, '_>) {
    let prepare = [say::parse("s1", STATEMENT, &[]), say::sync()].concat();
    let prepared = [answer::parse_complete(), answer::ready(b'I')].concat();
    let request =
        [say::bind("", "s1", &[]), say::describe_portal(""), say::execute("", 0), say::sync()]
            .concat();
    let reply = row_reply(&[answer::bind_complete()]);
    let mut pair = Pair::new();
    pair.transact(&prepare, &prepared);
    bencher.bench_local(|| pair.transact(&request, &reply));
}
