//! Trunkline before a real primary with two standbys, on this machine, for a look at it.
//!
//! `scripts/demo` builds and starts this program. Without `--tour` it shows how to connect and
//! waits for Ctrl-C; with `--tour` it runs `psql` and `pgbench` through Trunkline and checks what
//! the servers say of it ([`tour`]). Everything it has started is ended and removed at the end.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it speaks to a person")]

mod arguments;
mod bench;
mod scene;
mod tour;
mod watch;

use std::process::ExitCode;

use trunkline_testkit::Result;

use self::arguments::{Arguments, USAGE};
use self::scene::Scene;

/// What the shell learns from a wrong argument.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the demo until it is over, or until a signal ends it.
#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn run(arguments: &Arguments) -> Result<()> {
    let mut interrupt = scene::Interrupt::new()?;
    // A signal drops the work, and with it all that was started.
    tokio::select! {
        outcome = show(arguments) => outcome,
        () = interrupt.came() => {
            println!("\nEnded; everything is removed.");
            anyhow::ensure!(!arguments.tour, "the tour was interrupted");
            Ok(())
        }
    }
}

async fn show(arguments: &Arguments) -> Result<()> {
    let scene = Scene::set(arguments).await?;
    if arguments.tour {
        return tour::walk(&scene).await;
    }
    scene.invite().await?;
    scene.last().await
}
