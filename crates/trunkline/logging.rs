//! The log: to standard error, as text or JSON, with a level that a reload may change.

use std::io::IsTerminal;

use tracing_subscriber::{
    Layer, Registry, filter::LevelFilter, fmt, layer::SubscriberExt, reload,
    util::SubscriberInitExt,
};
use trunkline_settings::{Log, LogFormat, LogLevel};

/// The running log.
#[derive(Debug)]
pub(crate) struct Logging {
    level: reload::Handle<LevelFilter, Registry>,
}

impl Logging {
    /// Starts the log, once per process.
    pub(crate) fn start(settings: &Log) -> Self {
        let (filter, level) = reload::Layer::new(level_of(settings.level));
        let lines = fmt::layer().with_writer(std::io::stderr);
        let lines = match settings.format {
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
            LogFormat::Text => {
                lines.with_target(false).with_ansi(std::io::stderr().is_terminal()).boxed()
            }
        };
        tracing_subscriber::registry().with(filter).with(lines).init();
        Self { level }
    }

    /// Takes over a changed level.
    pub(crate) fn follow(&self, settings: &Log) {
        if let Err(error) = self.level.modify(|level| *level = level_of(settings.level)) {
            tracing::error!("the log level could not be changed: {error}");
        }
    }
}

fn level_of(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
