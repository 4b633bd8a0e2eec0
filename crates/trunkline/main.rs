//! The program: reads the settings, starts the pooler, and ends with an exit code.
//!
//! Exit codes: 0 ended in order, 1 failed while starting or running, or clients were cut off at the end, 2 wrong
//! usage, 78 (`EX_CONFIG`) wrong settings.

mod arguments;
mod explaining;
mod logging;

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use tokio::sync::watch;
use trunkline_admin::{HttpListener, Options, ShutdownHook, ShutdownMode};
use trunkline_proxy::{Ended, Ending, OnSettings, Pooler, Signals, Source, StartError};
use trunkline_settings::Loaded;

use crate::{
    arguments::{Arguments, Command, SettingsFrom},
    logging::Logging,
};

/// Exit code for wrong settings: `EX_CONFIG` of sysexits.h.
const EXIT_CONFIG: u8 = 78;

/// Threads for everything that is not the data path: logins, opening servers, probes, console, HTTP.
const COLD_THREADS: usize = 2;

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(from) => run(&from),
        Command::Check(from) => check(&from),
        Command::Explain(asked) => explaining::explain(&asked),
    }
}

fn source_of(from: &SettingsFrom) -> Source {
    // Variables that are not UTF-8 are nobody's settings.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
    match &from.given {
        Some(url) if url.contains("://") => Source::url(url.clone(), environment),
        Some(path) => Source::file(path.into(), environment),
        None => Source::file(from.config.clone(), environment),
    }
}

fn load(source: &Source) -> Result<Loaded, ExitCode> {
    source.load().map_err(|error| {
        complain(&error);
        ExitCode::from(EXIT_CONFIG)
    })
}

fn check(from: &SettingsFrom) -> ExitCode {
    match load(&source_of(from)) {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(complain);
            complain(&"The settings are in order.");
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}

fn run(from: &SettingsFrom) -> ExitCode {
    let source = source_of(from);
    let loaded = match load(&source) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let logging = Logging::start(&loaded.settings.log);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(COLD_THREADS)
        .thread_name("cold")
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(serve(source, loaded, logging)),
        Err(error) => {
            tracing::error!("the runtime could not be started: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(source: Source, loaded: Loaded, logging: Logging) -> ExitCode {
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!("signals cannot be taken: {error}");
            return ExitCode::FAILURE;
        }
    };
    let on_settings = OnSettings(Box::new(move |settings| logging.follow(&settings.log)));
    // Bound before the pooler starts, so that an address in use is found out at once.
    let http = match loaded.settings.http.address {
        None => None,
        Some(address) => match HttpListener::bind(address).await {
            Ok(listener) => Some(listener),
            Err(error) => {
                tracing::error!("{error}");
                return ExitCode::FAILURE;
            }
        },
    };
    let (pooler, consoles) = match Pooler::start(source, loaded.settings, on_settings) {
        Ok(started) => started,
        Err(error) => {
            tracing::error!("{error}");
            return match error {
                StartError::Tls(_) => ExitCode::from(EXIT_CONFIG),
                StartError::Io(_) => ExitCode::FAILURE,
            };
        }
    };
    let handle = pooler.handle();
    let closing = Some(handle.closing());
    let shutdown: ShutdownHook = Arc::new(move |mode| handle.end(ending(mode)));
    let options = Options { http, shutdown: Some(shutdown), closing };
    let (stop, stopped) = watch::channel(false);
    let faces = tokio::spawn(trunkline_admin::serve(pooler.handle(), consoles, options, stopped));
    let ended = pooler.run(signals).await;
    // Last: operators and load balancers watch the end.
    if stop.send(true).is_err() || faces.await.is_err() {
        tracing::error!("the console and HTTP ended early");
    }
    match ended {
        Ended::Orderly => ExitCode::SUCCESS,
        Ended::Forced => ExitCode::FAILURE,
    }
}

/// What `SHUTDOWN` on the console asks for. Clients are not waited for beyond their transactions.
const fn ending(mode: ShutdownMode) -> Ending {
    match mode {
        ShutdownMode::Immediate => Ending::AtOnce,
        ShutdownMode::WaitForServers | ShutdownMode::WaitForClients => Ending::InOrder,
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the program speaks to whoever started it, before there is a log"
)]
fn complain(words: &impl std::fmt::Display) {
    eprintln!("{words}");
}
