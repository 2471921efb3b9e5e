//! Attempts to use more than was granted. Each is bounded, so that it does no harm outside.

use crate::{Attempt, Run, argument};
use std::fs::File;
use std::io::{self, Write};

/// The attempts, by name. Each achieves its aim if it gets as much as its last argument says.
pub(crate) const ATTEMPTS: &[(&str, Run)] = &[
    ("memory", memory),
    ("descriptors-many", descriptors),
    ("descriptor-number", descriptor_number),
    ("file-size", file_size),
    ("threads-many", threads),
    ("processes-many", processes),
    ("cpu", cpu),
    ("raise-limit", raise_limit),
];

fn number(arguments: &[String], index: usize) -> io::Result<usize> {
    argument(arguments, index)?.parse().map_err(io::Error::other)
}

/// Touches so many MiB of anonymous memory.
fn memory(arguments: &[String]) -> Attempt {
    const MIB: usize = 1 << 20;
    for held in 0..number(arguments, 0)? {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        // SAFETY: a new anonymous mapping that nothing else refers to.
        let place = unsafe { libc::mmap(std::ptr::null_mut(), MIB, protection, flags, -1, 0) };
        if place == libc::MAP_FAILED {
            println!("{held}");
            return Err(io::Error::last_os_error());
        }
    }
    Ok("all of it".to_owned())
}

/// Opens so many descriptors.
fn descriptors(arguments: &[String]) -> Attempt {
    for held in 0..number(arguments, 0)? {
        // SAFETY: takes no pointer; the copies are held to the end of the program.
        if unsafe { libc::dup(1) } < 0 {
            println!("{held}");
            return Err(io::Error::last_os_error());
        }
    }
    Ok("all of them".to_owned())
}

/// Puts a descriptor on a number.
fn descriptor_number(arguments: &[String]) -> Attempt {
    let wanted = i32::try_from(number(arguments, 0)?).map_err(io::Error::other)?;
    // SAFETY: takes no pointer; nothing owns the number.
    crate::checked(unsafe { libc::dup2(1, wanted) }.into())
}

/// Writes so many MiB to a file.
fn file_size(arguments: &[String]) -> Attempt {
    let mut file = File::create(argument(arguments, 0)?)?;
    for _ in 0..number(arguments, 1)? {
        file.write_all(&vec![0; 1 << 20])?;
    }
    Ok("all of it".to_owned())
}

/// Starts so many threads that stay.
fn threads(arguments: &[String]) -> Attempt {
    for held in 0..number(arguments, 0)? {
        let stays = || std::thread::sleep(std::time::Duration::from_secs(60));
        if let Err(error) = std::thread::Builder::new().stack_size(64 * 1024).spawn(stays) {
            println!("{held}");
            return Err(error);
        }
    }
    Ok("all of them".to_owned())
}

/// Starts so many processes that stay until this one ends.
fn processes(arguments: &[String]) -> Attempt {
    let mut children = Vec::new();
    let mut outcome = Ok("all of them".to_owned());
    for held in 0..number(arguments, 0)? {
        // SAFETY: this program has one thread.
        match unsafe { libc::fork() } {
            0 => loop {
                std::thread::sleep(std::time::Duration::from_secs(60));
            },
            -1 => {
                outcome = Err(io::Error::last_os_error());
                println!("{held}");
                break;
            }
            child => children.push(child),
        }
    }
    for child in children {
        // SAFETY: takes no pointers but a null one; the children are this program's.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
    }
    outcome
}

/// Computes for so many seconds of processor time.
fn cpu(arguments: &[String]) -> Attempt {
    let seconds = i64::try_from(number(arguments, 0)?).map_err(io::Error::other)?;
    loop {
        let mut used = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes one timespec.
        unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut used) };
        if used.tv_sec >= seconds {
            return Ok("all of it".to_owned());
        }
    }
}

/// Raises its own limit on descriptors.
fn raise_limit(_: &[String]) -> Attempt {
    let wanted = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    // SAFETY: the call reads one limit.
    crate::checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) }.into())
}
