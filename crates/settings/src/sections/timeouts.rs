//! How long clients may take.

use std::time::Duration;

use crate::group::group;
use crate::value::Kind;

group! {
    /// How long clients may take. 0s switches a limit off.
    pub struct Timeouts in "timeouts" {
        /// A client that is idle outside a transaction for longer is closed. 0s: off.
        pub client_idle: Duration = Duration::ZERO => Kind::span(), Live, "\"30m\"";
        /// A client that is idle inside a transaction for longer is closed; also one that has begun a COPY or a
        /// long message, or sent messages without a Sync, and sends nothing more. 0s: off.
        pub idle_in_transaction: Duration = Duration::ZERO => Kind::span(), Live, "\"1m\"";
        /// A statement that runs for longer is cancelled. If it has not ended `cancel` later, its client is closed with
        /// SQLSTATE 57014 and its server connection given up. 0s: off.
        pub query: Duration = Duration::ZERO => Kind::span(), Live, "\"30s\"";
        /// A transaction that is open for longer is ended together with its client. 0s: off.
        pub transaction: Duration = Duration::ZERO => Kind::span(), Live, "\"5m\"";
        /// How long a cancel request may take to reach its server, then it is dropped; and how long a statement may go on
        /// that was cancelled because of `query`.
        pub cancel: Duration = Duration::from_secs(10)
            => Kind::span_from(Duration::from_millis(100)), Live, "\"2s\"";
    }
}
