//! Which standbys may be read from.

use std::time::Duration;

use crate::choice::choice;
use crate::group::group;
use crate::sections::node::HEAVIEST;
use crate::value::Kind;
use crate::{ObjectName, Pattern};

/// The longest gap between two questions where the primary is: beyond it, sessions would wait for the answer.
const SLOWEST_SAMPLES: Duration = Duration::from_secs(1);

choice! {
    /// Whether statements that only read go to standbys.
    pub enum RoutingMode {
        /// All statements go to the primary.
        Off = "off",
        /// Reads go to standbys that are fit for them.
        On = "on",
        /// All statements go to the primary; where they would go with `on` is decided, counted and logged.
        Shadow = "shadow",
    }
}

choice! {
    /// Of which statements it is logged where they go.
    pub enum RouteLog {
        /// Of none.
        Off = "off",
        /// Of those that go to the primary.
        Primary = "primary",
        /// Of those that go to a standby.
        Standby = "standby",
        /// Of all.
        All = "all",
    }
}

choice! {
    /// How one of several standbys is chosen.
    pub enum Balance {
        /// Of two that chance names, the one that is less busy.
        LeastBusy = "least_busy",
        /// Each in its turn.
        RoundRobin = "round_robin",
        /// Chance decides.
        Random = "random",
    }
}

choice! {
    /// What is done for a session that is to be a standby's while none can serve it.
    pub enum Fallback {
        /// The primary serves it.
        Primary = "primary",
        /// It waits.
        Wait = "wait",
        /// It is told so.
        Error = "error",
    }
}

choice! {
    /// Of which writes a read is certain to find what they have done, wherever it is carried out.
    pub enum ReadAfterWrite {
        /// Of those of its session, and of all that its session has seen before.
        Session = "session",
        /// Of those as well whose end any client has been told before the read was sent.
        Cluster = "cluster",
        /// Of none.
        Off = "off",
    }
}

choice! {
    /// Which commits may be seen before they are on disk.
    pub enum AsynchronousCommits {
        /// None, unless it is noticed that `synchronous_commit` is off for somebody.
        Noticed = "noticed",
        /// All.
        Assumed = "assumed",
    }
}

choice! {
    /// Where reads go in transactions that may write.
    pub enum TransactionReads {
        /// To the primary.
        Primary = "primary",
        /// To a standby, until something in the transaction is more than a read.
        UntilFirstWrite = "until_first_write",
    }
}

