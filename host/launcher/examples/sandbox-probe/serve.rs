//! Behaviour of a well-meaning program, for the tests of streams, status and life.

use std::io::{self, Read, Write};
use std::os::fd::FromRawFd;
use std::time::Duration;

/// Runs a service; nothing if there is none of this name.
pub(crate) fn run(name: &str, arguments: &[String]) -> Option<u8> {
    let outcome = match name {
        "exit" => return arguments.first().and_then(|status| status.parse().ok()),
        "abort" => std::process::abort(),
        "echo" => io::copy(&mut io::stdin(), &mut io::stdout()).map(drop),
        "echo-egress" => echo_egress(),
        "environment" => print(std::env::vars().map(|(name, value)| format!("{name}={value}"))),
        "arguments" => print(std::env::args()),
        "descriptors" => print(open_descriptors().into_iter().map(|number| number.to_string())),
        "list" => list(arguments),
        "identity" => identity(),
        "wait" => wait(),
        "family" => family(),
        "threads" => threads(),
        "runtime" => runtime(arguments),
        "keep" => std::fs::write(&arguments[0], b"kept")
            .and_then(|()| print(std::fs::read_to_string(&arguments[0]))),
        _ => return None,
    };
    Some(if outcome.is_ok() { 0 } else { 1 })
}

fn print(lines: impl IntoIterator<Item = String>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    lines.into_iter().try_for_each(|line| writeln!(out, "{line}"))?;
    out.flush()
}

fn open_descriptors() -> Vec<i32> {
    // SAFETY: asks for flags of a number; takes no pointer.
    (0..70_000).filter(|number| unsafe { libc::fcntl(*number, libc::F_GETFD) } >= 0).collect()
}

fn list(arguments: &[String]) -> io::Result<()> {
    let mut names: Vec<String> = std::fs::read_dir(&arguments[0])?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()?;
    names.sort();
    print(names)
}

fn identity() -> io::Result<()> {
    // SAFETY: these calls take no pointers.
    let (process, parent, user, group, session) =
        unsafe { (libc::getpid(), libc::getppid(), libc::getuid(), libc::getgid(), libc::getsid(0)) };
    print([format!("{process} {parent} {user} {group} {session}")])
}

fn echo_egress() -> io::Result<()> {
    // SAFETY: descriptor 3 is the egress socket, owned by nobody else in this program.
    let mut egress = unsafe { std::os::unix::net::UnixStream::from_raw_fd(3) };
    let mut bytes = [0; 5];
    egress.read_exact(&mut bytes)?;
    egress.write_all(&bytes)
}

/// Says that it is there and waits for ever.
fn wait() -> io::Result<()> {
    print(["ready".to_owned()])?;
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// Two children and a grandchild, all of whom hold standard output, then waits for ever.
fn family() -> io::Result<()> {
    // SAFETY: this program has one thread.
    let forked = || unsafe { libc::fork() };
    let first = forked();
    if first == 0 {
        forked();
        return wait();
    }
    if first < 0 || forked() < 0 {
        return Err(io::Error::last_os_error());
    }
    wait()
}

fn threads() -> io::Result<()> {
    let handles: Vec<_> = (0..3).map(|number| std::thread::spawn(move || number * 2)).collect();
    let sum: i32 = handles.into_iter().filter_map(|handle| handle.join().ok()).sum();
    print([sum.to_string()])
}

/// What connectors are made of: timers, tasks on two threads, blocking file work, and the egress socket, all on tokio.
fn runtime(arguments: &[String]) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // SAFETY: descriptor 3 is the egress socket, owned by nobody else in this program.
    let egress = unsafe { std::os::unix::net::UnixStream::from_raw_fd(3) };
    egress.set_nonblocking(true)?;
    runtime.block_on(async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut egress = tokio::net::UnixStream::from_std(egress)?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let mut line = [0; 5];
        tokio::io::stdin().read_exact(&mut line).await?;
        tokio::fs::write(&arguments[0], &line).await?;
        egress.write_all(&line).await?;
        egress.read_exact(&mut line).await?;
        let copied = format!("{}-copy", arguments[0]);
        tokio::fs::copy(&arguments[0], &copied).await?;
        let kept = tokio::spawn(tokio::fs::read(copied)).await.map_err(io::Error::other)??;
        let mut out = tokio::io::stdout();
        out.write_all(&kept).await?;
        out.write_all(&line).await?;
        out.flush().await
    })
}
