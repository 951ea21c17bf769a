//! Hostile input to everything that reads what others wrote: no panic, no hang, no lie.
//!
//! The same cases in each run, unless PROPTEST_RNG_SEED asks for others; PROPTEST_CASES for more.
//! `cargo xtask hostile` runs the same targets by the million.

use opaline_tests::hostile::drive::{attempt, target_of};
use opaline_tests::hostile::{Target, device_tree_blob};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

fn attack(target: Target, cases: u32) {
    let given = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() {
        given.cases
    } else {
        cases
    };
    let rng_seed = match given.rng_seed {
        RngSeed::Random => RngSeed::Fixed(0x6f70_616c),
        fixed => fixed,
    };
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        rng_seed,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..given
    });
    let bytes = prop::collection::vec(any::<u8>(), 0..target.most_bytes());
    let result = runner.run(&bytes, |input| {
        target.run(&input);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{}: {error}", target.name());
    }
}

#[test]
fn device_trees() {
    attack(Target::Fdt, 1500);
}

#[test]
fn calls_while_the_hardware_fails() {
    attack(Target::Opal, 300);
}

#[test]
fn scoms_that_lie() {
    attack(Target::Scom, 300);
}

#[test]
fn register_words_at_entry() {
    attack(Target::Words, 500);
}

#[test]
fn the_event_queue() {
    attack(Target::Queue, 2000);
}

/// An OS that never drains: a million posts, of both kinds, and nothing fetched before the end.
#[test]
fn an_event_queue_that_is_never_drained() {
    // Each byte is 32 posts of one kind: recovered, not recovered, the same again.
    let input: Vec<u8> = [0xfb, 0xfa, 0xff]
        .into_iter()
        .cycle()
        .take(31_250)
        .collect();
    Target::Queue.run(&input);
}

#[test]
fn dumps_and_lines_that_tools_read() {
    attack(Target::Dumps, 4000);
}

/// Inputs that once broke a promise.
#[test]
fn saved_inputs() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile-inputs");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("the directory")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let target = target_of(&file).expect("a target's name");
        let input = std::fs::read(&file).expect("a file");
        if let Err(message) = attempt(target, &input) {
            panic!("{}: {message}", file.display());
        }
    }
}

/// What we accept, the device tree compiler accepts; it may accept more.
#[test]
fn the_compiler_takes_every_tree_that_the_firmware_takes() {
    let Ok(directory) = tempfile::tempdir() else {
        return;
    };
    let path = directory.path().join("tree.dtb");
    let compile = || {
        let mut command = std::process::Command::new("dtc");
        command
            .args(["-q", "-f", "-I", "dtb", "-O", "null"])
            .arg(&path);
        command.output()
    };
    let mut mutator = opaline_tests::hostile::Mutator::new(3, Target::Fdt.most_bytes());
    let (mut both, mut stricter, mut neither) = (0, 0, 0);
    for _ in 0..400 {
        let input = mutator.next_input();
        let blob = device_tree_blob(&input);
        std::fs::write(&path, &blob).expect("a file");
        let Ok(output) = compile() else {
            eprintln!("skipped: there is no dtc");
            return;
        };
        let ours = opaline_firmware::platform::device_tree::parse(&blob);
        match (ours.is_ok(), output.status.success()) {
            (true, true) => both += 1,
            (false, true) => stricter += 1,
            (false, false) => neither += 1,
            (true, false) => panic!(
                "{input:?}: accepted by us, not by dtc: {}",
                String::from_utf8_lossy(&output.stderr)
            ),
        }
    }
    println!("both accept {both}, only dtc {stricter}, neither {neither}");
    assert!(both > 0 && neither > 0);
}
