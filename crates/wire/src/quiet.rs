//! `Debug` for messages that may carry passwords or people's data: it tells which message, not what is in
//! it, so that no log line and no failed assertion gives it away.

/// Implements `Debug` for a view: the fields named, and dots for all others.
macro_rules! quiet_debug {
    ($view:ident, $this:ident $(, $label:ident = $shown:expr)*) => {
        impl std::fmt::Debug for $view<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let $this = self;
                f.debug_struct(stringify!($view))
                    $(.field(stringify!($label), &$shown))*
                    .finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use quiet_debug;

/// A name as text.
pub(crate) fn text(name: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(name)
}
