//! What a case may say beyond its grammar: places that exist, threads that can be there.

use super::case::{Case, Doing, Processor, Who};
use super::register::Named;
use std::collections::BTreeSet;

/// A step on the way to a key of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A key of a table.
    Key(&'static str),
    /// An element of a list.
    Index(usize),
}

/// Something that a case says wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The way to the key.
    pub path: Vec<Step>,
    /// What is wrong.
    pub what: String,
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, path: &[Step], what: impl Into<String>) {
        self.0.push(Problem {
            path: path.to_vec(),
            what: what.into(),
        });
    }

    fn exists(&mut self, path: &[Step], what: &str, given: usize, most: usize) {
        if given >= most {
            self.add(
                path,
                format!("{what} {given} does not exist: there are {most}"),
            );
        }
    }

    fn register(&mut self, path: &[Step], name: &str) {
        if Named::parse(name).is_none() {
            self.add(
                path,
                format!("no such register {name:?}: {}", Named::known()),
            );
        }
    }

    fn who(&mut self, path: &[Step], case: &Case, who: &Who) {
        let at = |key| [path, &[Step::Key(key)]].concat();
        let shape = &case.shape;
        if let Some(chip) = who.chip {
            self.exists(&at("chip"), "chip", chip, shape.chips);
        }
        if let Some(core) = who.core {
            self.exists(&at("core"), "core", core, shape.all_cores());
        }
        for number in who.number.iter().flatten() {
            self.exists(&at("number"), "thread number", *number, shape.threads);
        }
        for thread in who.thread.iter().flatten() {
            self.exists(&at("thread"), "thread", *thread, shape.all_threads());
        }
    }
}

