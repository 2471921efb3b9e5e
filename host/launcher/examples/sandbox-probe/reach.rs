//! Attempts to reach what was not granted.

use crate::{Attempt, Run, argument, checked, reaches};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::ptr;

/// The attempts, by name.
pub(crate) const ATTEMPTS: &[(&str, Run)] = &[
    ("read", |a| fs::read(argument(a, 0)?).map(|bytes| format!("{} bytes", bytes.len()))),
    ("stat", |a| fs::symlink_metadata(argument(a, 0)?).map(|_| "its attributes".to_owned())),
    ("write", |a| fs::write(argument(a, 0)?, b"x").map(|()| "a write".to_owned())),
    ("append", |a| fs::OpenOptions::new().append(true).open(argument(a, 0)?).map(|_| "an append".to_owned())),
    ("symlink", |a| {
        std::os::unix::fs::symlink(argument(a, 0)?, argument(a, 1)?).map(|()| "a link".to_owned())
    }),
    ("hardlink", |a| fs::hard_link(argument(a, 0)?, argument(a, 1)?).map(|()| "a link".to_owned())),
    ("rename", |a| fs::rename(argument(a, 0)?, argument(a, 1)?).map(|()| "a move".to_owned())),
    ("mkfifo", fifo),
    ("set-user-id", set_user_id),
    ("unix-path", |a| UnixStream::connect(argument(a, 0)?).map(|_| "a connection".to_owned())),
    ("unix-abstract", unix_abstract),
    ("unix-datagram-pair", datagram_pair),
    ("tcp", |a| std::net::TcpStream::connect(argument(a, 0)?).map(|_| "a connection".to_owned())),
    ("tcp-listen", |_| std::net::TcpListener::bind("127.0.0.1:0").map(|_| "a listener".to_owned())),
    ("udp", |_| std::net::UdpSocket::bind("127.0.0.1:0").map(|_| "a socket".to_owned())),
    ("raw", |_| socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)),
    ("packet", |_| socket(libc::AF_PACKET, libc::SOCK_RAW, 0)),
    ("netlink", |_| socket(libc::AF_NETLINK, libc::SOCK_RAW, 0)),
    ("vsock", |_| socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)),
    ("alg", |_| socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)),
    ("bind-egress", |_| call(libc::SYS_bind, [3, 0, 0])),
    ("ptrace", |_| call(libc::SYS_ptrace, [i64::from(libc::PTRACE_TRACEME), 0, 0])),
    ("process-vm", |_| call(libc::SYS_process_vm_readv, [own(), 0, 0])),
    ("pidfd", |_| call(libc::SYS_pidfd_open, [own(), 0, 0])),
    ("pidfd-getfd", |_| call(libc::SYS_pidfd_getfd, [0, 0, 0])),
    ("signal", signal),
    ("signal-first", signal_first),
    ("mount", |_| path_call(libc::SYS_mount, "/nowhere")),
    ("fsopen", |_| path_call(libc::SYS_fsopen, "tmpfs")),
    ("open-tree", |_| call(libc::SYS_open_tree, [-1, 0, 1])),
    ("move-mount", |_| call(libc::SYS_move_mount, [-1, 0, -1])),
    ("umount", |_| path_call(libc::SYS_umount2, "/nowhere")),
    ("chroot", |_| path_call(libc::SYS_chroot, "/nowhere")),
    ("pivot-root", |_| path_call(libc::SYS_pivot_root, "/nowhere")),
    ("unshare", |_| call(libc::SYS_unshare, [i64::from(libc::CLONE_NEWUSER), 0, 0])),
    ("clone-namespace", clone_namespace),
    ("clone3", |_| call(libc::SYS_clone3, [0, 0, 0])),
    ("setns", |_| call(libc::SYS_setns, [0, 0, 0])),
    ("io-uring", |_| call(libc::SYS_io_uring_setup, [0, 0, 0])),
    ("userfaultfd", |_| call(libc::SYS_userfaultfd, [1, 0, 0])),
    ("bpf", |_| call(libc::SYS_bpf, [9999, 0, 0])),
    ("perf", |_| call(libc::SYS_perf_event_open, [0, 0, -1])),
    ("keyctl", |_| call(libc::SYS_keyctl, [0, i64::from(libc::KEY_SPEC_SESSION_KEYRING), 0])),
    ("add-key", |_| call(libc::SYS_add_key, [0, 0, 0])),
    ("seccomp", |_| call(libc::SYS_seccomp, [99, 0, 0])),
    ("open-by-handle", |_| call(libc::SYS_open_by_handle_at, [-1, 0, 0])),
    ("memfd", |_| path_call(libc::SYS_memfd_create, "x")),
    ("shared-memory", |_| call(libc::SYS_shmget, [0x4643_5001, 0, 0])),
    ("message-queue", |_| path_call(libc::SYS_mq_open, "x")),
    ("inotify", |_| call(libc::SYS_inotify_init1, [0, 0, 0])),
    ("personality", |_| call(libc::SYS_personality, [0xffff_ffff, 0, 0])),
    ("session", |_| call(libc::SYS_setpgid, [0, 0, 0])),
    ("x32", |_| call(0x4000_0000 | libc::SYS_getpid, [0, 0, 0])),
    ("int80", int80),
    ("execute", execute),
    ("execute-code-number", execute_code_number),
    ("executable-memory", executable_memory),
    ("terminal-input", |_| checked_ioctl(libc::TIOCSTI)),
    ("terminal-control", |_| checked_ioctl(libc::TIOCSCTTY)),
];

