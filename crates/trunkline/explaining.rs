//! `trunkline explain`: where statements would go, before anything is routed.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::ExitCode,
};

use trunkline_proxy::{Advice, Adviser};
use trunkline_settings::Settings;

use crate::{
    arguments::{Explain, SettingsFrom},
    complain, load, source_of,
};

/// The word for standard input.
const STDIN: &str = "-";

/// So much of a statement is shown beside where it goes.
const SHOWN_MAX: usize = 100;

/// How wide the names of lines are.
const NAMES: usize = 10;

/// Runs the command.
pub(crate) fn explain(asked: &Explain) -> ExitCode {
    let is_url = asked.config.contains("://");
    let from = SettingsFrom {
        given: is_url.then(|| asked.config.clone()),
        config: asked.config.clone().into(),
    };
    let settings = match load(&source_of(&from)) {
        Ok(loaded) => loaded.settings,
        Err(code) => return code,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let adviser = match runtime {
        Ok(runtime) => runtime.block_on(connect(&settings, asked.database.as_deref())),
        Err(error) => Err(format!("the runtime could not be started: {error}")),
    };
    let outcome = adviser.and_then(|mut adviser| tell(&mut adviser, asked));
    match outcome {
        Ok(code) => code,
        Err(why) => {
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

async fn connect(settings: &Settings, database: Option<&str>) -> Result<Adviser, String> {
    Adviser::connect(settings, database).await.map_err(|error| error.to_string())
}

fn tell(adviser: &mut Adviser, asked: &Explain) -> Result<ExitCode, String> {
    let mut out = io::stdout().lock();
    let told = match (&asked.file, asked.statement.as_deref()) {
        (Some(path), _) => tell_all(adviser, open(path)?, asked.summary, &mut out),
        (None, Some(STDIN)) => tell_all(adviser, io::stdin().lock(), asked.summary, &mut out),
        (None, Some(statement)) => {
            let advice = adviser.advise(statement.as_bytes());
            if advice.is_empty {
                return Err("there is no statement in it".into());
            }
            tell_one(&advice, &mut out)
        }
        (None, None) => Ok(()),
    };
    match told {
        // Whoever has read enough is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.to_string()),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

fn open(path: &Path) -> Result<BufReader<File>, String> {
    File::open(path).map(BufReader::new).map_err(|error| format!("{}: {error}", path.display()))
}

/// All there is to say of one statement.
fn tell_one(advice: &Advice, out: &mut impl Write) -> io::Result<()> {
    for (what, value) in &advice.lines {
        let line = format!("{what:NAMES$}  {value}");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Where each line goes, and how many go where.
fn tell_all(
    adviser: &mut Adviser,
    lines: impl BufRead,
    summary: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut counts = BTreeMap::<(bool, String), u64>::new();
    for line in lines.split(b'\n') {
        let line = line?;
        let advice = adviser.advise(&line);
        if advice.is_empty {
            continue;
        }
        if !summary {
            let shown = shown(&line);
            writeln!(out, "{}  {:24}  {shown}", word(advice.to_standby), advice.reason)?;
        }
        let count = counts.entry((advice.to_standby, advice.reason)).or_default();
        *count = count.saturating_add(1);
    }
    if !summary {
        writeln!(out)?;
    }
    tell_counts(&counts, out)
}

fn tell_counts(counts: &BTreeMap<(bool, String), u64>, out: &mut impl Write) -> io::Result<()> {
    let sum = |wanted: Option<bool>| {
        let those =
            counts.iter().filter(|((standby, _), _)| wanted.is_none_or(|it| it == *standby));
        those.map(|(_, count)| *count).fold(0_u64, u64::saturating_add)
    };
    let (all, moved) = (sum(None), sum(Some(true)));
    let tenths = u128::from(moved).saturating_mul(1000) / u128::from(all.max(1));
    writeln!(
        out,
        "{all} statements, of which {moved} would go to a standby ({}.{} %)",
        tenths / 10,
        tenths % 10
    )?;
    let mut rows: Vec<_> = counts.iter().collect();
    rows.sort_by_key(|((standby, reason), count)| (!standby, std::cmp::Reverse(**count), reason));
    for ((standby, reason), count) in rows {
        writeln!(out, "{count:>8}  {}  {reason}", word(*standby))?;
    }
    Ok(())
}

/// The beginning of a statement, in one line.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let plain = text.trim().chars().map(|it| if it.is_control() { ' ' } else { it });
    plain.take(SHOWN_MAX).collect()
}

const fn word(to_standby: bool) -> &'static str {
    if to_standby { "standby" } else { "primary" }
}
