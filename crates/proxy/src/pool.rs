//! What the loops share of the pools: which families there are, their caps, and who waits where.

mod cap;
mod claim;
mod faces;
mod family;
mod names;
mod pauses;
mod place;
mod registry;
mod seekers;

pub(crate) use cap::{Cap, Permit};
pub(crate) use faces::Way;
pub(crate) use family::{Family, FamilyId, Home, Membership, PoolCaps};
pub(crate) use place::Place;
pub(crate) use registry::{Refusal, Registry};
pub(crate) use seekers::Loops;
