//! Every fuzz target, on its seeds and on mutations of them, without a fuzzer.
//!
//! `TRUNKLINE_FUZZ_RUNS` is the number of mutations of each target, `TRUNKLINE_FUZZ_SEED` repeats a run; the seed of
//! each run is printed, also when it passes. See `fuzz/README.md`.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// Mutations of each target unless asked otherwise; all targets together take some seconds in debug.
const RUNS: usize = 20_000;

/// Mutated inputs are cut to so many bytes, so that all runs are short.
const INPUT_MAX: usize = 4096;

/// Mutations on top of each other in one input, at most.
const STEPS_MAX: usize = 6;

/// Numbers that are the same for the same seed (xorshift64*, Vigna 2016).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("64 bits").max(1);
        usize::try_from((self.next() >> 11) % end).expect("it is below a usize")
    }

    /// A range inside of `len` bytes.
    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        start..start + self.below((len - start).min(64) + 1)
    }
}

#[expect(clippy::indexing_slicing, reason = "the dice throw below what they are given")]
fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    /// Bytes at the borders of what is asked for.
    const BORDERS: [u8; 12] = *b"\x00\x01\x7f\x80\xff\n\r'\";~ ";
    let len = input.len();
    match dice.below(8) {
        0 if len > 0 => input[dice.below(len)] ^= 1 << dice.below(8),
        1 if len > 0 => input[dice.below(len)] = BORDERS[dice.below(BORDERS.len())],
        2 => input.truncate(dice.below(len + 1)),
        3 => drop(input.drain(dice.range(len))),
        4 => {
            let piece = input[dice.range(len)].to_vec();
            let at = dice.below(len + 1);
            input.splice(at..at, piece);
        }
        5 => {
            let other = &seeds[dice.below(seeds.len())];
            let piece = other[dice.range(other.len())].to_vec();
            let at = dice.below(len + 1);
            input.splice(at..at, piece);
        }
        6 => {
            let other = &seeds[dice.below(seeds.len())];
            input.truncate(dice.below(len + 1));
            input.extend_from_slice(&other[dice.below(other.len() + 1)..]);
        }
        _ => {
            let at = dice.below(len + 1);
            input.insert(at, u8::try_from(dice.below(256)).expect("a byte"));
        }
    }
    input.truncate(INPUT_MAX);
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Tells whoever runs the tests, also when they pass: not `println!`, which the harness keeps to itself.
fn tell(line: &str) {
    writeln!(io::stderr(), "{line}").expect("stderr takes a line");
}

/// Plays the seeds of a target and mutations of them.
fn smoke(target: &str, play: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of the seeds")
        .map(|entry| entry.expect("a seed").path())
        .collect();
    paths.sort();
    let seeds: Vec<_> = paths.iter().map(|path| fs::read(path).expect("a seed")).collect();
    assert!(!seeds.is_empty(), "{target} has no seeds");
    for (path, seed) in paths.iter().zip(&seeds) {
        attempt(play, seed, &format!("{}", path.display()));
    }
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_secs());
    let seed = number("TRUNKLINE_FUZZ_SEED").unwrap_or_else(clock);
    let runs =
        number("TRUNKLINE_FUZZ_RUNS").map_or(RUNS, |runs| usize::try_from(runs).expect("64 bits"));
    tell(&format!(
        "{target}: {} seeds and {runs} mutations, TRUNKLINE_FUZZ_SEED={seed}",
        seeds.len()
    ));
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for run in 0..runs {
        let mut input = seeds.get(dice.below(seeds.len())).cloned().expect("the dice throw below");
        for _ in 0..=dice.below(STEPS_MAX) {
            mutate(&mut input, &seeds, &mut dice);
        }
        attempt(play, &input, &format!("{target}, TRUNKLINE_FUZZ_SEED={seed}, run {run}"));
    }
}

fn attempt(play: fn(&[u8]), input: &[u8], which: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| play(input))) {
        let hex = input.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("memory");
            hex
        });
        tell(&format!("{which}\ninput: {hex}\nas text: {}", String::from_utf8_lossy(input)));
        resume_unwind(panic);
    }
}

macro_rules! targets {
    ($($name:ident: $play:path;)*) => {
        $(#[test] fn $name() { smoke(stringify!($name), $play); })*

        #[test]
        fn every_target_is_played() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
            let mut found: Vec<_> = fs::read_dir(folder)
                .expect("the folder of the targets")
                .map(|entry| entry.expect("a target").path().with_extension(""))
                .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
                .collect();
            found.sort();
            assert_eq!(found, [$(stringify!($name)),*]);
        }
    };
}

targets! {
    session_events: trunkline_session::fuzz::events;
    settings_file: trunkline_settings::fuzz::settings;
    settings_hba: trunkline_settings::fuzz::hba;
    settings_url: trunkline_settings::fuzz::url;
    settings_userlist: trunkline_settings::fuzz::userlist;
    sql_access: trunkline_sql::fuzz::access;
    sql_scan: trunkline_sql::fuzz::scan;
    wire_backend: trunkline_wire::fuzz::backend;
    wire_frontend: trunkline_wire::fuzz::frontend;
    wire_scram_client: trunkline_wire::fuzz::scram_client;
    wire_scram_server: trunkline_wire::fuzz::scram_server;
    wire_startup: trunkline_wire::fuzz::startup;
}
