//! What a session leaves behind inside of functions and blocks, where its text does not show it.

use super::{Rule, When, mistake, pinning, reads, seldom_pinning};
use crate::draft::Draft;
use crate::script::Words;

pub const RULES: &[Rule] = &[
    seldom_pinning("setting in a function", 10, When::Always, |draft| {
        let memory = memory(draft);
        let shown = reads::settings(draft);
        draft.then(&reads::SETTINGS, shown);
        Words::query(format!("SELECT public.let_memory('{memory}')"))
    }),
    seldom_pinning("placeholder in a function", 8, When::Always, |draft| {
        let (slot, number) = (draft.slot, draft.dice.below(9));
        let shown = reads::tenant(draft);
        draft.then(&reads::TENANT, shown);
        Words::query(format!("SELECT public.let_tenant('hidden {slot} {number}')"))
    }),
    // The names are not in the function, so it keeps its server.
    pinning("setting in a function that is told", 10, When::Always, |draft| {
        let memory = memory(draft);
        Words::query(format!("SELECT public.hide('work_mem', '{memory}')"))
    }),
    seldom_pinning("setting in a block", 10, When::Always, |draft| {
        let memory = memory(draft);
        let call = format!("PERFORM set_config('work_mem', '{memory}', false)");
        Words::query(format!("DO $$ BEGIN {call}; END $$"))
    }),
    mistake("block that fails", 5, When::Always, |draft| {
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
