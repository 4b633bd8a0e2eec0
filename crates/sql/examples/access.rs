//! Prints what the texts in its arguments read, write and call: `cargo run -p trunkline-sql --example access 'SELECT 1'`.
#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::env::args;

use trunkline_sql::Rules;
use trunkline_sql::access::access;

fn main() {
    for text in args().skip(1) {
        println!("{text}\n  {:#?}", access(text.as_bytes(), Rules::default()));
    }
}
