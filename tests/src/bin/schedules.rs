//! Recoveries of many threads in orders that shuttle chooses; `cargo xtask schedules` starts it.
#![forbid(unsafe_code)]

use anyhow::Result;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use opaline_tests::campaign::schedules::{Count, ORDERS, run, set};
use std::io::IsTerminal as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Debug, Parser)]
#[command(about = "Recoveries of 8 and 16 threads in many orders, each judged")]
struct Arguments {
    /// Orders in all
    #[arg(long, default_value_t = 10_000)]
    count: u64,
    /// Number of the first set; each has 20 orders
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// OS threads
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    jobs: usize,
    /// Runs one set again, and says what is in it; of an order that is wrong, every step
    #[arg(long)]
    replay: Option<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(number) = arguments.replay {
        return replay(number);
    }
    match many(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn replay(number: u64) -> ExitCode {
    let set = set(number);
    println!("{}\nscheduler: {:?}", set.case.to_toml(), set.scheduler);
    // A panic says what was wrong, and in which order.
    let count = run(&set, ORDERS, true);
    println!("{count:?}");
    ExitCode::SUCCESS
}

/// True when nothing that was said was wrong.
fn many(arguments: &Arguments) -> Result<bool> {
    let sets = arguments.count.div_ceil(ORDERS as u64);
    let bar = if std::io::stdout().is_terminal() {
        ProgressBar::new(sets * ORDERS as u64)
    } else {
        ProgressBar::hidden()
    };
    bar.set_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} {per_sec}, {eta} left",
    )?);
    bar.enable_steady_tick(Duration::from_millis(250));
    let start = Instant::now();
    let next = AtomicU64::new(0);
    let done = Mutex::new((Count::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= sets {
                        break;
                    }
                    let number = arguments.seed.wrapping_add(index);
                    let ran = catch_unwind(AssertUnwindSafe(|| run(&set(number), ORDERS, false)));
                    let mut done = done.lock().expect("nobody panics with it");
                    match ran {
                        Ok(count) => done.0.join(count),
                        Err(_) => {
                            // At once: a long run may be stopped before its end.
                            eprintln!("WRONG: cargo xtask schedules --replay {number}");
                            done.1.push(number);
                        }
                    }
                    bar.inc(ORDERS as u64);
                }
            });
        }
    });
    bar.finish_and_clear();
    let (count, mut wrong) = done.into_inner().expect("nobody panics with it");
    let seconds = start.elapsed().as_secs_f64();
    let runs = count.recovered + count.failed;
    println!(
        "{runs} orders of {sets} sets in {seconds:.1} s, {:.0} a second; {} with 16 threads, the others with 8; {} with guests",
        runs as f64 / seconds,
        count.sixteen,
        count.guests
    );
    println!(
        "{} recovered, {} honestly failed, {} sets wrong",
        count.recovered,
        count.failed,
        wrong.len()
    );
    wrong.sort_unstable();
    for number in &wrong {
        println!("WRONG: cargo xtask schedules --replay {number}");
    }
    Ok(wrong.is_empty())
}
