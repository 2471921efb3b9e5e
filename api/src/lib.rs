//! The HTTP contract of the FCP daemon: types, routes and a client.
