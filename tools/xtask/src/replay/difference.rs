//! The first differences of two runs, in words.

use super::traces::{Traces, words};
use hypervisor_shim::control::{Header, ThreadStatus};

/// Most differences that are told of each part.
const MOST: usize = 5;

/// What is not the same, byte for byte; empty if nothing is.
pub(super) fn between(first: &Traces, second: &Traces) -> Vec<String> {
    let mut differences = Vec::new();
    for (what, a, b, name) in [
        (
            "control block",
            &first.control,
            &second.control,
            control_word as fn(usize) -> String,
        ),
        (
            "flight recorder",
            &first.recorder,
            &second.recorder,
            |index| format!("word {index}"),
        ),
    ] {
        if a == b {
            continue;
        }
        let pairs = words(a).zip(words(b)).enumerate();
        let mut found: Vec<String> = pairs
            .filter(|(_, (a, b))| a != b)
            .map(|(index, (a, b))| format!("{what}: {} is {a:#x}, then {b:#x}", name(index)))
            .collect();
        let all = found.len();
        found.truncate(MOST);
        differences.extend(found);
        differences.push(format!(
            "{what}: {all} words differ between two equal seeds"
        ));
    }
    if first.console != second.console {
        let lines = first.console.lines().zip(second.console.lines());
        let line = lines.into_iter().find(|(a, b)| a != b);
        differences.push(match line {
            Some((a, b)) => format!("console: `{a}`, then `{b}`"),
            None => "console: one is longer".to_owned(),
        });
    }
    differences
}

/// The name of a word of the control block.
fn control_word(index: usize) -> String {
    let header = Header::NAMES.len();
    match index.checked_sub(header) {
        None => Header::NAMES[index].to_owned(),
        Some(rest) => {
            let status = ThreadStatus::NAMES.len();
            format!(
                "thread {}: {}",
                rest / status,
                ThreadStatus::NAMES[rest % status]
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces(words: &[u64]) -> Traces {
        Traces {
            control: words.iter().flat_map(|word| word.to_be_bytes()).collect(),
            recorder: vec![0; 32],
            console: "one\ntwo\n".to_owned(),
            breaks: 1,
        }
    }

    #[test]
    fn one_bit_is_found_and_named() {
        let same = traces(&[1; 80]);
        assert!(between(&same, &same.clone()).is_empty());
        let mut other = same.clone();
        // The lowest bit of the second word of the first thread.
        other.control[8 * (Header::NAMES.len() + 1) + 7] ^= 1;
        let found = between(&same, &other);
        assert!(
            found[0].contains("thread 0: activity is 0x1, then 0x0"),
            "{found:?}"
        );
        let mut other = same.clone();
        other.recorder[9] = 1;
        assert!(between(&same, &other)[0].contains("flight recorder: word 1"));
        let mut other = same.clone();
        other.console = "one\n2\n".to_owned();
        assert!(between(&same, &other)[0].contains("`two`, then `2`"));
    }
}
