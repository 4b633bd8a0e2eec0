//! Prints what a statement text does: `cargo run -p trunkline-sql --example effects -- "SET a.b TO 1; SELECT 1"`.
#![allow(clippy::print_stdout, reason = "a program that prints")]

use trunkline_sql::{Rules, scan};

fn main() {
    for text in std::env::args().skip(1) {
        let scan = scan(text.as_bytes(), Rules::default());
        println!("{} statements", scan.statements());
        for found in scan.effects() {
            println!(
                "  {} {}: {:?}",
                found.statement,
                scan.keyword(found.statement).as_str(),
                found.effect
            );
        }
    }
}
