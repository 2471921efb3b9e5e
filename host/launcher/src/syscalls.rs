//! The filter of system calls: a list of what a program that computes, waits and uses its own files needs. All else is
//! refused with EPERM; another architecture's calls (`int 0x80`) kill the program; the x32 calls have other numbers and
//! are thus refused. Arguments that are pointers cannot be judged here, so calls whose danger lies there are absent.

use fcp_launcher::Profile;
use libc::*;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// One way a call is permitted: conditions that must all hold.
type Way = Vec<SeccompCondition>;

/// Builds the list. `code` is the number of the descriptor that may be executed.
pub(crate) fn permitted(profile: Profile, code: i32) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = plain().map(|call| (call, Vec::new())).collect();
    for (call, ways) in conditional(profile, code)? {
        let ways = ways.into_iter().map(SeccompRule::new).collect::<Result<Vec<_>, _>>()?;
        rules.insert(call, ways);
    }
    let refuse = SeccompAction::Errno(EPERM.unsigned_abs());
    SeccompFilter::new(rules, refuse, SeccompAction::Allow, ARCHITECTURE)?.try_into()
}

/// A filter above the list: executions wait for inner, which lets one through and then closes its listener, after which
/// each is refused; `clone3`, whose arguments no filter can read, does not exist, so that programs use `clone`.
pub(crate) fn single_execution() -> [sock_filter; 7] {
    let load_number = BPF_LD | BPF_W | BPF_ABS;
    let jump_if_equal = BPF_JMP | BPF_JEQ | BPF_K;
    let answer = BPF_RET | BPF_K;
    let call = |number: c_long| number.unsigned_abs() as u32;
    [
        instruction(load_number, 0, 0, 0),
        instruction(jump_if_equal, 2, 0, call(SYS_execve)),
        instruction(jump_if_equal, 1, 0, call(SYS_execveat)),
        instruction(jump_if_equal, 1, 2, call(SYS_clone3)),
        instruction(answer, 0, 0, SECCOMP_RET_USER_NOTIF),
        instruction(answer, 0, 0, SECCOMP_RET_ERRNO | ENOSYS.unsigned_abs()),
        instruction(answer, 0, 0, SECCOMP_RET_ALLOW),
    ]
}

fn instruction(code: u32, if_true: u8, if_false: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: if_true, jf: if_false, k }
}

/// Calls that are harmless with any arguments, inside the other walls.
fn plain() -> impl Iterator<Item = c_long> {
    MEMORY.iter().chain(FILES).chain(STREAMS).chain(WAITING).chain(TASKS).chain(SIGNALS).chain(SOCKET).chain(LEGACY).copied()
}

/// Calls that are permitted with some arguments.
fn conditional(profile: Profile, code: i32) -> Result<Vec<(c_long, Vec<Way>)>, BackendError> {
    let no_set_id = |argument| masked(argument, S_ISUID | S_ISGID, 0).map(|condition| vec![vec![condition]]);
    let mut rules = vec![
        (SYS_execveat, vec![vec![equal(0, code.unsigned_abs())?, equal(4, AT_EMPTY_PATH.unsigned_abs())?]]),
        (SYS_clone, vec![clone_flags(profile)?]),
        (SYS_prlimit64, vec![vec![quad_equal(2, 0)?]]),
        (SYS_ioctl, any_of(1, &[FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, TCGETS])?),
        (SYS_prctl, any_of(0, &[PR_SET_NAME as u64, PR_GET_NAME as u64, PR_SET_VMA as u64, PR_GET_DUMPABLE as u64])?),
        (SYS_socketpair, vec![vec![equal(0, AF_UNIX.unsigned_abs())?, masked(1, SOCKET_TYPE, SOCK_STREAM.unsigned_abs())?]]),
        (SYS_fchmod, no_set_id(1)?),
        (SYS_fchmodat, no_set_id(2)?),
        (SYS_madvise, vec![vec![SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::Le, MAX_ADVICE)?]]),
    ];
    #[cfg(target_arch = "x86_64")]
    {
        rules.push((SYS_chmod, no_set_id(1)?));
        rules.push((SYS_arch_prctl, any_of(0, &[ARCH_SET_FS, ARCH_GET_FS, ARCH_CET_STATUS])?));
    }
    Ok(rules)
}

