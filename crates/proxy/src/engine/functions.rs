//! Which functions have made the servers of a pool be asked what their clients have there.

use std::collections::BTreeMap;

use trunkline_session::ReadBack;

/// So many functions of a pool are counted by name at each loop; the others together.
const FUNCTIONS_MAX: usize = 256;

/// The name under which they are, and what nobody is to blame for by name: `DO`, `CALL`, texts that could not be read.
const OTHER: &str = "";

/// What came of the calls of one function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FunctionStats {
    /// Times a server was asked because of it.
    pub read_backs: u64,
    /// Times there was something that no text had shown.
    pub found: u64,
}

impl FunctionStats {
    /// Adds another loop's counts.
    pub fn add(&mut self, other: &Self) {
        self.read_backs = self.read_backs.wrapping_add(other.read_backs);
        self.found = self.found.wrapping_add(other.found);
    }
}

/// By name.
#[derive(Debug, Default)]
pub(super) struct Functions(BTreeMap<Box<str>, FunctionStats>);

impl Functions {
    /// A server has told.
    pub(super) fn count(&mut self, told: &ReadBack) {
        let name = told.function.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let known = self.0.contains_key(&*name) || self.0.len() < FUNCTIONS_MAX;
        let name = if known { &*name } else { OTHER };
        if !self.0.contains_key(name) {
            self.0.insert(name.into(), FunctionStats::default());
        }
        if let Some(stats) = self.0.get_mut(name) {
            let found = u64::from(told.found);
            stats.add(&FunctionStats { read_backs: 1, found });
        }
    }

    /// All there is to tell.
    pub(super) fn report(&self) -> Vec<(String, FunctionStats)> {
        self.0.iter().map(|(name, stats)| (name.to_string(), *stats)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_beyond_the_limit_are_counted_together() {
        let mut functions = Functions::default();
        for number in 0..2 * FUNCTIONS_MAX {
            let function = Some(format!("f{number}").into_bytes().into());
            functions.count(&ReadBack { function, found: number == 0, failed: false });
        }
        let told = functions.report();
        assert_eq!(told.len(), FUNCTIONS_MAX + 1);
        let others = FunctionStats { read_backs: 256, found: 0 };
        assert_eq!(told.first(), Some(&(String::new(), others)));
        assert_eq!(
            told.get(1),
            Some(&("f0".to_owned(), FunctionStats { read_backs: 1, found: 1 }))
        );
    }
}
