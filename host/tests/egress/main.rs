//! Egress as a connector meets it: the real process, real sockets and real TLS.

mod answered;
mod answers;
mod control;
mod credentials;
mod frames;
mod interrupted;
mod limits;
mod places;
mod process;
mod refresh;
mod shapes;
mod vectors;
mod world;
mod written;
