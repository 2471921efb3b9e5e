//! Which number each descriptor gets, in the process that becomes the program.
//!
//! With `limit` the program's limit on descriptors: 0-2 its streams, 3 its egress socket if it has one; `limit` the
//! code and `limit + 1` the control socket and `limit + 2` the link to inner, all three closed by the execution. The
//! limit is then set to `limit`, so that no descriptor of the program can ever have the code's number, which is the
//! only one the filter of system calls lets be executed.

use crate::failure::{At, Outcome};
use crate::system::{close_range, copy_onto, own};
use fcp_launcher::Step;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

/// The descriptors that came with the order.
pub(crate) struct Delivered {
    /// The sealed code.
    pub(crate) code: OwnedFd,
    /// Standard input, output and error, and the egress socket if there is one.
    pub(crate) streams: Vec<OwnedFd>,
}

/// The descriptors of the process that becomes the program.
pub(crate) struct Placed {
    /// The number of the code.
    pub(crate) code: RawFd,
    /// The socket to the daemon.
    pub(crate) control: OwnedFd,
    /// The socket to inner.
    pub(crate) link: OwnedFd,
}

/// How many numbers above the limit [`place`] uses.
const SPARE: u64 = 16;

/// Makes room for the numbers above the limit; false if the machine does not permit it.
pub(crate) fn make_room(limit: u32) -> bool {
    let needed = u64::from(limit) + SPARE;
    let present = getrlimit(Resource::Nofile);
    let hard = present.maximum.map(|maximum| maximum.max(needed));
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: hard }).is_ok()
}

/// Puts every descriptor where it belongs and closes all others.
pub(crate) fn place(delivered: Delivered, control: &OwnedFd, link: &OwnedFd, limit: u32) -> Outcome<Placed> {
    lay_out(delivered, control, link, limit).at(Step::PlaceDescriptors)
}

fn lay_out(delivered: Delivered, control: &OwnedFd, link: &OwnedFd, limit: u32) -> io::Result<Placed> {
    let base = RawFd::try_from(limit).map_err(io::Error::other)?;
    // Everything is first copied above the numbers that will be overwritten.
    let above = base + 3;
    let code = fcntl_dupfd_cloexec(&delivered.code, above)?;
    let control = fcntl_dupfd_cloexec(control, above)?;
    let link = fcntl_dupfd_cloexec(link, above)?;
    let streams: Vec<OwnedFd> =
        delivered.streams.iter().map(|stream| fcntl_dupfd_cloexec(stream, above)).collect::<Result<_, _>>()?;
    copy_onto(code.as_raw_fd(), base, true)?;
    copy_onto(control.as_raw_fd(), base + 1, true)?;
    copy_onto(link.as_raw_fd(), base + 2, true)?;
    let mut first_free = 0;
    for (number, stream) in (0..).zip(&streams) {
        copy_onto(stream.as_raw_fd(), number, false)?;
        first_free = u32::try_from(number + 1).map_err(io::Error::other)?;
    }
    // The owners of everything that is closed now must not close it again.
    let Delivered { code: original, streams: originals } = delivered;
    for owner in originals.into_iter().chain(streams).chain([original, code, control, link]) {
        let _forgotten = owner.into_raw_fd();
    }
    close_range(first_free, limit - 1)?;
    close_range(limit + 3, u32::MAX)?;
    Ok(Placed { code: base, control: own(base + 1), link: own(base + 2) })
}
