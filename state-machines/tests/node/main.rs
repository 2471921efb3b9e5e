//! A whole node on a disk in memory: what it permits, what it refuses, and what it still knows after a stop.

mod approvals;
mod authority;
mod bounds;
mod calls;
mod contexts;
mod endings;
mod grants;
mod home;
mod overtaken;
mod probing;
mod restart;
mod standing_approvals;
mod tokens;
mod zone_keys;