impl Case {
    /// What is wrong with the case; nothing, if it can be run.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        self.check_shape(&mut problems);
        if !problems.0.is_empty() {
            // The rest is counted in cores and threads.
            return problems.0;
        }
        self.check_threads(&mut problems);
        self.check_faults(&mut problems);
        self.check_expectation(&mut problems);
        problems.0
    }

    fn check_shape(&self, problems: &mut Problems) {
        use Step::Key;
        let shape = &self.shape;
        let at = |key| [Key("shape"), Key(key)];
        if self.title.trim().is_empty() {
            problems.add(&[Key("title")], "a case needs a title");
        }
        if self.generations.is_empty() {
            problems.add(&[Key("generations")], "no generation to run on");
        }
        if self.generations.iter().collect::<BTreeSet<_>>().len() != self.generations.len() {
            problems.add(&[Key("generations")], "a generation is named twice");
        }
        if self.seeds.is_empty() {
            problems.add(&[Key("seeds")], "no seed to run with");
        }
        let power8 = self.generations.contains(&Processor::Power8);
        let only8 = self.generations == [Processor::Power8];
        let (cores, threads) = (if power8 { 16 } else { 32 }, if only8 { 8 } else { 4 });
        for (key, given, most) in [
            ("chips", shape.chips, 16),
            ("cores", shape.cores, cores),
            ("threads", shape.threads, threads),
        ] {
            if !(1..=most).contains(&given) {
                problems.add(
                    &at(key),
                    format!("{key} must be 1 to {most} on these generations"),
                );
            }
        }
        if shape.all_threads() > 64 {
            problems.add(&at("threads"), "more than 64 threads in all");
        }
        if !only8 && shape.subcores != 1 {
            problems.add(&at("subcores"), "only POWER8 has sub-cores");
        }
        if ![1, 2, 4].contains(&shape.subcores)
            || !shape.threads.is_multiple_of(shape.subcores.max(1))
        {
            problems.add(
                &at("subcores"),
                "sub-cores are 1, 2 or 4, and divide the threads",
            );
        }
        if shape.fused && (power8 || !shape.cores.is_multiple_of(2)) {
            problems.add(
                &at("fused"),
                "fused cores are pairs of small cores of POWER9 or POWER10",
            );
        }
    }

    fn check_threads(&self, problems: &mut Problems) {
        use Step::{Index, Key};
        for (index, entry) in self.threads.iter().enumerate() {
            let path = [Key("thread"), Index(index)];
            problems.who(&[&path[..], &[Key("who")]].concat(), self, &entry.who);
            let timed = matches!(
                entry.doing,
                Doing::HostClosed | Doing::Late | Doing::Offline | Doing::Opal
            );
            if entry.spins != 0 && !timed {
                problems.add(
                    &[&path[..], &[Key("spins")]].concat(),
                    format!("spins mean nothing for {:?}", entry.doing),
                );
            }
            if entry.accesses != 0 && entry.doing != Doing::Dies {
                problems.add(
                    &[&path[..], &[Key("accesses")]].concat(),
                    "only a thread that dies has accesses",
                );
            }
        }
        self.check_guests(problems);
    }

    fn check_guests(&self, problems: &mut Problems) {
        use Step::{Index, Key};
        let shape = &self.shape;
        let power8 = self.generations.contains(&Processor::Power8);
        let mut guests = vec![0; shape.all_cores()];
        let mut last = 0;
        for thread in 0..shape.all_threads() {
            let entries = self.threads.iter().enumerate().rev();
            let mine = entries
                .clone()
                .find(|(_, entry)| entry.who.means(shape, thread));
            if let Some((index, entry)) = mine
                && matches!(entry.doing, Doing::Guest | Doing::Entering | Doing::Leaving)
            {
                guests[thread / shape.threads] += 1;
                last = index;
            }
        }
        if power8 && guests.iter().any(|guests| *guests > 1) {
            problems.add(
                &[Key("thread"), Index(last), Key("doing")],
                "the threads of a POWER8 core share TB: one of them at a time is in a guest",
            );
        }
        for (index, entry) in self.threads.iter().enumerate() {
            let resyncs = entry.doing == Doing::Resync
                && (0..shape.all_threads()).any(|thread| {
                    entry.who.means(shape, thread) && guests[thread / shape.threads] != 0
                });
            if resyncs {
                problems.add(
                    &[Key("thread"), Index(index), Key("doing")],
                    "an OS does not resync a core that has guests",
                );
            }
        }
    }

    fn check_faults(&self, problems: &mut Problems) {
        use Step::{Index, Key};
        for (index, fault) in self.faults.iter().enumerate() {
            let at = |key| [Key("fault"), Index(index), Key(key)];
            if fault.kind == super::Kind::Scom {
                let chip = fault.chip.unwrap_or(0);
                problems.exists(&at("chip"), "chip", chip, self.shape.chips);
                if fault.address.is_none() {
                    problems.add(&at("kind"), "a SCOM register needs the key \"address\"");
                }
            } else if let Err((key, what)) = fault.model(&self.shape) {
                problems.add(&at(key), what);
            }
            for processor in &self.generations {
                if !fault.exists_on(*processor) {
                    problems.add(
                        &at("kind"),
                        format!("{:?} does not exist on {processor}", fault.kind),
                    );
                }
            }
            if let Some(who) = &fault.threads {
                problems.who(&at("threads"), self, who);
            }
            let when = &fault.when;
            let in_when = |key| [Key("fault"), Index(index), Key("when"), Key(key)];
            let ways = [
                when.after.is_some(),
                when.read.is_some(),
                when.write.is_some(),
                when.phase.is_some(),
                when.doing.is_some(),
            ];
            if ways.iter().filter(|way| **way).count() > 1 {
                problems.add(
                    &at("when"),
                    "one of after, read, write, phase, doing says when",
                );
            }
            for (key, name) in [("read", &when.read), ("write", &when.write)] {
                if let Some(name) = name {
                    problems.register(&in_when(key), name);
                }
            }
            if let Some(thread) = when.thread {
                problems.exists(
                    &in_when("thread"),
                    "thread",
                    thread,
                    self.shape.all_threads(),
                );
            }
            if let Some(core) = when.core {
                problems.exists(&in_when("core"), "core", core, self.shape.all_cores());
            }
            if when.nth == Some(0) {
                problems.add(&in_when("nth"), "nth counts from 1");
            }
        }
    }

    fn check_expectation(&self, problems: &mut Problems) {
        use Step::{Index, Key};
        let expect = &self.expect;
        let at = |list, index, key| [Key("expect"), Key(list), Index(index), Key(key)];
        for (index, flags) in expect.flags.iter().enumerate() {
            problems.who(&at("flags", index, "who"), self, &flags.who);
        }
        for (index, core) in expect.cores.iter().enumerate() {
            problems.exists(
                &at("core", index, "core"),
                "core",
                core.core,
                self.shape.all_cores(),
            );
        }
        for (index, tod) in expect.tods.iter().enumerate() {
            problems.exists(
                &at("tod", index, "chip"),
                "chip",
                tod.chip,
                self.shape.chips,
            );
        }
        for (index, register) in expect.registers.iter().enumerate() {
            let chip = register.chip;
            problems.exists(
                &at("register", index, "chip"),
                "chip",
                chip,
                self.shape.chips,
            );
        }
        for (index, count) in expect.counts.iter().enumerate() {
            problems.register(&at("count", index, "register"), &count.register);
        }
        for (index, trace) in expect.traces.iter().enumerate() {
            problems.who(&at("trace", index, "who"), self, &trace.who);
            for name in &trace.registers {
                problems.register(&at("trace", index, "registers"), name);
            }
            for line in &trace.writes {
                if super::trace::Write::parse(line, 0).is_none() {
                    problems.add(
                        &at("trace", index, "writes"),
                        format!("{line:?} is not a register and a value"),
                    );
                }
            }
        }
        for (index, event) in expect.events.iter().flatten().enumerate() {
            if let Some(bytes) = &event.bytes
                && super::compare::bytes(bytes).is_none_or(|bytes| bytes.len() != 40)
            {
                problems.add(
                    &at("events", index, "bytes"),
                    "an event has 40 bytes in hex",
                );
            }
        }
    }
}
