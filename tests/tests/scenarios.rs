//! The catalogue of scenarios, its golden table of costs, and what a file that is wrong is told.

use opaline_firmware::decisions::Table;
use opaline_tests::campaign::Rows;
use opaline_tests::scenario::{Case, Verdict, bounds, each, files, verify};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn catalogue() -> Vec<PathBuf> {
    files(&[root()]).expect("the catalogue can be read")
}

fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Bits of a TOD's ERROR that its mask hides unless software says otherwise: received TTYPEs. A case
/// cannot write the mask; the suite "recovery" does, and lights them one by one.
const MASKED: std::ops::RangeInclusive<u32> = 38..=43;

/// Every case of the catalogue comes out as its file says, and together they act upon every row of
/// the decision tables that a generation has, but those that are masked.
#[test]
fn the_catalogue_matches() {
    let files = catalogue();
    assert!(files.len() >= 400, "only {} cases", files.len());
    let rows = Mutex::default();
    let verdicts = each(&files, jobs(), |file| verify(file, &rows));
    let wrong: Vec<String> = files
        .iter()
        .zip(&verdicts)
        .filter(|(_, verdict)| !verdict.is_good())
        .map(|(file, verdict)| match verdict {
            Verdict::Refused(complaints) => format!("{}: {}", file.display(), complaints[0]),
            Verdict::Ran(mismatches) => {
                let first = &mismatches[0];
                let (processor, seed) = (first.processor, first.seed);
                format!(
                    "{}: {processor} seed {seed}: {}",
                    file.display(),
                    first.differences[0]
                )
            }
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let rows: Rows = rows.into_inner().expect("nobody panicked");
    println!("{rows}");
    let masked = |table, bit| table == Table::Tod && MASKED.contains(&bit);
    let mut missing = rows.missing();
    missing.retain(|(_, table, bit)| !masked(*table, *bit));
    assert_eq!(missing, [], "{rows}");
}

/// No case costs something else than the table says: `cargo xtask scenario --bounds` writes it.
#[test]
fn the_bounds_are_those_of_the_table() {
    let golden = std::fs::read_to_string(root().join("bounds.txt")).expect("the table");
    let measured = bounds::measure(&root(), &catalogue(), jobs());
    let differences = bounds::differences(&golden, &measured);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Where the reference's counts are known (section 9 of the specification), ours are not above it.
#[test]
fn no_case_costs_more_scoms_than_the_reference() {
    for (name, scoms) in [
        // A core error with the TOD fine: one look at FSM, and three for the transfer.
        ("tfmr/bit-27-tbst-corrupt", 4),
        ("tfmr/bit-43-missing-sync", 4),
        ("tfmr/bit-44-missing-step", 4),
        ("tfmr/bit-45-tb-residue", 4),
        ("tfmr/bit-46-firmware-control", 4),
        ("golden/t09-stuck-move", 4),
        // Nothing of the TOD.
        ("tfmr/bit-26-hdec-parity", 0),
        ("tfmr/bit-57-purr-parity", 0),
        ("tfmr/bit-59-dec-parity", 0),
        ("tfmr/bit-60-corrupt", 0),
    ] {
        let case = Case::read(&root().join(name).with_extension("toml")).expect("a case");
        for &processor in &case.generations {
            let cost = case.cost(processor);
            // POWER9's latched check reads thread 0's TFMR: two more for each secondary that asks.
            let latched = if processor == opaline_tests::scenario::Processor::Power9 {
                6
            } else {
                0
            };
            let found = cost.scom_reads + cost.scom_writes;
            assert!(
                found <= scoms + latched,
                "{name} {processor}: {found} SCOMs"
            );
        }
    }
}

/// A case that was read, written and read again is the same.
#[test]
fn files_round_trip() {
    for file in catalogue() {
        let case = Case::read(&file).unwrap_or_else(|wrong| panic!("{}", wrong[0]));
        let again = Case::parse("again", &case.to_toml())
            .unwrap_or_else(|wrong| panic!("{}: {}\n{}", file.display(), wrong[0], case.to_toml()));
        assert_eq!(case, again, "{}", file.display());
    }
}

fn complaints(text: &str) -> Vec<String> {
    let complaints = Case::parse("case.toml", text).expect_err("something is wrong with it");
    complaints.iter().map(ToString::to_string).collect()
}

/// What is wrong with a file is told with file, line and key.
#[test]
fn complaints_name_file_line_and_key() {
    let head = "title = \"x\"\n\n[[fault]]\n";
    for (text, expected) in [
        (
            "kind = \"tb-residue\"\ncore = 7\n",
            "case.toml:5: fault.1.core: core 7 does not exist: there are 1",
        ),
        (
            "kind = \"tb-residue\"\n",
            "case.toml:4: fault.1.kind: TbResidue needs the key \"core\"",
        ),
        (
            "kind = \"tb-residue\"\ncroe = 0\n",
            "case.toml:5: croe: unknown field `croe`",
        ),
        (
            "kind = \"tb-residu\"\n",
            "case.toml:4: kind: unknown variant `tb-residu`",
        ),
        (
            "kind = \"tod\"\nchip = 0\nbits = [64]\n",
            "case.toml:6: bits: bit 64 does not exist: IBM bits are 0 to 63",
        ),
        (
            "kind = \"tod\"\nchip = 0\nbits = \"0xfg\"\n",
            "case.toml:6: bits: \"0xfg\" is not a number in hex",
        ),
        (
            "kind = \"transfer\"\ncore = 0\n",
            "case.toml:4: fault.1.kind: Transfer does not exist on power8",
        ),
        (
            "kind = \"tb-residue\"\ncore = 0\nwhen = { write = \"TMFR\" }\n",
            "case.toml:6: fault.1.when.write: no such register \"TMFR\"",
        ),
        (
            "kind = \"tb-residue\"\ncore = 0\nwhen = { after = 1, write = \"TFMR\" }\n",
            "case.toml:6: fault.1.when: one of after, read, write, phase, doing says when",
        ),
        (
            "kind = \"tb-residue\"\ncore = 0\n\n[shape]\ncores = 0\n",
            "case.toml:8: shape.cores: cores must be 1 to 16",
        ),
        (
            "kind = \"tb-residue\"\ncore = 0\n\n[shape]\nsubcores = 2\n",
            "case.toml:8: shape.subcores: only POWER8 has sub-cores",
        ),
        (
            "kind = \"tb-residue\"\ncore = 0\n\n[[thread]]\nwho = { number = [9] }\ndoing = \"idle\"\n",
            "case.toml:8: thread.1.who.number: thread number 9 does not exist: there are 4",
        ),
        (
            "kind = \"tb-residue\"\ncore = 0\n\n[[thread]]\ndoing = \"guest\"\n",
            "case.toml:8: thread.1.doing: the threads of a POWER8 core share TB",
        ),
        (
            "kind = \"tb-residue\"\ncore = 0\n\n[[expect.trace]]\nregisters = [\"TFMR\"]\nwrites = [\"TFMR what\"]\n",
            "case.toml:9: expect.trace.1.writes: \"TFMR what\" is not a register and a value",
        ),
        ("kind = \"tb-residue\"\ncore = 0\n= 3\n", "case.toml:6: "),
    ] {
        let found = complaints(&format!("{head}{text}"));
        assert!(
            found
                .iter()
                .any(|complaint| complaint.starts_with(expected)),
            "expected {expected}\nfound {found:?}"
        );
    }
    assert!(
        complaints("generations = [\"power7\"]\ntitle = \"x\"\n")[0]
            .starts_with("case.toml:1: generations")
    );
    assert!(complaints("seeds = [1]\n")[0].contains("missing field `title`"));
}
