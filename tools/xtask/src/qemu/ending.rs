//! How a run of QEMU ended, and what that means.

use std::{fmt, process::ExitStatus};

/// Last line of an image that found everything right.
pub(crate) const PASS: &str = "OPALINE: PASS";
/// Start of the last line of one that did not.
pub(crate) const FAIL: &str = "OPALINE: FAIL";

/// What happened to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It exited with a code.
    Exit(i32),
    /// It died of a signal.
    Signal(i32),
    /// It was still there when its time was over, and was ended.
    TimedOut,
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exit(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }
}

/// What it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The image ended the run itself and found everything right.
    Passed,
    /// It did not; why.
    Failed(String),
    /// QEMU itself died: says nothing about the image.
    Infrastructure(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Infrastructure(why) => write!(f, "QEMU failed: {why}"),
        }
    }
}

/// Whether the image itself came to a verdict, good or bad.
pub(crate) fn verdict_given(console: &[String]) -> bool {
    console
        .iter()
        .any(|line| line.contains(PASS) || line.contains(FAIL))
}

const SIGABRT: i32 = 6;
const ABORTED: i32 = 128 + SIGABRT;

/// Judges by the ending and the console together: neither alone is enough, since a checkstop may
/// exit 0 and a marker may be printed before a crash.
pub(crate) fn judge(ending: Ending, console: &[String]) -> Outcome {
    let verdict = console.iter().rev().find(|line| line.contains("OPALINE: "));
    let text = |line: &String| {
        line[line.find("OPALINE: ").unwrap_or(0)..]
            .trim()
            .to_owned()
    };
    match (ending, verdict.map(text)) {
        (Ending::Signal(SIGABRT) | Ending::Exit(ABORTED), _) => {
            Outcome::Infrastructure("it aborted".to_owned())
        }
        (Ending::TimedOut, _) => Outcome::Failed("hang: it did not end in time".to_owned()),
        (_, Some(text)) if text.starts_with(FAIL) => Outcome::Failed(text),
        (Ending::Exit(0), Some(text)) if text == PASS => Outcome::Passed,
        (Ending::Exit(0), _) => {
            Outcome::Failed(format!("the machine was switched off without \"{PASS}\""))
        }
        (Ending::Exit(1), _) => Outcome::Failed("attn or checkstop (exit code 1)".to_owned()),
        (Ending::Exit(code), _) => Outcome::Failed(format!("exit code {code}")),
        (Ending::Signal(signal), _) => Outcome::Infrastructure(format!("signal {signal}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_power_off_with_the_marker_passes() {
        let console = |text: &str| vec!["hello".to_owned(), text.to_owned()];
        let pass = console("[    1.234567890,5] OPALINE: PASS");
        assert_eq!(judge(Ending::Exit(0), &pass), Outcome::Passed);
        for (ending, console) in [
            (Ending::Exit(0), console("nothing")),
            (Ending::Exit(1), pass.clone()),
            (Ending::Exit(2), pass.clone()),
            (Ending::TimedOut, pass.clone()),
            (Ending::Exit(0), console("OPALINE: FAIL guest of thread 3")),
            (Ending::Exit(0), console("OPALINE: PASSING")),
        ] {
            assert!(
                matches!(judge(ending, &console), Outcome::Failed(_)),
                "{ending:?}"
            );
        }
        for ending in [Ending::Exit(134), Ending::Signal(6), Ending::Signal(11)] {
            assert!(
                matches!(judge(ending, &pass), Outcome::Infrastructure(_)),
                "{ending:?}"
            );
        }
        let failed = judge(Ending::Exit(1), &console("OPALINE: FAIL guest of thread 3"));
        assert_eq!(
            failed,
            Outcome::Failed("OPALINE: FAIL guest of thread 3".to_owned())
        );
    }
}
