//! `fcp-sim soak`: worlds without end, until one breaks.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use fcp_sim::schedule::Schedule;
use fcp_sim::shrink::shrink;
use fcp_sim::world::World;

#[derive(Parser)]
#[command(about = "Plays worlds that try to break the machines", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plays a range of seeds and prints `seed S trace HASH` for each
    ///
    /// Example: fcp-sim soak --seeds 1..100 --nodes 5 --hours 1
    Soak {
        /// The seeds, the last one included
        #[arg(long, value_name = "A..B", value_parser = seeds)]
        seeds: (u64, u64),
        /// Nodes in each world
        #[arg(long, default_value_t = 3)]
        nodes: usize,
        /// Virtual hours of faults in each world
        #[arg(long, default_value_t = 1.0)]
        hours: f64,
    },
}

fn seeds(text: &str) -> Result<(u64, u64), String> {
    let (first, last) = text.split_once("..").ok_or("write the range as FIRST..LAST")?;
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no number"));
    Ok((number(first)?, number(last)?))
}

fn main() -> ExitCode {
    let Command::Soak { seeds: (first, last), nodes, hours } = Arguments::parse().command;
    let span = Duration::from_secs_f64(hours.clamp(0.001, 10_000.0) * 3_600.0);
    let (mut simulated, mut violations) = (0.0, 0);
    for seed in first..=last {
        let schedule = Schedule::draw(seed, nodes, span);
        let outcome = World::play(&schedule);
        simulated += hours;
        println!(
            "seed {seed} trace {} events {} heard {} fetched {}",
            outcome.trace.digest(),
            outcome.trace.events(),
            outcome.heard,
            outcome.fetched
        );
        if let Some(violation) = outcome.violation {
            violations += 1;
            println!("VIOLATION {violation}");
            outcome.trace.tail().for_each(|line| println!("  {line}"));
            println!(
                "replay: cargo run --release -p fcp-sim -- soak --seeds {seed}..{seed} --nodes {nodes} --hours {hours}"
            );
            for (at, fault) in shrink(&schedule).faults {
                println!("  at {:.3} s: {fault:?}", at.as_nanos() as f64 / 1e9);
            }
        }
    }
    println!("{simulated} simulated hours, {violations} violations");
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