fn own() -> i64 {
    std::process::id().into()
}

fn call(number: i64, arguments: [i64; 3]) -> Attempt {
    let [first, second, third] = arguments;
    // SAFETY: the arguments are numbers or null pointers, which the kernel checks.
    reaches(unsafe { libc::syscall(number, first, second, third, 0, 0) })
}

/// A call whose first two arguments are a string.
fn path_call(number: i64, text: &str) -> Attempt {
    path(text, |p| {
        // SAFETY: both pointers are the C string; the other arguments are null.
        let answer = unsafe { libc::syscall(number, p, p, 0, 0, 0) };
        let reached = answer >= 0 || reaches(answer).is_ok();
        if reached { 0 } else { -1 }
    })
}

fn path(text: &str, with: impl FnOnce(*const libc::c_char) -> i64) -> Attempt {
    let text = CString::new(text).map_err(io::Error::other)?;
    checked(with(text.as_ptr()))
}

fn socket(family: i32, kind: i32, protocol: i32) -> Attempt {
    // SAFETY: takes no pointers.
    checked(unsafe { libc::socket(family, kind, protocol) }.into())
}

fn unix_abstract(arguments: &[String]) -> Attempt {
    let address = SocketAddr::from_abstract_name(argument(arguments, 0)?)?;
    UnixStream::connect_addr(&address).map(|_| "a connection".to_owned())
}

/// A datagram socket could send to any address without ever being connected.
fn datagram_pair(_: &[String]) -> Attempt {
    let mut pair = [0; 2];
    // SAFETY: the call writes two numbers.
    checked(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_DGRAM, 0, pair.as_mut_ptr()) }.into())
}

fn fifo(arguments: &[String]) -> Attempt {
    // SAFETY: the pointer is a C string.
    path(argument(arguments, 0)?, |p| unsafe { libc::mkfifo(p, 0o600) }.into())
}

fn set_user_id(arguments: &[String]) -> Attempt {
    // SAFETY: the pointer is a C string.
    path(argument(arguments, 0)?, |p| unsafe { libc::chmod(p, 0o4755) }.into())
}

/// Asks whether a process could be signalled.
fn signal(arguments: &[String]) -> Attempt {
    let process = argument(arguments, 0)?.parse().map_err(io::Error::other)?;
    // SAFETY: takes no pointers, and signal 0 does nothing.
    checked(unsafe { libc::kill(process, 0) }.into())
}

/// Kills process 1 of its namespace, and is still there to tell that it failed.
fn signal_first(_: &[String]) -> Attempt {
    // SAFETY: takes no pointers. Only ever run inside, where process 1 is the launcher's.
    unsafe { libc::kill(1, libc::SIGKILL) };
    std::thread::sleep(std::time::Duration::from_millis(50));
    Err(io::Error::other("process 1 lives, or this could not be said"))
}

fn clone_namespace(_: &[String]) -> Attempt {
    let flags = i64::from(libc::CLONE_NEWUSER | libc::SIGCHLD);
    // SAFETY: without CLONE_VM this is a fork; the child ends at once.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
        0 => std::process::exit(0),
        answer => checked(answer),
    }
}

/// `getpid` through the gate of 32-bit programs.
#[cfg(target_arch = "x86_64")]
fn int80(_: &[String]) -> Attempt {
    let answer: i64;
    // SAFETY: the call reads and writes no memory; rbx is kept by not being touched.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("rax") 20_i64 => answer, out("r8") _, out("r9") _, out("r10") _, out("r11") _)
    };
    if answer == own() {
        Ok("a 32-bit call".to_owned())
    } else {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }
}
#[cfg(not(target_arch = "x86_64"))]
fn int80(_: &[String]) -> Attempt {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// Becomes another program; a successful one says so itself by its own exit status.
fn execute(arguments: &[String]) -> Attempt {
    path(argument(arguments, 0)?, |p| {
        let list = [p, ptr::null()];
        // SAFETY: the lists end with a null.
        unsafe { libc::execve(p, list.as_ptr(), list[1..].as_ptr()) }.into()
    })
}

/// The one call by which the launcher started this program, with an absolute path in place of the empty one.
fn execute_code_number(arguments: &[String]) -> Attempt {
    let number: i64 = argument(arguments, 0)?.parse().map_err(io::Error::other)?;
    path(argument(arguments, 1)?, |p| {
        let list = [p, ptr::null()];
        // SAFETY: the lists end with a null.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                number,
                p,
                list.as_ptr(),
                list[1..].as_ptr(),
                libc::AT_EMPTY_PATH,
            )
        }
    })
}

fn executable_memory(_: &[String]) -> Attempt {
    let (read_write, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new anonymous mapping that nothing else refers to.
    let place = unsafe { libc::mmap(ptr::null_mut(), 4096, read_write, flags, -1, 0) };
    // SAFETY: changes only that mapping.
    checked(unsafe { libc::mprotect(place, 4096, libc::PROT_READ | libc::PROT_EXEC) }.into())
}

fn checked_ioctl(request: libc::Ioctl) -> Attempt {
    // SAFETY: the pointer is to a byte that outlives the call.
    reaches(unsafe { libc::ioctl(0, request, c"x".as_ptr()) }.into())
}
