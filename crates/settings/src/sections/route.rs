//! Rules that send the statements of some clients one way.

use crate::NamePattern;
use crate::choice::choice;
use crate::group::group;
use crate::value::Kind;

choice! {
    /// Where statements go.
    pub enum RouteTo {
        /// To the primary.
        Primary = "primary",
        /// What only reads goes to standbys.
        Standby = "standby",
        /// What is known to only read goes to standbys.
        Any = "any",
    }
}

group! {
    /// Where the statements of some clients go, while `routing.mode` is "on"; the table is repeated for each rule, and the
    /// first one that matches a client holds for it. What a client says itself (a hint in a comment, `SET trunkline.route`) is
    /// more particular, and so are the lists in `[routing]`; the listener that it came by is less.
    pub struct RouteRule in "route" {
        /// Its name in logs and answers. Empty: its number, from 1.
        pub name: String = String::new() => Kind::Text, Live, "\"reports\"";
        /// The database that the client has named, or `/` and a regular expression for it. Not given: any.
        pub database: Option<NamePattern> = None => Kind::Text, Live, "\"shop\"";
        /// The user that it has logged in as, or `/` and a regular expression. Not given: any.
        pub user: Option<NamePattern> = None => Kind::Text, Live, "\"/^report_\"";
        /// Its `application_name` as it is now, or `/` and a regular expression. Not given: any.
        pub application_name: Option<NamePattern> = None => Kind::Text, Live, "\"/^metabase\"";
        /// Where it goes. `primary`: all of it to the primary. `standby`: what only reads to standbys, also if it calls
        /// functions that are not known to be harmless. `any`: as without rules.
        pub to: RouteTo = RouteTo::Any => Kind::Word(RouteTo::WORDS), Live, "\"standby\"";
    }
}
