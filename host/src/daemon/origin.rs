//! Whose connection it is, as far as the kernel tells.

/// Whoever connects. What is counted for each one is counted by this, so that one that asks for much loses its own.
///
/// All of TCP is one: a process of this machine may call from any loopback address that it likes.
//= docs/spec/api.md#room
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A process at the other end of the unix socket.
    Process {
        /// Its user.
        uid: u32,
        /// Its number when it connected; absent where the kernel does not say.
        pid: Option<i32>,
    },
    /// Somebody over TCP.
    Tcp,
}
