//! From flight-recorder records to episodes and words.

use flight_recorder::{Record, Step};
use power_registers::{Hmer, Tfmr};
use std::collections::BTreeMap;

/// What one break of the timebase set off, from the first thread that noticed to the last that
/// went on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Episode {
    /// In the order in which they happened.
    pub(crate) records: Vec<Record>,
}

impl Episode {
    /// The threads in it, by PIR.
    pub(crate) fn threads(&self) -> Vec<u32> {
        let mut threads: Vec<u32> = self.records.iter().map(|record| record.pir).collect();
        threads.sort_unstable();
        threads.dedup();
        threads
    }

    /// Whether anything in it went wrong.
    pub(crate) fn troubled(&self) -> bool {
        self.records
            .iter()
            .any(|record| kind(record.step) == Kind::Trouble)
    }
}

/// What sort of step it is; decides how it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The HMI arrives, or somebody is called to help.
    Alarm,
    /// The hypervisor's own work.
    Hypervisor,
    /// Waiting for others.
    Wait,
    /// The firmware's repair.
    Repair,
    /// Back to work.
    Onward,
    /// Something ran out or was given up.
    Trouble,
}

impl Kind {
    /// All, in the order of the legend.
    pub(crate) const ALL: [Self; 6] = [
        Self::Alarm,
        Self::Hypervisor,
        Self::Wait,
        Self::Repair,
        Self::Onward,
        Self::Trouble,
    ];

    /// Class name in the page.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Hypervisor => "hypervisor",
            Self::Wait => "wait",
            Self::Repair => "repair",
            Self::Onward => "onward",
            Self::Trouble => "trouble",
        }
    }

    /// Words of the legend.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Hypervisor => "hypervisor shim",
            Self::Wait => "waiting for siblings",
            Self::Repair => "firmware repairs",
            Self::Onward => "goes on",
            Self::Trouble => "trouble",
        }
    }
}

/// Sorts a step.
pub(crate) fn kind(step: Step) -> Kind {
    match step {
        Step::HmiInHost | Step::HmiInGuest | Step::Summoned | Step::BreakTimebase => Kind::Alarm,
        Step::LeftGuest
        | Step::CallFirmware
        | Step::FirmwareReturned
        | Step::Claimed
        | Step::Resynced => Kind::Hypervisor,
        Step::WaitForGuests
        | Step::GuestsOut
        | Step::SiblingsBack
        | Step::Join
        | Step::AllArrived => Kind::Wait,
        Step::GoOn | Step::EnterGuest | Step::Return => Kind::Onward,
        Step::WaitExpired | Step::Abort | Step::Absent => Kind::Trouble,
        _ => Kind::Repair,
    }
}

/// A short label for a step.
pub(crate) fn label(step: Step) -> &'static str {
    match step {
        Step::HmiInHost => "HMI in host",
        Step::HmiInGuest => "HMI in guest",
        Step::Summoned => "summoned",
        Step::LeftGuest => "left guest",
        Step::WaitForGuests => "wait for guests",
        Step::GuestsOut => "guests are out",
        Step::SiblingsBack => "siblings are back",
        Step::CallFirmware => "call firmware",
        Step::FirmwareReturned => "firmware is back",
        Step::Claimed => "claims resync",
        Step::Resynced => "resynced",
        Step::GoOn => "go on",
        Step::EnterGuest => "enter guest",
        Step::BreakTimebase => "break TB",
        Step::WaitExpired => "wait expired",
        Step::Arrive => "arrive",
        Step::Join => "join meeting",
        Step::AllArrived => "all arrived",
        Step::RepairTfmr => "repair TFMR",
        Step::Clean => "clean TB",
        Step::Clear => "clear errors",
        Step::RepairLocal => "repair own SPRs",
        Step::Reload => "reload from TOD",
        Step::Running => "TB runs",
        Step::Check => "check",
        Step::Return => "return",
        Step::Abort => "ABORT",
        Step::Event => "queue event",
        Step::TodError => "TOD error",
        Step::TodRestart => "TOD restart",
        Step::TodRefused => "TOD refused",
        Step::Absent => "absent threads",
        Step::Recovered => "core recovered",
        Step::Alert => "malfunction alert",
        Step::Fir => "FIR",
        // A step that a newer recorder knows: its own name is in the table.
        #[allow(unreachable_patterns)]
        _ => "step",
    }
}