group! {
    /// Which standbys may be read from. A standby is asked with each probe (`cluster.probe_interval`) how far it is, and
    /// compared with where the primary was at the probe before; no server's clock is read. One that was beyond a limit is
    /// read from again when it is below half of it. One of which it is not known how far behind it is, is not read from.
    pub struct Routing in "routing" {
        /// Whether statements that only read go to standbys. `off`: all go to the primary. `shadow`: so they do, and where they
        /// would go with `on` is decided and counted (`SHOW ROUTES`).
        pub mode: RoutingMode = RoutingMode::Off => Kind::Word(RoutingMode::WORDS), Live, "\"on\"";
        /// Which writes a read finds wherever it goes. `session`: those of its session, and whatever that has seen before.
        /// `cluster`: those as well whose end any client of this Trunkline has been told before the read was sent; while
        /// somebody writes all the time, reads stay on the primary. `off`: none; a session may see less than before.
        pub read_after_write: ReadAfterWrite = ReadAfterWrite::Session
            => Kind::Word(ReadAfterWrite::WORDS), Live, "\"cluster\"";
        /// Whether commits may be seen on the primary before they are on disk, as with `synchronous_commit = off`. `noticed`:
        /// once that is off in the server's configuration, or has been for a session of this Trunkline, or once one in session mode has been
        /// there, whose settings are not followed; or if any role or
        /// database has a value of its own. Reads then wait on the primary for whatever anybody has written there, be it
        /// committed or not, and that can take until the next commit. `assumed`: always; for when others than clients of this
        /// Trunkline commit so.
        pub asynchronous_commits: AsynchronousCommits = AsynchronousCommits::Noticed
            => Kind::Word(AsynchronousCommits::WORDS), Live, "\"assumed\"";
        /// Of which statements a line of the log tells where they go and why, while `mode` is not `off`: those that go to the
        /// `primary`, to a `standby`, `all`, or none (`off`). Constants are left out, as they may be secrets.
        pub log: RouteLog = RouteLog::Off => Kind::Word(RouteLog::WORDS), Live, "\"all\"";
        /// Where the reads of a transaction go that may write, as drivers without autocommit begin them before each read.
        /// `until_first_write`: to a standby, and what is more than a read goes, with all behind it, to the primary, where the
        /// transaction is begun anew. Only if it is READ COMMITTED.
        pub transaction_reads: TransactionReads = TransactionReads::Primary
            => Kind::Word(TransactionReads::WORDS), Live, "\"until_first_write\"";
        /// A standby that is more bytes of write-ahead log behind the primary is not read from. 0: however many.
        pub max_lag_bytes: usize = 16 << 20 => Kind::Size { min: 0, max: 1 << 40 }, Live, "\"64MiB\"";
        /// A standby that is where the primary was longer ago than this is not read from. 0s: however long ago.
        pub max_lag_time: Duration = Duration::from_secs(10) => Kind::span(), Live, "\"1m\"";
        /// How long standbys may be read from while no primary is known, so that nobody knows how far behind they are.
        /// 0s: not at all.
        pub stale_reads_max: Duration = Duration::from_secs(60) => Kind::span(), Live, "\"10m\"";
        /// The least time between two questions to a node how far its write-ahead log is, while sessions need to know it:
        /// after a transaction on the primary, until a standby is known to have replayed it.
        pub sample_interval: Duration = Duration::from_millis(2)
            => Kind::Span { min: Duration::from_millis(1), max: SLOWEST_SAMPLES, zero: false }, Live, "\"10ms\"";
        /// How a standby is chosen for a session that may read from several; `weight` in `[[node]]` counts in each way.
        /// `least_busy`: the less busy one of two that chance names. `round_robin`: each in its turn. `random`: by chance.
        /// A session that has read from a standby stays there, so that it never sees less than before, until it has used
        /// the primary.
        pub balance: Balance = Balance::LeastBusy => Kind::Word(Balance::WORDS), Live, "\"round_robin\"";
        /// The primary's share of the reads that may go to standbys, compared with the `weight` of these in `[[node]]`. 0: it
        /// serves such a read only while no standby can. A session that it serves so stays there until it has done more than
        /// read.
        pub primary_weight: u32 = 0 => Kind::count(0, HEAVIEST), Live, "1";
        /// The zone of this Trunkline: standbys whose `zone` in `[[node]]` is another one are read from only while none of
        /// this zone can be. Not given: zones do not count.
        pub zone: Option<String> = None => Kind::Text, Live, "\"west\"";
        /// What becomes of a session from one of `listen.standby_addresses` while no standby is fit to be read from. `primary`:
        /// the primary serves it, which lets it write. `wait`: it waits as for a server connection, up to
        /// `pool.wait_timeout`, then it is refused. `error`: it is refused at once. SQLSTATE of both: 57P03.
        pub fallback: Fallback = Fallback::Wait => Kind::Word(Fallback::WORDS), Live, "\"primary\"";
        /// Functions whose calls belong on the primary: names as in SQL, with a schema or without. One without a schema
        /// means those of all schemas; a call that names no schema may mean one of any.
        pub primary_functions: Vec<ObjectName> = Vec::new() => Kind::List, Live, r#"["audit.note", "tick"]"#;
        /// Functions that are harmless on a standby, whatever the catalog lets one think. A name with a schema holds only for
        /// calls that say it as well.
        pub standby_functions: Vec<ObjectName> = Vec::new() => Kind::List, Live, r#"["report_total"]"#;
        /// Tables and views that are read on the primary when a text names them; names as in `primary_functions`.
        pub primary_relations: Vec<ObjectName> = Vec::new() => Kind::List, Live, r#"["jobs", "shop.stock"]"#;
        /// Regular expressions: a text in which one of them matches belongs on the primary. Each text is looked through once
        /// more for them, in time that grows with its length only.
        pub primary_patterns: Vec<Pattern> = Vec::new() => Kind::List, Live, r#"["(?i)for reporting only"]"#;
    }
}
