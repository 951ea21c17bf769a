//! Where QEMU and the model differ on purpose: one table. Anything else is a failure.

use std::fmt;

macro_rules! rules {
    ($($name:ident: $difference:literal, $why:literal, $section:literal;)*) => {
        /// A difference that is meant to be.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each has its text")]
        pub enum Rule { $($name,)* }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What differs, why the model is right or need not follow, and where it is written.
            #[must_use]
            pub const fn text(self) -> Text {
                match self {
                    $(Self::$name => Text { difference: $difference, why: $why, section: $section },)*
                }
            }
        }
    };
}

/// What there is to say about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// What QEMU does and the model does not.
    pub difference: &'static str,
    /// Why that is no defect of the model.
    pub why: &'static str,
    /// Sections of the HMI and ChipTOD specification (S) and of the one of QEMU PowerNV (Q).
    pub section: &'static str,
}

rules! {
    NoEnabledBit: "TFMR 40 (TB_ENABLED) is always 0",
        "status that QEMU lacks", "S 2.1, Q 5 row 5";
    NoTodMirror: "TFMR 47:50 (CHIP_TOD_STATUS) are always 0",
        "status that QEMU lacks", "S 3.5, Q 5 row 5";
    SyncByReads: "TFMR 42 (TB_SYNC_OCCURRED) comes on with the second mfspr after a write",
        "sync pulses come with time", "S 2.1, Q 5 row 1";
    LoadByReads: "LOAD_TOD_MOD acts on the fourth mfspr, until then nothing changes",
        "the command takes time, not reads", "S 2.3, Q 5 row 1";
    SyncWaitByReads: "SYNC_WAIT ends after some mfspr",
        "it ends with a sync pulse", "S 2.3, Q 5 row 1";
    SyncWithoutTod: "POWER8: SYNC_WAIT ends though there is no ChipTOD",
        "sync pulses come from the TOD; the model's runs here", "S 2.3, Q 5 row 13";
    TransferByReads: "GET_TOD ends after some mfspr, once the TOD was sent",
        "the transfer takes time, not reads", "S 2.3, Q 5 row 1";
    ClearOnce: "one write of CLEAR_TB_ERRORS is enough",
        "it must be written twice; the model's switch for that is off here", "S 2.1, Q 5 row 2";
    ClearFromAnyState: "CLEAR_TB_ERRORS leads to RESET from NOT_SET and RUNNING as well",
        "it leaves ERROR, and no working TB", "S 2.3, Q 5 row 2";
    ClearDropsControlError: "CLEAR_TB_ERRORS clears bit 46 too",
        "46 is cleared by writing 1", "S 2.1, Q 5 row 3";
    ErrorDropsWrites: "in ERROR a write without CLEAR_TB_ERRORS is dropped whole",
        "control fields and W1C work in every state", "S 2.1, Q 5 (observed walk)";
    DroppedSilently: "a write that drops a command in flight cancels it and nothing else",
        "the model takes the worse of the two outcomes: FW_CONTROL_ERR", "S 2.2";
    RefusedLoadGone: "LOAD_TOD_MOD refused in GET_TOD does not stay on",
        "not known; a command stuck in ERROR was seen on machines", "S 2.2 samples";
    RefusedClearStays: "CLEAR_TB_ERRORS in one write with both other commands stays on",
        "the error comes first on both sides; a CLEAR that did nothing is not busy", "not in S";
    LastOfSameState: "entering the present state again makes TBST_LAST equal to TBST",
        "nothing is entered", "S 2.1";
    LastAfterClear: "TBST_LAST after CLEAR_TB_ERRORS from NOT_SET or RUNNING is that state",
        "the model went there through ERROR, for ClearFromAnyState", "Q 5 row 2";
    SendRemembered: "a TOD value sent before GET_TOD waits for it",
        "only a core in GET_TOD takes the value: stricter", "S 12.2";
    SentValueArrives: "a TOD value once sent arrives though its TOD has stopped since",
        "a transfer that loses its TOD does not end: stricter", "S 12.2";
    NonEclipz: "a write without bit 14 makes TBST 0 and is ignored otherwise",
        "software must never do it; the model records a violation", "S 12.1.7, Q 5 row 6";
    TbNeverStops: "TB counts in every state",
        "TB stands still outside RUNNING", "S 12.1.8, Q 5 row 8";
    TbNotTransferred: "TB keeps its value when the TOD is moved to it",
        "TB becomes the TOD's value", "S 2.3, Q 5 row 9";
    MttblHarmless: "mttbl in RUNNING only changes TB",
        "it is an error", "S 2.3, Q 5 row 8";
    NoHmi: "HMER 4 and 5 never come on",
        "QEMU raises no HMI", "S 5.5, Q 0";
    NoXscomStatus: "HMER 21:23 stay 0 when an XSCOM access fails",
        "QEMU has no status codes", "S 3.1, Q 4";
    XscomFailsAtOnce: "XSCOM_FAIL is there together with DONE",
        "it may lag by a read of HMER", "S 3.1";
    XscomFailsWithZero: "a failed XSCOM load gives 0",
        "it gives all ones", "S 3.1, Q 4";
    FsmCodeHidden: "FSM 0:3 are always 0",
        "QEMU shows only whether the TOD runs", "S 3.5, Q 5";
    StatusConstant: "PSS_MSS_STATUS is a constant but for 20, 23 and 24",
        "step networks that QEMU lacks", "S 3.3, Q 5";
    RolesFixed: "PSS_MSS_CTRL keeps 0:31 only, and 1 and 2 as the machine has them",
        "a plain register", "S 3.3, Q 5";
    TargetUnreadable: "TX_TTYPE_CTRL reads 0",
        "a register that firmware reads to change one field", "S 3.4, Q 5";
    StartsLoosely: "any write to START_TOD starts",
        "bit 0 does, with bit 2 on POWER10: stricter", "S 3.3";
    ReceivedTtypes: "ERROR 38:43 never come on",
        "information that QEMU lacks", "S 3.6, Q 5";
    SendsWhileStopped: "TTYPE_4 starts the others though its sender does not run",
        "a time that stands is not sent: stricter", "S 3.5";
    LooseAim: "POWER9: core-ID mode ignores 25 and 26, and SCOM addressing works too",
        "core IDs have bit 26 on, and multicast is another thing: stricter", "S 3.4";
    HmeerStorage: "HMEER stores all 64 bits",
        "bits 24:63 are not implemented", "S 1.2, Q 5";
}

/// How often each rule was needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts(Vec<u64>);

impl Default for Counts {
    fn default() -> Self {
        Self(vec![0; Rule::ALL.len()])
    }
}

impl Counts {
    /// A rule was needed.
    pub fn hit(&mut self, rule: Rule) {
        self.0[rule as usize] += 1;
    }

    /// How often it was.
    #[must_use]
    pub fn of(&self, rule: Rule) -> u64 {
        self.0[rule as usize]
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// Rules that nothing needed.
    #[must_use]
    pub fn unneeded(&self) -> Vec<Rule> {
        Rule::ALL
            .iter()
            .copied()
            .filter(|rule| self.of(*rule) == 0)
            .collect()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in Rule::ALL {
            let text = rule.text();
            writeln!(
                f,
                "{:>8}  {:<22}  QEMU: {}. Model: {} ({})",
                self.of(*rule),
                format!("{rule:?}"),
                text.difference,
                text.why,
                text.section
            )?;
        }
        Ok(())
    }
}