/// What the arguments of a step say.
pub(crate) fn details(record: &Record) -> String {
    let [first, second] = record.arguments;
    match record.step {
        Step::HmiInHost | Step::HmiInGuest => format!("HSRR0 {first:#x}, HSRR1 {second:#018x}"),
        Step::Summoned | Step::WaitForGuests | Step::Claimed => format!("core word {first:#x}"),
        Step::LeftGuest => format!("offset removed {:+} ticks", second as i64),
        Step::GuestsOut | Step::SiblingsBack => {
            format!("core word {first:#x}, after {second} spins")
        }
        Step::CallFirmware => format!("token {first}"),
        Step::Arrive => format!("found {:?}", Hmer::from_bits_retain(first)),
        Step::FirmwareReturned => format!("return code {}, flags {second:#x}", first as i64),
        Step::Resynced => format!("return code {}", first as i64),
        Step::GoOn => format!("epoch {first}"),
        Step::EnterGuest => format!("offset {:+} ticks, {second} checks so far", first as i64),
        Step::BreakTimebase => format!("TFMR written {first:#018x}"),
        Step::WaitExpired => format!("core word {first:#x}, missing {second:#x}"),
        Step::Join => format!("coordinator {first:#x}"),
        Step::AllArrived => format!("coordinator {first:#x}, after {second} spins"),
        Step::RepairTfmr => if first == 1 {
            "corruption gone"
        } else {
            "corruption stays"
        }
        .into(),
        Step::Clean if first == 0 => "TB left as it is".into(),
        Step::Clean => format!("TB seed {first:#x}"),
        Step::Clear => if first == 1 {
            "out of ERROR"
        } else {
            "still in ERROR"
        }
        .into(),
        Step::RepairLocal => format!("{:?}", Tfmr::from_bits_retain(first)),
        Step::Reload => format!("TOD FSM {first:#018x}"),
        Step::Running => format!("TB {first:#x}, try {second}"),
        Step::Check => if first == 1 { "good" } else { "not good" }.into(),
        Step::Return => format!("flags {first:#018x}"),
        Step::Abort => format!("reason {first}, missing {second:#x}"),
        Step::Event => format!("event {first:#018x}, {second} lost so far"),
        Step::TodRestart => format!("way {first}, {second} spins"),
        Step::TodError => format!("ERROR {first:#018x}, result {second}"),
        Step::TodRefused => format!("TB {first:#x}, believed before {second:#x}"),
        Step::Absent => format!("threads {first:#x}"),
        Step::Recovered if second == 0 => "WOF not readable".to_owned(),
        Step::Recovered => format!("WOF {first:#018x}"),
        Step::Alert => format!("chips {first:#018x}, {second} registers not read"),
        Step::Fir => format!(
            "chip {}, {:#010x} = {second:#018x}",
            first >> 32,
            first as u32
        ),
        #[allow(unreachable_patterns)]
        _ => format!("{first:#x}, {second:#x}"),
    }
}

/// TFMR as words.
pub(crate) fn tfmr(value: u64) -> String {
    format!("{:?}", Tfmr::from_bits_retain(value))
}

/// The state of TB that a TFMR value tells.
pub(crate) fn timebase_state(value: u64) -> String {
    let tfmr = Tfmr::from_bits_retain(value);
    format!(
        "{:?}{}",
        tfmr.state(),
        if tfmr.tb_usable() {
            ", valid"
        } else {
            ", NOT VALID"
        }
    )
}

/// HMER as words.
pub(crate) fn hmer(value: u64) -> String {
    format!("{:?}", Hmer::from_bits_retain(value))
}

/// How far a thread is in an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Busy,
    /// It went on; only its way back into the guest still belongs here.
    WentOn,
    Done,
}

/// Cuts the records of all threads into episodes; what the threads do between two alarms is left
/// out.
///
/// An alarm starts a new episode when every thread of the running one has gone on.
pub(crate) fn episodes(records: &[Record]) -> Vec<Episode> {
    let mut records = records.to_vec();
    records.sort_by_key(|record| record.sequence);
    let mut episodes: Vec<Episode> = Vec::new();
    let mut threads: BTreeMap<u32, Progress> = BTreeMap::new();
    for record in records {
        let progress = threads.get(&record.pir).copied().unwrap_or(Progress::Done);
        let kind = kind(record.step);
        if kind == Kind::Alarm && !threads.values().any(|thread| *thread == Progress::Busy) {
            episodes.push(Episode::default());
            threads.clear();
        }
        let next = match (progress, record.step) {
            (Progress::Busy, Step::GoOn) => Progress::WentOn,
            (Progress::WentOn, Step::EnterGuest) => Progress::Done,
            _ if kind == Kind::Alarm => Progress::Busy,
            (Progress::Busy, _) => Progress::Busy,
            (other, _) if kind == Kind::Trouble => other,
            // Ordinary life.
            _ => continue,
        };
        threads.insert(record.pir, next);
        if episodes.is_empty() {
            episodes.push(Episode::default());
        }
        if let Some(episode) = episodes.last_mut() {
            episode.records.push(record);
        }
    }
    episodes
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record(sequence: u64, pir: u32, step: Step) -> Record {
        Record {
            sequence,
            pir,
            step,
            timebase: 1000 + sequence,
            tfmr: 0x2812_2009_60a2_4000,
            hmer: 0x0840_0000_0000_0000,
            arguments: [1, 2],
        }
    }

    #[test]
    fn episodes_end_when_all_went_on() {
        let records = [
            record(6, 1, Step::GoOn),
            record(1, 0, Step::Arrive),
            record(2, 1, Step::EnterGuest),
            record(3, 0, Step::HmiInGuest),
            record(4, 1, Step::Summoned),
            record(5, 0, Step::GoOn),
            record(7, 0, Step::EnterGuest),
            record(8, 0, Step::EnterGuest),
            record(9, 1, Step::HmiInHost),
            record(10, 0, Step::HmiInGuest),
            record(11, 1, Step::Abort),
        ];
        let episodes = episodes(&records);
        let lengths: Vec<_> = episodes
            .iter()
            .map(|episode| episode.records.len())
            .collect();
        assert_eq!(lengths, [5, 3]);
        assert_eq!(episodes[0].threads(), [0, 1]);
        assert!(!episodes[0].troubled() && episodes[1].troubled());
        assert_eq!(episodes[0].records[0].sequence, 3);
    }

    #[test]
    fn every_step_has_words() {
        for step in Step::ALL {
            assert_ne!(label(*step), "step", "{step:?}");
            assert!(!details(&record(1, 0, *step)).is_empty());
        }
    }

    #[test]
    fn registers_are_decoded() {
        assert!(tfmr(0x2812_2009_60a2_4000).contains("Error from SyncWait"));
        assert!(hmer(0x0840_0000_0000_0000).contains("TFAC_ERROR"));
    }
}
