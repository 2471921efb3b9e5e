//! The FCP daemon and its egress process.

pub mod connectors;
pub mod egress;
pub mod sandbox;
