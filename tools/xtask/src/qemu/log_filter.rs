//! QEMU's log of wrong and unimplemented accesses: what in it is our fault.

/// ChipTOD registers that QEMU does not implement although the hardware has them, so that an
/// access is no mistake of the firmware: offset, and what they are.
const CHIP_TOD_GAPS: &[(u64, &str)] = &[
    (0x00, "master path control"),
    (0x01, "primary port 0 control"),
    (0x02, "primary port 1 control"),
    (0x03, "secondary port 0 control"),
    (0x04, "secondary port 1 control"),
    (0x05, "slave path control"),
    (0x06, "internal path control"),
    (0x10, "chip control"),
    (0x13, "TTYPE_2, enable the step checkers"),
    (0x20, "TOD value: reads 0, which is no value"),
];

/// The same for SCOM registers of other units, by address.
const XSCOM_GAPS: &[(u64, &str)] = &[
    (0x0202_0011, "malfunction alert of POWER8"),
    (
        0x0004_0032,
        "ChipTOD error mask: QEMU's ChipTOD ends before it",
    ),
];

/// Words that mark a line as one about the timebase or the way to it.
const TOPICS: &[&str] = &["tfmr", "chiptod", "xscom", "timebase"];

/// What QEMU says when software commands two things at once: how the image breaks its own TB.
const OWN_BREAK: &str = "TFMR error: LOAD_TOD_MOD and MOVE_CHIP_TOD_TO_TB both set";

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sifted {
    /// Lines about TFMR, ChipTOD or XSCOM that QEMU's gaps do not explain.
    pub(crate) faults: Vec<String>,
    /// Breaks that the image inflicted on itself, as it is meant to when no tool does.
    pub(crate) own_breaks: usize,
    /// Lines that are QEMU's own gaps.
    pub(crate) gaps: usize,
    /// Lines about other things.
    pub(crate) others: Vec<String>,
}

/// Sorts the lines of a log; `breaks_itself` if the image was left alone and breaks its own TB.
pub(crate) fn sift(log: &str, breaks_itself: bool) -> Sifted {
    let mut sifted = Sifted::default();
    for line in log.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let lower = line.to_ascii_lowercase();
        if !TOPICS.iter().any(|topic| lower.contains(topic)) {
            sifted.others.push(line.to_owned());
        } else if breaks_itself && line == OWN_BREAK {
            sifted.own_breaks += 1;
        } else if is_gap(&lower) {
            sifted.gaps += 1;
        } else {
            sifted.faults.push(line.to_owned());
        }
    }
    sifted
}

fn is_gap(line: &str) -> bool {
    // QEMU writes the number with a letter O: "Ox13".
    let register = line
        .strip_prefix("pnv_chiptod: unimplemented register")
        .and_then(|rest| rest.rsplit('x').next())
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    let scom = line
        .strip_prefix("xscom read failed at")
        .and_then(|rest| rest.rsplit("pcba=0x").next())
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    let listed = |found: Option<u64>, gaps: &[(u64, &str)]| {
        found.is_some_and(|found| gaps.iter().any(|(gap, _)| *gap == found))
    };
    listed(register, CHIP_TOD_GAPS) || listed(scom, XSCOM_GAPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_faults_and_others() {
        let sifted = sift(
            "pnv_chiptod: unimplemented register: Ox13\n\
             pnv_chiptod: unimplemented register: Ox10\n\
             pnv_chiptod: unimplemented register: Ox14\n\
             XSCOM read failed at @0x20200108 pcba=0x02020011\n\
             pnv_chiptod: xscom write reg TOD_MOVE_TOD_TO_TB_REG in bad state\n\
             TFMR error: mtspr TFMR in TB_ERROR state\n\
             XSCOM read failed at @0x603fc00200000 pcba=0x00040000\n\
             phb4: reg_read something\n\n",
            true,
        );
        assert_eq!(sifted.gaps, 3);
        assert_eq!(sifted.faults.len(), 4, "{sifted:?}");
        assert_eq!(sifted.others, ["phb4: reg_read something"]);
        assert_eq!(sift("", true), Sifted::default());
        let log = format!("{OWN_BREAK}\n{OWN_BREAK}\n");
        assert_eq!(
            (sift(&log, true).own_breaks, sift(&log, true).faults.len()),
            (2, 0)
        );
        assert_eq!(
            (sift(&log, false).own_breaks, sift(&log, false).faults.len()),
            (0, 2)
        );
    }
}
