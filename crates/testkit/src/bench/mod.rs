//! What the benchmarks and the gate measure with: PgBouncer to compare with, `pgbench` as the load,
//! `callgrind` and `strace` to count, and the arithmetic of rounds.
//!
//! The machine that measures is rarely idle, so what is told apart here is made comparable by
//! construction: rounds of the programs to compare are interleaved ([`summary`]), processor time is
//! that of the process alone ([`pgbench`]), and the gate counts instructions instead of time
//! ([`profile`]).

pub mod idle;
pub mod pgbench;
pub mod pgbouncer;
pub mod profile;
pub mod strace;
pub mod summary;
