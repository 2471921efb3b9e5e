//! Egress as a connector meets it: through real sockets and real TLS.

mod answers;
mod control;
mod credentials;
mod limits;
mod places;
mod refresh;
mod world;
