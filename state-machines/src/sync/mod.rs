//! What the nodes of a mesh keep for each other, where, and for how long.
//!
//! * [`coverage`]: how well an object is kept;
//! * [`placement`]: who should keep what of it;
//! * [`inventory`]: who has what, as far as this node knows;
//! * [`repair`]: what to make anew, in which order, and what not, and why;
//! * [`intake`]: which objects from others are kept at all;
//! * [`collection`]: which objects nothing refers to any more, and when they are deleted;
//! * [`offline`]: what is there without anybody else.
//!
//! Spec: docs/spec/storage.md.

pub mod collection;
pub mod coverage;
pub mod intake;
pub mod inventory;
pub mod offline;
pub mod placement;
pub mod repair;
