//! The FCP daemon and its egress process.
