//! One copy for what two hold alike.

use std::sync::Arc;

/// Lets two that are equal be held in one place, so that the next comparison is one of places.
///
/// Which of the two stays depends on nothing but where they are: so however clients and servers meet, all that are equal
/// come to be one after a few meetings, and are none of those who change from one copy to the other for ever.
pub(crate) fn unite<T>(one: &mut Arc<T>, other: &mut Arc<T>) {
    if Arc::as_ptr(one) < Arc::as_ptr(other) {
        *other = Arc::clone(one);
    } else {
        *one = Arc::clone(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_they_meet_all_come_to_hold_one() {
        let mut clients: Vec<Arc<u8>> = (0..7).map(|_| Arc::new(1)).collect();
        let mut servers: Vec<Arc<u8>> = (0..5).map(|_| Arc::new(1)).collect();
        for meeting in 0..clients.len() * servers.len() {
            let (client, server) = (meeting % clients.len(), meeting % servers.len());
            unite(&mut clients[client], &mut servers[server]);
        }
        let one = &clients[0];
        assert!(clients.iter().chain(&servers).all(|held| Arc::ptr_eq(held, one)));
    }
}
