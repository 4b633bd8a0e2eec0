//! Trunkline beside PgBouncer before the same PostgreSQL, in interleaved rounds of `pgbench`.
//!
//! `cargo bench --bench e2e -- --help` tells the options, `benches/README.md` how to read the table.

#[path = "e2e/arguments.rs"]
mod arguments;
#[path = "e2e/field.rs"]
mod field;
#[path = "e2e/table.rs"]
mod table;

use std::process::ExitCode;

use trunkline_testkit::Result;
use trunkline_testkit::bench::pgbench::{Load, Measured, Protocol};

use self::arguments::Arguments;
use self::field::{Contestant, Field};
use self::table::{Line, Sheet};

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => return complain(&error),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(measure(&arguments)),
        Err(error) => return complain(&error.into()),
    };
    ended.map_or_else(|error| complain(&error), |()| ExitCode::SUCCESS)
}

#[expect(clippy::print_stderr, reason = "the program's way to say why it ends")]
fn complain(error: &anyhow::Error) -> ExitCode {
    eprintln!("e2e: {error:#}");
    ExitCode::FAILURE
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let field = Field::start(arguments).await?;
    let mut sheet = Sheet::new(field.versions(), arguments);
    for &(work, protocol) in &arguments.modes {
        for &clients in &arguments.clients {
            let load = Load { work, protocol, clients };
            sheet.add(&contest(&field, load, arguments).await?);
        }
    }
    if arguments.calls {
        for &(work, protocol) in &arguments.modes {
            let load = Load { work, protocol, clients: arguments::CALLS_CLIENTS };
            for contestant in &field.contestants {
                sheet.calls(load, contestant.name, &field.calls(contestant, load).await);
            }
        }
    }
    if arguments.idle > 0 {
        for contestant in &field.contestants {
            for tls in [false, true] {
                sheet.memory(contestant.name, tls, &field.memory(contestant, tls).await);
            }
        }
    }
    sheet.save(arguments.json.as_deref())
}

/// All rounds of one load: each contestant once per round, in turning order.
async fn contest(field: &Field, load: Load, arguments: &Arguments) -> Result<Line> {
    let mut rounds: Vec<Vec<Measured>> = vec![Vec::new(); field.contestants.len()];
    for round in 0..arguments.rounds {
        for turn in 0..field.contestants.len() {
            let place = (round + turn) % field.contestants.len();
            if let (Some(contestant), Some(rounds)) =
                (field.contestants.get(place), rounds.get_mut(place))
            {
                rounds.push(field.run(contestant, load, arguments.seconds).await?);
            }
        }
    }
    let names = field.contestants.iter().map(|contestant| contestant.label(load.protocol));
    Ok(Line { load, rounds: names.zip(rounds).collect() })
}

impl Contestant {
    /// The protocol that it can speak instead: PgBouncer before 1.21 keeps no prepared statements
    /// in transaction mode, and is loaded with the unnamed one.
    fn protocol(&self, wanted: Protocol) -> Protocol {
        if self.prepares || wanted != Protocol::Prepared { wanted } else { Protocol::Extended }
    }

    fn label(&self, wanted: Protocol) -> String {
        let spoken = self.protocol(wanted);
        if spoken == wanted { self.name.to_owned() } else { format!("{} ({spoken})", self.name) }
    }
}
