//! Counts of tests, and the summary at the end.

/// What was run, and what was not.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: usize,
    failures: Vec<String>,
    skips: Vec<String>,
}

impl Tally {
    /// One test passed.
    pub(crate) fn pass(&mut self, name: &str) {
        println!("  ok    {name}");
        self.passed += 1;
    }

    /// One test failed.
    pub(crate) fn fail(&mut self, name: &str, why: &str) {
        println!("  FAIL  {name}: {why}");
        self.failures.push(format!("{name}: {why}"));
    }

    /// One part could not run here.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        println!("  skip  {name}: {why}");
        self.skips.push(format!("{name}: {why}"));
    }

    /// A test that passed if nothing is wrong.
    pub(crate) fn check(&mut self, name: &str, wrong: &[String]) {
        if wrong.is_empty() {
            self.pass(name)
        } else {
            self.fail(name, &wrong.join("; "))
        }
    }

    /// Tests that a harness counted itself; the ones that it ignored are skips.
    pub(crate) fn add(&mut self, name: &str, counts: &Counts) {
        println!(
            "  {}  {name}: {} passed, {} failed, {} ignored",
            if counts.failed == 0 { "ok  " } else { "FAIL" },
            counts.passed,
            counts.failed,
            counts.ignored.len()
        );
        self.passed += counts.passed;
        self.failures
            .extend((0..counts.failed).map(|n| format!("{name}: failure {}", n + 1)));
        self.skips.extend(
            counts
                .ignored
                .iter()
                .map(|ignored| format!("{name}: {ignored}")),
        );
    }

    /// Adds what another part counted.
    pub(crate) fn join(&mut self, other: Self) {
        self.passed += other.passed;
        self.failures.extend(other.failures);
        self.skips.extend(other.skips);
    }

    /// Whether the whole is a success; with `strict`, skips are not.
    pub(crate) fn good(&self, strict: bool) -> bool {
        self.failures.is_empty() && self.passed > 0 && (!strict || self.skips.is_empty())
    }

    /// Prints failures and skips by name, then the closing line.
    pub(crate) fn print(&self, strict: bool) {
        if !self.failures.is_empty() {
            println!("\nFailed:");
            self.failures
                .iter()
                .for_each(|failure| println!("  {failure}"));
        }
        if !self.skips.is_empty() {
            println!(
                "\nSkipped{}:",
                if strict { " (refused by --strict)" } else { "" }
            );
            self.skips.iter().for_each(|skip| println!("  {skip}"));
        }
        println!("\n{}", self.closing_line());
    }

    fn closing_line(&self) -> String {
        let skipped = match self.skips.len() {
            0 => String::new(),
            count => format!(", {count} skipped"),
        };
        format!(
            "{} passed, {} failed{skipped}",
            self.passed,
            self.failures.len()
        )
    }
}

/// What a harness reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// By name, with the reason if one is given.
    pub(crate) ignored: Vec<String>,
}

impl Counts {
    /// Sums up the `test result:` lines of `cargo test`, and names what was ignored.
    pub(crate) fn parse(output: &str) -> Self {
        let mut counts = Self::default();
        for line in output.lines() {
            if let Some((_, result)) = line.split_once("test result: ") {
                for part in result.split([';', '.']) {
                    let mut words = part.split_whitespace();
                    let (Some(number), Some(what)) = (words.next(), words.next()) else {
                        continue;
                    };
                    let Ok(number) = number.parse::<usize>() else {
                        continue;
                    };
                    match what {
                        "passed" => counts.passed += number,
                        "failed" => counts.failed += number,
                        _ => {}
                    }
                }
            } else if let Some((name, reason)) = line
                .strip_prefix("test ")
                .and_then(|line| line.split_once(" ... ignored"))
            {
                counts.ignored.push(format!("{name}{reason}"));
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_cargo_test_are_summed() {
        let output = "running 3 tests\n\
            test slow::one ... ignored, starts cargo\n\
            test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.31s\n\
            test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 5 filtered out; finished in 1.20s\n";
        let counts = Counts::parse(output);
        assert_eq!((counts.passed, counts.failed), (15, 2));
        assert_eq!(counts.ignored, ["slow::one, starts cargo"]);
        assert_eq!(Counts::parse("error: could not compile"), Counts::default());
    }

    #[test]
    fn closing_line_and_strictness() {
        let mut tally = Tally::default();
        assert!(!tally.good(false), "nothing ran");
        tally.pass("a");
        assert_eq!(tally.closing_line(), "1 passed, 0 failed");
        assert!(tally.good(true));
        tally.skip("b", "no tool");
        assert_eq!(tally.closing_line(), "1 passed, 0 failed, 1 skipped");
        assert!(tally.good(false) && !tally.good(true));
        tally.check("c", &["wrong".to_owned()]);
        let harness = Counts {
            passed: 2,
            failed: 1,
            ignored: vec!["slow".to_owned()],
        };
        tally.add("d", &harness);
        assert_eq!(tally.closing_line(), "3 passed, 2 failed, 2 skipped");
        assert!(!tally.good(false));
    }
}
