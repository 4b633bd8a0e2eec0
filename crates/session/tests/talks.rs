//! The session as conversations in text files: what a client says, what a server is told, what it answers, what the
//! client gets. See `talks/README.md` for the words.
//!
//! A file is what the conversations in it print. `TRUNKLINE_TALKS=update` writes the files anew, to be read with care.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "a wrong index or a panic fails the test, as it should; files are written anew when asked"
)]

mod shared;
mod talk;

use std::{env, fs, path::Path};

/// Every file is exactly what its conversations print.
fn check(name: &str) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/talks").join(name).with_extension("txt");
    let written = fs::read_to_string(&path).expect("the file of the talk");
    let printed = talk::print(&written);
    if env::var("TRUNKLINE_TALKS").is_ok_and(|value| value == "update") {
        fs::write(&path, &printed).expect("the file of the talk");
        return;
    }
    for (number, (is, was)) in printed.lines().zip(written.lines()).enumerate() {
        assert_eq!(is, was, "{}:{}", path.display(), number + 1);
    }
    assert_eq!(printed.lines().count(), written.lines().count(), "{}", path.display());
}

macro_rules! talks {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn every_file_is_played() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/talks");
            let files = fs::read_dir(folder).expect("the folder of the talks");
            let names = files.map(|file| file.expect("a file").path());
            let mut found: Vec<_> = names
                .filter(|path| path.extension().is_some_and(|end| end == "txt"))
                .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
                .collect();
            found.sort();
            assert_eq!(found, [$(stringify!($name)),*]);
        }
    };
}

talks! {
    alone
    aside
    catalog
    copy
    crossing
    duplicate
    environment
    error
    eviction
    housekeeping
    listen
    long
    looks
    modes
    names
    overfull
    parameters
    pins
    pipeline
    prepared
    replay
    route
    sequences
    server
    settings
    shape
    simple_query
    sql_prepare
    token
    unnamed
}
