//! Notifications. Each client has a channel of its own.

use super::{Rule, When, rule};
use crate::draft::Draft;
use crate::script::Words;

pub const RULES: &[Rule] = &[
    rule("listen", 24, When::Always, |draft| {
        let channel = channel(draft);
        let once = format!("NOTIFY {channel}, 'once'");
        draft.then(&NOTIFY, Words::query(format!("NOTIFY {channel}")));
        draft.then(&NOTIFY, Words::queries(&[&once, &once]));
        Words::query(format!("LISTEN {channel}"))
    }),
    NOTIFY,
    rule("notify by a function", 6, When::Always, |draft| {
        let (channel, number) = (channel(draft), draft.dice.below(9).to_string());
        Words::extended(format!("SELECT pg_notify('{channel}', $1)"), &[Some(&number)])
    }),
    rule("unlisten", 4, When::Always, |draft| {
        let channel = channel(draft);
        Words::query(draft.dice.pick(&["UNLISTEN *", &format!("UNLISTEN {channel}")]))
    }),
];

const NOTIFY: Rule = rule("notify", 8, When::Always, |draft| {
    let (channel, number) = (channel(draft), draft.dice.below(9));
    Words::query(format!("NOTIFY {channel}, 'payload {number}'"))
});

fn channel(draft: &Draft) -> String {
    format!("channel_{:02}", draft.slot)
}
