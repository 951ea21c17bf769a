//! SCOM accesses fail at every step of every path; the whole set is `cargo xtask campaign --scom`.

use hardware_model::XscomAnswer;
use opaline_tests::campaign::scom::{ANSWERS, campaign};

/// One status that ends an access, one that is tried again, and no answer at all.
#[test]
fn no_hang_and_no_lie() {
    let chosen = |answer: usize| {
        matches!(
            ANSWERS[answer],
            XscomAnswer::Status(2 | 4) | XscomAnswer::NeverDone
        )
    };
    let table = campaign(2, |_| true, chosen, |_, _| true);
    println!("{table}");
    for (step, why) in table.lies.iter().take(10) {
        println!("{step}: {why}");
    }
    assert!(table.lies.is_empty(), "{} lies", table.lies.len());
    assert!(table.broken.is_empty(), "{:#?}", table.broken);
    assert!(table.tried() > 1000, "{} tried", table.tried());
}