/// A thread; in the moderate profile also a process. Never a namespace, never another's parent.
fn clone_flags(profile: Profile) -> Result<Way, BackendError> {
    let forbidden = CLONE_NEWNS
        | CLONE_NEWCGROUP
        | CLONE_NEWUTS
        | CLONE_NEWIPC
        | CLONE_NEWUSER
        | CLONE_NEWPID
        | CLONE_NEWNET
        | CLONE_PTRACE
        | CLONE_PARENT
        | CLONE_PIDFD;
    let mut way = vec![masked(0, forbidden.unsigned_abs(), 0)?];
    match profile {
        Profile::Strict => way.push(masked(0, CLONE_THREAD.unsigned_abs(), CLONE_THREAD.unsigned_abs())?),
        Profile::Moderate => {}
    }
    Ok(way)
}

fn equal(argument: u8, value: u32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value.into())
}

fn quad_equal(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
}

fn masked(argument: u8, mask: u32, value: u32) -> Result<SeccompCondition, BackendError> {
    let operator = SeccompCmpOp::MaskedEq(mask.into());
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value.into())
}

/// The low half only: the kernel reads these arguments as 32 bits.
fn any_of(argument: u8, values: &[u64]) -> Result<Vec<Way>, BackendError> {
    let condition = |value: &u64| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, *value).map(|only| vec![only])
    };
    values.iter().map(condition).collect()
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;

/// The part of a socket's type that is not flags, <linux/net.h>.
const SOCKET_TYPE: u32 = 0xf;

/// Advice up to MADV_COLLAPSE, without MADV_HWPOISON and above, <linux/mman-common.h>.
const MAX_ADVICE: u64 = 25;

// <asm/prctl.h>
#[cfg(target_arch = "x86_64")]
const ARCH_SET_FS: u64 = 0x1002;
#[cfg(target_arch = "x86_64")]
const ARCH_GET_FS: u64 = 0x1003;
#[cfg(target_arch = "x86_64")]
const ARCH_CET_STATUS: u64 = 0x3001;

const MEMORY: &[c_long] = &[SYS_mmap, SYS_mprotect, SYS_munmap, SYS_mremap, SYS_brk, SYS_msync, SYS_mincore];

const FILES: &[c_long] = &[
    SYS_openat,
    SYS_openat2,
    SYS_newfstatat,
    SYS_fstat,
    SYS_statx,
    SYS_statfs,
    SYS_fstatfs,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_getcwd,
    SYS_chdir,
    SYS_fchdir,
    SYS_mkdirat,
    SYS_unlinkat,
    SYS_renameat,
    SYS_renameat2,
    SYS_truncate,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fadvise64,
    SYS_flock,
    SYS_fsync,
    SYS_fdatasync,
    SYS_sync_file_range,
    SYS_utimensat,
    SYS_umask,
];

const STREAMS: &[c_long] = &[
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_preadv2,
    SYS_pwritev2,
    SYS_lseek,
    SYS_close,
    SYS_close_range,
    SYS_dup,
    SYS_dup3,
    SYS_fcntl,
    SYS_pipe2,
    SYS_eventfd2,
];

const WAITING: &[c_long] = &[
    SYS_pselect6,
    SYS_ppoll,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_gettimeofday,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    SYS_futex,
    SYS_sched_yield,
    SYS_getrandom,
];

const TASKS: &[c_long] = &[
    SYS_clone3,
    SYS_exit,
    SYS_exit_group,
    SYS_wait4,
    SYS_waitid,
    SYS_set_tid_address,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_membarrier,
    SYS_getpid,
    SYS_getppid,
    SYS_gettid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getgroups,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getpgid,
    SYS_getsid,
    SYS_getrusage,
    SYS_times,
    SYS_uname,
    SYS_sysinfo,
    SYS_getcpu,
    SYS_sched_getaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
];

const SIGNALS: &[c_long] = &[
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigpending,
    SYS_rt_sigtimedwait,
    SYS_rt_sigsuspend,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_kill,
    SYS_tkill,
    SYS_tgkill,
];

/// For sockets that are connected already: descriptor 3 and pairs. None can be made, bound or connected.
const SOCKET: &[c_long] = &[
    SYS_sendto,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_shutdown,
    SYS_getsockopt,
    SYS_getsockname,
    SYS_getpeername,
];

/// Older forms of the above.
#[cfg(target_arch = "x86_64")]
const LEGACY: &[c_long] = &[
    SYS_open,
    SYS_creat,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_mkdir,
    SYS_rmdir,
    SYS_unlink,
    SYS_rename,
    SYS_dup2,
    SYS_pipe,
    SYS_eventfd,
    SYS_select,
    SYS_poll,
    SYS_epoll_create,
    SYS_epoll_wait,
    SYS_time,
    SYS_getpgrp,
    SYS_getrlimit,
    SYS_getdents,
];
#[cfg(target_arch = "aarch64")]
const LEGACY: &[c_long] = &[];
