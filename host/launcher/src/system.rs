//! The system calls that no safe wrapper covers. All `unsafe` of the project is in this file.

use rustix::process::Pid;
use std::ffi::{CString, c_char, c_long};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Makes the answer of a system call a result.
fn checked(answer: c_long) -> io::Result<c_long> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Forks, the child entering the namespaces named by `flags`. Nothing in the child, its number in the parent.
#[allow(unsafe_code, reason = "no safe wrapper exists for clone")]
pub(crate) fn fork(flags: i32) -> io::Result<Option<Pid>> {
    let flags = c_long::from(flags | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with a null stack this is a fork. The launcher never has a second thread, so the
    // child's copy of memory (the allocator's locks above all) is in a consistent state.
    let answer = unsafe { libc::syscall(libc::SYS_clone, flags, ptr::null::<u8>(), 0, 0, 0) };
    Ok(Pid::from_raw(i32::try_from(checked(answer)?).map_err(io::Error::other)?))
}

/// Leaves the current user namespace for a new one.
#[allow(unsafe_code, reason = "no safe wrapper exists for unshare")]
pub(crate) fn enter_new_user_namespace() -> io::Result<()> {
    // SAFETY: takes no pointers; the process has one thread, whose credentials change.
    checked(c_long::from(unsafe { libc::unshare(libc::CLONE_NEWUSER) })).map(drop)
}

/// Closes every descriptor from `first` to `last`. Only for numbers that no owner in this process will use again.
#[allow(unsafe_code, reason = "no safe wrapper exists for close_range")]
pub(crate) fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: takes no pointers. Callers close only what leaked in, or what they have forgotten before.
    checked(unsafe { libc::syscall(libc::SYS_close_range, c_long::from(first), c_long::from(last), 0) }).map(drop)
}

/// Copies a descriptor onto a number, replacing what is there.
#[allow(unsafe_code, reason = "dup3 onto a chosen number has no safe wrapper without owning the number first")]
pub(crate) fn copy_onto(source: RawFd, number: RawFd, close_on_exec: bool) -> io::Result<()> {
    let flags = if close_on_exec { libc::O_CLOEXEC } else { 0 };
    // SAFETY: takes no pointers. Callers use it only in the process that becomes the program, for numbers they lay out.
    checked(c_long::from(unsafe { libc::dup3(source, number, flags) })).map(drop)
}

/// Takes ownership of a number laid out by [`copy_onto`].
#[allow(unsafe_code, reason = "ownership of a number cannot be expressed safely")]
pub(crate) fn own(number: RawFd) -> OwnedFd {
    // SAFETY: callers own the number: they have just put a descriptor there, and nothing else closes it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Sets attributes of a whole tree of mounts.
#[allow(unsafe_code, reason = "no safe wrapper exists for mount_setattr")]
pub(crate) fn set_mount_attributes(tree: BorrowedFd<'_>, attributes: u64, recursive: bool) -> io::Result<()> {
    let change = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a constant C string; `change` outlives the call and its size is the one passed.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            ptr::from_ref(&change),
            size_of::<libc::mount_attr>(),
        )
    };
    checked(answer).map(drop)
}

/// The kernel's version of Landlock; 0 if it has none or it is off.
#[allow(unsafe_code, reason = "the landlock crate keeps its answer to itself")]
pub(crate) fn landlock_version() -> usize {
    // SAFETY: with a null pointer, no size and the flag for the version, the call only answers.
    let answer = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<u8>(), 0, LANDLOCK_VERSION) };
    usize::try_from(answer).unwrap_or(0)
}

/// Forbids memory that was not executable to become so.
#[allow(unsafe_code, reason = "no safe wrapper exists for this prctl")]
pub(crate) fn forbid_executable_gain() -> io::Result<()> {
    // SAFETY: takes no pointers.
    checked(c_long::from(unsafe { libc::prctl(libc::PR_SET_MDWE, libc::PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) })).map(drop)
}

/// Gives SIGPIPE its default action back, which Rust's start changes and an execution would keep.
#[allow(unsafe_code, reason = "no safe wrapper exists for signal dispositions")]
pub(crate) fn restore_sigpipe() -> io::Result<()> {
    // SAFETY: sets a default action; no handler of ours is involved.
    let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Loads a filter whose `USER_NOTIF` verdicts are decided by whoever holds the returned listener.
#[allow(unsafe_code, reason = "no safe wrapper exists for seccomp listeners")]
pub(crate) fn load_filter_with_listener(filter: &mut [libc::sock_filter]) -> io::Result<OwnedFd> {
    let length = u16::try_from(filter.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel copies the program during the call; pointer and length describe `filter`.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            ptr::from_ref(&program),
        )
    };
    Ok(own(i32::try_from(checked(answer)?).map_err(io::Error::other)?))
}

/// Receives the system call a listener must decide, and its number.
#[allow(unsafe_code, reason = "no safe wrapper exists for seccomp listeners")]
pub(crate) fn next_notification(listener: BorrowedFd<'_>) -> io::Result<(u64, i32)> {
    // SAFETY: all-zero bytes are a value of this plain C struct, and the kernel demands zeroes.
    let mut notification: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the request writes one such struct.
    let answer = unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_RECV, ptr::from_mut(&mut notification)) };
    checked(c_long::from(answer))?;
    Ok((notification.id, notification.data.nr))
}

/// Lets the system call go on.
#[allow(unsafe_code, reason = "no safe wrapper exists for seccomp listeners")]
pub(crate) fn let_continue(listener: BorrowedFd<'_>, id: u64) -> io::Result<()> {
    let flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).map_err(io::Error::other)?;
    let mut response = libc::seccomp_notif_resp { id, val: 0, error: 0, flags };
    // SAFETY: the request reads one such struct.
    let answer = unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_SEND, ptr::from_mut(&mut response)) };
    checked(c_long::from(answer)).map(drop)
}

/// Becomes the program behind a descriptor. Returns only the error.
#[allow(unsafe_code, reason = "no safe wrapper exists for execveat")]
pub(crate) fn execute(code: RawFd, arguments: &[CString], environment: &[CString]) -> io::Error {
    let list = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
    };
    let (arguments, environment) = (list(arguments), list(environment));
    // SAFETY: both lists end with a null and point to C strings that outlive the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_execveat,
            code,
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    debug_assert!(answer < 0, "a successful execution does not return");
    io::Error::last_os_error()
}

/// `LANDLOCK_CREATE_RULESET_VERSION`, <linux/landlock.h>.
const LANDLOCK_VERSION: u32 = 1;

/// `SECCOMP_IOCTL_NOTIF_RECV`: `_IOWR('!', 0, struct seccomp_notif)`, <linux/seccomp.h>.
const NOTIF_RECV: libc::Ioctl = 0xC050_2100;

/// `SECCOMP_IOCTL_NOTIF_SEND`: `_IOWR('!', 1, struct seccomp_notif_resp)`, <linux/seccomp.h>.
const NOTIF_SEND: libc::Ioctl = 0xC018_2101;
