//! The gate: what a transaction may cost in user-mode instructions, system calls and allocations.
//!
//! Counted under `valgrind --tool=callgrind`, so the numbers hold on a busy machine too; the
//! budgets stand in `benches/gate/budget.toml`, each with its reason. It judges the optimised
//! build: `cargo test --release --test gate`. `benches/README.md` tells more.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use trunkline_testkit::bench::pgbench::Protocol;
use trunkline_testkit::bench::profile::Counts;

/// System calls and allocations are whole numbers for each transaction; by so much the quotient may
/// differ through what runs by the clock meanwhile.
const STRAY_MAX: f64 = 0.05;

/// The same with routing: a probe more or less of the nodes falls into one of the two runs.
const STRAY_ROUTED_MAX: f64 = 0.5;

/// `benches/gate/budget.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budgets {
    /// The share by which instructions may exceed their budget.
    tolerance: f64,
    /// The instructions that the design wants, whatever the budgets say: for relay, session, prepared
    /// statements, statistics and timers together.
    aim: f64,
    /// By protocol.
    budget: BTreeMap<String, Budget>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    instructions: f64,
    system_calls: f64,
    allocations: f64,
    /// Why the numbers are what they are.
    reason: String,
}

fn budgets() -> Budgets {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/gate/budget.toml");
    let text = std::fs::read_to_string(&path).expect("the budgets can be read");
    toml::from_str(&text).expect("the budgets are well formed")
}

/// Each protocol, without routing and with it.
fn every_way() -> impl Iterator<Item = (Protocol, bool)> {
    let protocols = [Protocol::Simple, Protocol::Extended, Protocol::Prepared];
    [false, true].into_iter().flat_map(move |routing| protocols.map(|protocol| (protocol, routing)))
}

/// What the names of budgets end with that are of routing.
const ROUTED: &str = "-routed";

/// What the budget of it is called.
fn name(protocol: Protocol, routing: bool) -> String {
    format!("{protocol}{}", if routing { ROUTED } else { "" })
}

impl Budget {
    /// What exceeds the budget, in words.
    fn exceeded(&self, name: &str, found: Counts, tolerance: f64) -> Vec<String> {
        let mut complaints = Vec::new();
        let limit = self.instructions * (1.0 + tolerance);
        if found.instructions > limit {
            complaints.push(format!(
                "{name}: {:.0} instructions per transaction, the budget is {:.0} and {:.0} % more",
                found.instructions,
                self.instructions,
                tolerance * 100.0
            ));
        }
        let stray = if name.ends_with(ROUTED) { STRAY_ROUTED_MAX } else { STRAY_MAX };
        for (what, found, budget) in [
            ("system calls", found.system_calls, self.system_calls),
            ("allocations", found.allocations, self.allocations),
        ] {
            if found > budget + stray {
                complaints.push(format!(
                    "{name}: {found:.2} {what} per transaction, the budget is {budget}"
                ));
            }
        }
        complaints
    }
}

/// Compiled into the optimised build only: of the other one nothing can be said.
#[cfg(not(debug_assertions))]
mod measured {
    use std::path::PathBuf;
    use std::process::Command;

    use trunkline_testkit::bench::profile::Profile;
    use trunkline_testkit::{Cluster, Result};

    use super::{budgets, every_way, name};

    /// Transactions of the shorter of the two runs that are compared.
    const TRANSACTIONS: usize = 1500;

    const USER: &str = "gate";
    const PASSWORD: &str = "gate-password";

    #[tokio::test]
    async fn a_transaction_costs_no_more_than_its_budget() -> Result<()> {
        let valgrind = Command::new("valgrind").arg("--version").output();
        assert!(valgrind.is_ok(), "valgrind is needed (on Debian: apt-get install valgrind)");
        let cluster = Cluster::builder()
            .user(USER, PASSWORD)
            .standbys(1)
            .setting("log_statement", "all")
            .start()
            .await?;
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_trunkline"));
        let profile = |routing| Profile {
            binary: &binary,
            cluster: &cluster,
            user: USER,
            password: PASSWORD,
            routing,
        };
        let budgets = budgets();
        let (mut table, mut complaints) = (Vec::new(), Vec::new());
        for (protocol, routing) in every_way() {
            let name = name(protocol, routing);
            let found = profile(routing).per_transaction(protocol, TRANSACTIONS).await?;
            table.push(format!(
                "{name:<15} {:>7.1} instructions (aim {}) {:>6.2} system calls {:>6.2} allocations",
                found.instructions, budgets.aim, found.system_calls, found.allocations
            ));
            complaints.extend(budgets.budget[&name].exceeded(&name, found, budgets.tolerance));
        }
        #[expect(clippy::print_stdout, reason = "the numbers are wanted when they are good, too")]
        {
            println!("{}", table.join("\n"));
        }
        assert!(
            complaints.is_empty(),
            "{}\nmeasured:\n{}\nSpend less, or change benches/gate/budget.toml and say there why.",
            complaints.join("\n"),
            table.join("\n")
        );
        Ok(())
    }
}

#[test]
fn every_protocol_has_a_budget_with_a_reason() {
    let budgets = budgets();
    assert!((0.0..=0.03).contains(&budgets.tolerance), "tolerance {}", budgets.tolerance);
    assert!(budgets.aim > 0.0, "aim {}", budgets.aim);
    for (protocol, routing) in every_way() {
        let budget = &budgets.budget[&name(protocol, routing)];
        assert!(budget.instructions > 0.0 && budget.system_calls >= 6.0, "{budget:?}");
        assert!(budget.reason.len() > 20, "the reason is too short: {budget:?}");
    }
}

#[test]
fn more_than_the_tolerance_is_a_complaint_and_less_is_none() {
    let budget =
        Budget { instructions: 1000.0, system_calls: 6.0, allocations: 0.0, reason: String::new() };
    let found = |instructions, system_calls, allocations| {
        let counts = Counts { instructions, system_calls, allocations };
        budget.exceeded("simple", counts, 0.03).len()
    };
    assert_eq!(found(1029.0, 6.01, 0.01), 0);
    assert_eq!(found(1031.0, 6.01, 0.01), 1);
    assert_eq!(found(1000.0, 7.0, 1.0), 2);
}
