//! A stack that is large enough for the deepest tree.
//!
//! The parser and its visitor look after their stack, but the tree is dropped level by level on what there is, and joins
//! are nested without looking. How deep a tree can be is bounded by the number of tokens.

/// Stack for each token: in the deepest tree each is a level. A quarter was enough for any text that was tried, in a build
/// without optimisation.
const PER_TOKEN: usize = 1024;

/// Stack that must be there whatever the text, for joins ([`JOINS_NESTED`](super::skeleton::JOINS_NESTED)) most of all.
/// With the tokens of most texts it is there in a thread of 2 MiB.
const LEAST: usize = 768 * 1024;

/// Calls this on a stack that has room for trees of so many tokens: on another one if there is too little here.
pub(crate) fn with_room<T>(tokens: usize, call: impl FnOnce() -> T) -> T {
    let needed = LEAST + PER_TOKEN * tokens;
    stacker::maybe_grow(needed, needed, call)
}
