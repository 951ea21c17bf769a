//! A small part of the random campaign; the whole of it is `cargo xtask campaign`.

use opaline_tests::campaign::random::{campaign, generate, shrink};
use std::sync::atomic::AtomicBool;

/// Cases of this test; OPALINE_CASES for more.
const CASES: u64 = 1000;

#[test]
fn nothing_that_is_said_is_wrong() {
    let cases = std::env::var("OPALINE_CASES");
    let cases = cases.map_or(CASES, |text| text.parse().expect("a number"));
    let stop = AtomicBool::new(false);
    let (reached, tally) = campaign(0, cases, 2, &stop, |_, _| {});
    assert_eq!(reached, cases);
    println!(
        "{} recovered, {} failed\n{}",
        tally.recovered, tally.failed, tally.rows
    );
    if let Some((number, why)) = tally.wrong.first() {
        let (case, why) = shrink(&generate(*number), why, 500);
        let count = tally.wrong.len();
        panic!("{count} wrong; number {number}: {why}\n{}", case.to_toml());
    }
    assert!(tally.recovered > cases / 2 && tally.failed > cases / 100);
}

#[test]
fn a_number_is_always_the_same_case() {
    for number in 0..500 {
        let case = generate(number);
        assert_eq!(case, generate(number));
        assert_eq!(case.check(), [], "{case:#?}");
    }
}
