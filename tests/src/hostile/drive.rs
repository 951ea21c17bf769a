//! Runs targets by the million: same seed, same inputs, however many threads share the work.

use super::{Mutator, Target};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Inputs of one mutator; a thread takes one such piece after another.
const PIECE: u64 = 2000;
/// Longest time for one input; the slowest takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// How it went with one target.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was attacked.
    pub target: Target,
    /// Inputs that were run.
    pub inputs: u64,
    /// How long it took.
    pub took: Duration,
    /// The slowest input.
    pub slowest: Duration,
    /// The first input that broke a promise, and what was said.
    pub failure: Option<Failure>,
}

/// An input that broke a promise.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The input.
    pub input: Vec<u8>,
    /// What was said.
    pub message: String,
}

impl Failure {
    /// Writes the input to a directory as `<target>-<hash>.bin`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, target: Target, directory: &Path) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join(format!("{}-{:016x}.bin", target.name(), hash(&self.input)));
        std::fs::write(&path, &self.input)?;
        Ok(path)
    }
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The target that a saved input belongs to, by the name of its file.
#[must_use]
pub fn target_of(path: &Path) -> Option<Target> {
    let name = path.file_stem()?.to_str()?;
    Target::named(name.split('-').next()?)
}

/// Runs one input and gives what it said if it broke a promise.
///
/// # Errors
/// The message of the panic.
pub fn attempt(target: Target, input: &[u8]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| target.run(input))).map_err(|panic| text_of(panic.as_ref()))
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words")
        .to_owned()
}

/// What the workers share.
struct Work {
    target: Target,
    seed: u64,
    inputs: u64,
    pieces: AtomicU64,
    done: AtomicU64,
    slowest: AtomicU64,
    stop: AtomicBool,
    failure: Mutex<Option<Failure>>,
    /// Per worker: what it is at, since when.
    current: Vec<Mutex<Option<Current>>>,
}

/// Since when, and which input.
type Current = (Instant, Vec<u8>);

/// Runs so many inputs of a target on `jobs` threads, until the first failure; `progress` hears how
/// many are done.
pub fn drive(
    target: Target,
    seed: u64,
    inputs: u64,
    jobs: usize,
    mut progress: impl FnMut(u64),
) -> Report {
    let start = Instant::now();
    let work = Work {
        target,
        seed,
        inputs,
        pieces: AtomicU64::new(0),
        done: AtomicU64::new(0),
        slowest: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        failure: Mutex::new(None),
        current: (0..jobs.max(1)).map(|_| Mutex::new(None)).collect(),
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1))
            .map(|worker| {
                let work = &work;
                scope.spawn(move || work.worker(worker))
            })
            .collect();
        while !workers
            .iter()
            .all(std::thread::ScopedJoinHandle::is_finished)
        {
            std::thread::sleep(Duration::from_millis(100));
            progress(work.done.load(Ordering::Relaxed));
            if let Some(failure) = work.stuck() {
                // The thread cannot be stopped; the caller ends the process.
                work.fail(failure);
                break;
            }
        }
        progress(work.done.load(Ordering::Relaxed));
        if work.stuck().is_some() {
            let failure = lock(&work.failure).clone();
            return_stuck(target, failure);
        }
    });
    Report {
        target,
        inputs: work.done.load(Ordering::Relaxed),
        took: start.elapsed(),
        slowest: Duration::from_micros(work.slowest.load(Ordering::Relaxed)),
        failure: lock(&work.failure).clone(),
    }
}

/// Nothing can stop a thread that hangs, so the process ends here, with the input in hand.
fn return_stuck(target: Target, failure: Option<Failure>) -> ! {
    if let Some(failure) = failure {
        let saved = failure.save(target, &std::env::temp_dir());
        eprintln!("{}: {} ({saved:?})", target.name(), failure.message);
    }
    std::process::exit(1)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Work {
    fn worker(&self, worker: usize) {
        loop {
            let piece = self.pieces.fetch_add(1, Ordering::Relaxed);
            let first = piece * PIECE;
            if first >= self.inputs {
                return;
            }
            let seed = self.seed ^ (piece + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut mutator = Mutator::new(seed, self.target.most_bytes());
            for _ in first..self.inputs.min(first + PIECE) {
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                let input = mutator.next_input();
                let start = Instant::now();
                *lock(&self.current[worker]) = Some((start, input.clone()));
                let result = attempt(self.target, &input);
                *lock(&self.current[worker]) = None;
                let took = start.elapsed().as_micros() as u64;
                self.slowest.fetch_max(took, Ordering::Relaxed);
                self.done.fetch_add(1, Ordering::Relaxed);
                if let Err(message) = result {
                    self.fail(Failure { input, message });
                }
            }
        }
    }

    fn fail(&self, failure: Failure) {
        lock(&self.failure).get_or_insert(failure);
        self.stop.store(true, Ordering::Relaxed);
    }

    /// An input at which a worker has been for too long.
    fn stuck(&self) -> Option<Failure> {
        self.current.iter().find_map(|current| {
            let current = lock(current);
            let (since, input) = current.as_ref()?;
            (since.elapsed() > PATIENCE).then(|| Failure {
                input: input.clone(),
                message: format!("no end after {PATIENCE:?}"),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_counts_and_a_file_tells_its_target() {
        let report = drive(Target::Queue, 1, 300, 2, |_| ());
        assert_eq!(report.inputs, 300);
        assert!(report.failure.is_none(), "{report:?}");
        let directory = tempfile::tempdir().unwrap();
        let failure = Failure {
            input: vec![1, 2],
            message: String::new(),
        };
        let path = failure.save(Target::Scom, directory.path()).unwrap();
        assert_eq!(target_of(&path), Some(Target::Scom));
        assert_eq!(std::fs::read(path).unwrap(), [1, 2]);
        assert_eq!(target_of(Path::new("rubbish-1.bin")), None);
    }
}
