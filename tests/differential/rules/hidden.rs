//! What a session leaves behind inside of functions and blocks, where its text does not show it.

use super::{Rule, When, pinning};
use crate::draft::Draft;
use crate::script::Words;

pub const RULES: &[Rule] = &[
    pinning("setting in a function", 10, When::Always, |draft| {
        let memory = memory(draft);
        Words::query(format!("SELECT public.hide('work_mem', '{memory}')"))
    }),
    pinning("setting in a block", 10, When::Always, |draft| {
        let memory = memory(draft);
        let call = format!("PERFORM set_config('work_mem', '{memory}', false)");
        Words::query(format!("DO $$ BEGIN {call}; END $$"))
    }),
    pinning("block that fails", 5, When::Always, |draft| {
        let memory = memory(draft);
        let call = format!("PERFORM set_config('work_mem', '{memory}', false)");
        Words::query(format!("DO $$ BEGIN {call}; RAISE EXCEPTION 'after all'; END $$"))
    }),
    pinning("setting that is computed", 6, When::Always, |draft| {
        let memory = memory(draft);
        Words::query(format!("SELECT set_config('work' || '_mem', '{memory}', false)"))
    }),
];

fn memory(draft: &mut Draft) -> String {
    format!("{}kB", 5_000 + draft.slot * 10 + draft.dice.below(10))
}
