//! A booted system at the other end of the console: commands go in, their output comes back.

use crate::qemu::{Configuration, Remains, Vm};
use anyhow::{Result, bail, ensure};
use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// What the small system says when its shell begins.
pub(crate) const SHELL: &str = "OPALINE-LINUX: a shell";

/// A system with a shell.
#[derive(Debug)]
pub(crate) struct Session {
    vm: Vm,
    /// Lines of the console that were looked at.
    seen: usize,
    /// The beginning of a line in whose middle the kernel spoke.
    held: String,
    commands: u32,
    /// From the start of QEMU to the shell.
    pub(crate) boot: Duration,
    /// What the console showed on the way.
    pub(crate) boot_lines: Vec<String>,
}

impl Session {
    /// Boots and waits for the shell.
    pub(crate) fn start(configuration: &Configuration<'_>, patience: Duration) -> Result<Self> {
        let start = Instant::now();
        let vm = Vm::start(configuration, Box::new(|_| {}))?;
        let mut session = Self {
            vm,
            seen: 0,
            held: String::new(),
            commands: 0,
            boot: Duration::ZERO,
            boot_lines: Vec::new(),
        };
        session.boot_lines = session.wait_for(|line| line == SHELL, patience)?;
        session.boot = start.elapsed();
        Ok(session)
    }

    /// Waits for a line; gives it and the lines before it.
    pub(crate) fn wait_for(
        &mut self,
        wanted: impl Fn(&str) -> bool,
        patience: Duration,
    ) -> Result<Vec<String>> {
        let start = Instant::now();
        let mut lines = Vec::new();
        loop {
            let new = self.vm.lines(self.seen);
            for line in new {
                self.seen += 1;
                let line = put_together(&mut self.held, line);
                let found = wanted(&line);
                lines.push(line);
                if found {
                    return Ok(lines);
                }
            }
            let over = start.elapsed() > patience;
            if over || !self.vm.runs()? {
                let last: Vec<_> = lines.iter().rev().take(25).rev().cloned().collect();
                let last = last.join("\n      ");
                ensure!(
                    over,
                    "QEMU ended; the console's last lines:\n      {last}\n      QEMU said:\n      {}",
                    self.vm.last_words()
                );
                bail!("no answer in time; the console's last lines:\n      {last}");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Socket of the debugger.
    pub(crate) fn socket(&self) -> PathBuf {
        self.vm.socket()
    }

    /// Types a line.
    pub(crate) fn type_line(&mut self, line: &str) -> Result<()> {
        self.vm.type_text(&format!("{line}\n"))
    }

    /// Runs a command; gives its output, or an error if it failed.
    pub(crate) fn run(&mut self, command: &str, patience: Duration) -> Result<Vec<String>> {
        self.commands += 1;
        let number = self.commands;
        // The marks are put together by the shell, so that an echo of the line is none of them.
        self.type_line(&format!(
            "echo BEG''IN {number}; {{ {command}; }} 2>&1; echo EN''D {number} $?"
        ))?;
        let begin = format!("BEGIN {number}");
        self.wait_for(|line| line.ends_with(&begin), patience)?;
        let end = format!("END {number} ");
        let mut lines = self.wait_for(|line| line.starts_with(&end), patience)?;
        let code = lines.pop().unwrap_or_default();
        // The kernel's own messages go to the same console.
        lines.retain(|line| !is_kernel_message(line));
        ensure!(
            code == format!("{end}0"),
            "`{command}` ended with {}: {}",
            code.trim_start_matches(&end),
            lines.join(" | ")
        );
        Ok(lines)
    }

    /// Waits until QEMU ends by itself.
    pub(crate) fn end(self, patience: Duration) -> Result<Remains> {
        self.vm.wait(patience)
    }
}

/// A program's line that the kernel broke into: its beginning is held back until the rest comes, behind
/// the kernel's own lines.
fn put_together(held: &mut String, line: String) -> String {
    if is_kernel_message(&line) {
        return line;
    }
    // `dmesg -r` has a level in front of each.
    let from = if line.starts_with('<') { 4 } else { 0 };
    let places = line.match_indices('[').map(|(place, _)| place);
    let places = places.filter(|place| *place >= from);
    let mut found = places.filter(|place| is_kernel_message(&line[*place..]));
    match found.next_back() {
        Some(place) => {
            held.push_str(&line[..place]);
            line[place..].to_owned()
        }
        None => core::mem::take(held) + &line,
    }
}

/// `[   12.345678] text`.
fn is_kernel_message(line: &str) -> bool {
    line.strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .is_some_and(|(time, _)| time.trim().parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_breaks_into_is_one_line_again() {
        let console = [
            "BEGIN 3[   11.880657] \tHMER: 0840000000000000",
            "[   11.882876] \tTFMR: 1212000980220000",
            "0[   11.882900] again",
            "",
            "[    1.5] a list, [x] of [2.5 words]",
            "<3>[    0.788599] nvram: none",
            "END 30 0",
        ];
        let mut held = String::new();
        let lines = console.map(|line| put_together(&mut held, line.to_owned()));
        assert_eq!(
            lines,
            [
                "[   11.880657] \tHMER: 0840000000000000",
                "[   11.882876] \tTFMR: 1212000980220000",
                "[   11.882900] again",
                "BEGIN 30",
                "[    1.5] a list, [x] of [2.5 words]",
                "<3>[    0.788599] nvram: none",
                "END 30 0",
            ]
        );
    }

    #[test]
    fn kernel_messages_are_told_from_output() {
        assert!(is_kernel_message("[    9.901531] reboot: Power down"));
        assert!(!is_kernel_message("[x] y"));
        assert!(!is_kernel_message("0-3"));
    }
}
