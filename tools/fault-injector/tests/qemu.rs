//! Stuffed code, TB and the true clock on QEMU, with a bare image of a few instructions.
//!
//! Without `qemu-system-ppc64` the tests are skipped, by name; with `OPALINE_STRICT` set they fail.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fault_injector::chip_tod::ChipTod;
use fault_injector::forge::{Delivery, HMI_VECTOR, strike};
use fault_injector::image::Image;
use fault_injector::instructions::mtspr;
use fault_injector::machine::{Halt, MSR_HV, MSR_SF, Machine, Vcpu};
use fault_injector::plan::Plan;
use fault_injector::stuffing::{Change, SCRATCH};
use gdb_remote::Timeouts;
use power_registers::{Hmer, Spr, Tfmr};
use tempfile::TempDir;

/// Stays in the hypervisor and counts in r5.
const HOST_IMAGE: &[u32] = &[
    0x38a5_0001, // addi r5, r5, 1
    0x4bff_fffc, // b    .-4
];

/// Enters a guest in real mode, as POWER8 allows without tables, and counts in r5 there.
const GUEST_IMAGE: &[u32] = &[
    0x7c7e_4aa6, // mfspr r3, LPCR
    0x6463_2000, // oris  r3, r3, 0x2000   (RMLS: 32 MiB)
    0x7c7e_4ba6, // mtspr LPCR, r3
    0x4c00_012c, // isync
    0x3860_0040, // li    r3, 0x40
    0x7c7a_4ba6, // mtspr HSRR0, r3
    0x3860_0001, // li    r3, 1
    0x7863_f806, // sldi  r3, r3, 63       (SF, and no HV)
    0x7c7b_4ba6, // mtspr HSRR1, r3
    0x4c00_0224, // hrfid
    0x6000_0000, // nop
    0x6000_0000, // nop
    0x38a5_0001, // addi  r5, r5, 1        <- 0x40
    0x4bff_fffc, // b     .-4
];
const GUEST_LOOP: std::ops::Range<u64> = 0x40..0x48;

struct Rig {
    qemu: Child,
    machine: Machine,
    _folder: TempDir,
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

fn qemu() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("qemu-system-ppc64"))
        .find(|file| file.is_file())
}

fn start(test: &str, model: &str, smp: &str, code: &[u32]) -> Option<Rig> {
    let Some(program) = qemu() else {
        let strict = std::env::var_os("OPALINE_STRICT").is_some();
        assert!(!strict, "{test}: qemu-system-ppc64 is missing");
        eprintln!("SKIPPED {test}: qemu-system-ppc64 is missing");
        return None;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let image = folder.path().join("image");
    let mut bytes = vec![0; 0x10];
    bytes.extend(code.iter().flat_map(|word| word.to_be_bytes()));
    std::fs::write(&image, bytes).expect("the image is written");
    let socket = folder.path().join("gdb");
    let qemu = Command::new(program)
        .args(["-M", model, "-smp", smp, "-S"])
        .args(["-display", "none", "-monitor", "none", "-serial", "none"])
        .arg("-bios")
        .arg(&image)
        .arg("-chardev")
        .arg(format!(
            "socket,id=g,path={},server=on,wait=off",
            socket.display()
        ))
        .args(["-gdb", "chardev:g"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("QEMU starts");
    let machine = Machine::connect(&socket, Timeouts::default()).expect("QEMU answers");
    Some(Rig {
        qemu,
        machine,
        _folder: folder,
    })
}

const SHORT: Duration = Duration::from_millis(20);
/// A busy host may hold the emulator up for long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lets the machine run until something is so.
fn run_until(machine: &mut Machine, mut reached: impl FnMut(&mut Machine) -> bool) {
    let start = Instant::now();
    while !reached(machine) {
        assert!(start.elapsed() < PATIENCE, "the machine does not get there");
        machine.run(SHORT).expect("it runs");
    }
}

/// Lets the machine run until a thread is in the guest's loop.
fn run_into_guest(machine: &mut Machine, vcpu: Vcpu) {
    run_until(machine, |machine| {
        let state = machine.state(vcpu).expect("state");
        state.in_guest() && GUEST_LOOP.contains(&state.pc)
    });
}

/// 100 us in ticks: what a stuffed run may be off where nothing checks it.
const LOOSE_TICKS: i64 = 51_200;

#[test]
fn threads_have_their_pirs_and_cores() {
    let test = "threads_have_their_pirs_and_cores";
    for (model, cores) in [
        ("powernv8", [1, 2]),
        ("powernv9", [0, 1]),
        ("powernv10", [0, 1]),
    ] {
        let Some(rig) = start(test, model, "4,cores=2,threads=2", HOST_IMAGE) else {
            return;
        };
        let found: Vec<u32> = rig.machine.cores().into_keys().collect();
        assert_eq!(found, cores, "{model}");
        assert_eq!(rig.machine.core(cores[1]).len(), 2, "{model}");
    }
}

#[test]
fn timebase_can_be_damaged_and_set_right_by_the_clock() {
    let test = "timebase_can_be_damaged_and_set_right_by_the_clock";
    for (model, shared) in [
        ("powernv8", true),
        ("powernv9", false),
        ("powernv9,lpar-per-core=on", true),
        ("powernv10", false),
    ] {
        let Some(mut rig) = start(test, model, "2,cores=1,threads=2", HOST_IMAGE) else {
            return;
        };
        let machine = &mut rig.machine;
        machine.run(SHORT).expect("it runs");
        let vcpus = machine.vcpus();
        let before: Vec<u64> = ["r3", "r5", "r8", "pc", "msr"]
            .map(|r| machine.read(vcpus[1], r).expect("read"))
            .into();
        // Nobody wrote TB yet: it is the clock.
        let clock = machine.clock().expect("clock");
        let timebase = machine.read(vcpus[0], "tb").expect("tb");
        assert!(
            (timebase.wrapping_sub(clock) as i64).abs() < LOOSE_TICKS,
            "{model}"
        );

        let back = machine
            .change_timebase(vcpus[1], Change::Set(0xdead_0000_0000))
            .expect("set");
        assert_eq!(back.timebase >> 24, 0xde_ad00, "{model}");
        let other = machine.read(vcpus[0], "tb").expect("tb");
        assert_eq!(other >> 24 == 0xde_ad00, shared, "{model}: whose TB is it");
        let back = machine
            .change_timebase(vcpus[1], Change::Add(1 << 40))
            .expect("add");
        assert_eq!(back.timebase >> 40, 0xdf, "{model}");
        let back = machine
            .change_timebase(vcpus[1], Change::Flip(1 << 63))
            .expect("flip");
        assert_eq!(back.timebase >> 40, 0x80_00df, "{model}");
        // The clock went on as if nothing had happened.
        let later = machine.clock().expect("clock");
        let passed = later.wrapping_sub(clock);
        assert!(passed < 512_000_000, "{model}: {passed} ticks");

        for vcpu in &vcpus {
            machine
                .change_timebase(*vcpu, Change::Clock(77 << 30))
                .expect("clock");
        }
        run_until(machine, |machine| {
            machine.read(vcpus[1], "r5").expect("r5") > before[1]
        });
        let clock = machine.clock().expect("clock");
        for vcpu in &vcpus {
            let timebase = machine.read(*vcpu, "tb").expect("tb");
            let error = timebase.wrapping_sub(clock + (77 << 30)) as i64;
            assert!(error.abs() < 8_192, "{model}: TB is off by {error} ticks");
        }
        let after: Vec<u64> = ["r3", "r8", "msr"]
            .map(|r| machine.read(vcpus[1], r).expect("read"))
            .into();
        assert_eq!(
            after,
            [before[0], before[2], before[4]],
            "{model}: registers are put back"
        );
        assert!(
            machine.read(vcpus[1], "r5").expect("r5") > before[1],
            "{model}: it went on"
        );
        let scratch = machine.client.read_memory(SCRATCH, 0x110).expect("scratch");
        assert!(
            scratch.iter().all(|byte| *byte == 0),
            "{model}: scratch is put back"
        );
    }
}

#[test]
fn a_guest_is_visited_and_put_back() {
    let test = "a_guest_is_visited_and_put_back";
    let Some(mut rig) = start(test, "powernv8", "1", GUEST_IMAGE) else {
        return;
    };
    let machine = &mut rig.machine;
    machine.run(SHORT).expect("it runs");
    let vcpu = machine.vcpus()[0];
    let state = machine.state(vcpu).expect("state");
    assert!(
        state.in_guest() && GUEST_LOOP.contains(&state.pc),
        "{state:x?}"
    );
    assert!(state.takes_hmi());
    let interrupts = |machine: &mut Machine| {
        ["srr0", "srr1", "hsrr0", "hsrr1"].map(|name| machine.read(vcpu, name).expect("read"))
    };
    machine.write(vcpu, "srr0", 0x1234).expect("write");
    let before = interrupts(machine);
    let code = machine
        .client
        .read_memory(GUEST_LOOP.start, 8)
        .expect("code");

    let back = machine
        .change_timebase(vcpu, Change::Set(5 << 50))
        .expect("set");
    assert_eq!(back.timebase >> 50, 5);
    let after = machine.state(vcpu).expect("state");
    assert_eq!((after.pc, after.msr), (state.pc, state.msr));
    assert_eq!(interrupts(machine), before);
    assert_eq!(
        machine
            .client
            .read_memory(GUEST_LOOP.start, 8)
            .expect("code"),
        code
    );

    let visit = machine.into_hypervisor(vcpu).expect("in");
    assert_ne!(machine.read(vcpu, "msr").expect("msr") & MSR_HV, 0);
    assert_eq!((visit.place.pc, visit.place.msr), (state.pc, state.msr));
    machine.out_of_hypervisor(vcpu, &visit).expect("out");
    let count = machine.read(vcpu, "r5").expect("r5");
    machine.run(SHORT).expect("it runs");
    assert!(
        machine.read(vcpu, "r5").expect("r5") > count,
        "the guest goes on"
    );
}

fn plan(damage: Vec<Change>) -> Plan {
    Plan {
        number: 1,
        delay: Duration::ZERO,
        core: 0,
        errors: Tfmr::FW_CONTROL_ERROR.bits(),
        damage,
        spare: 0,
    }
}

#[test]
fn an_hmi_takes_a_guest_to_the_vector() {
    let test = "an_hmi_takes_a_guest_to_the_vector";
    let Some(mut rig) = start(test, "powernv8", "1", GUEST_IMAGE) else {
        return;
    };
    let machine = &mut rig.machine;
    let vcpu = machine.vcpus()[0];
    run_into_guest(machine, vcpu);
    machine
        .write(vcpu, "tfmr", 0x1212_0008_7060_0000)
        .expect("write");
    let before = machine.state(vcpu).expect("state");
    let plan = plan(vec![Change::Set(0x1234 << 40)]);
    let struck = strike(machine, vcpu.core, &plan, true).expect("strike");
    assert_eq!(struck.hits[0].delivery, Delivery::FromGuest);
    let after = machine.state(vcpu).expect("state");
    assert_eq!(after.pc, HMI_VECTOR);
    assert_eq!(after.msr, MSR_SF | MSR_HV, "this guest had ME and RI off");
    assert_eq!(after.tfmr, 0x1212_0009_8022_0000);
    assert_eq!(after.hmer, Hmer::TFAC_ERROR.bits());
    assert_eq!(after.timebase >> 40, 0x1234);
    assert_eq!(machine.read(vcpu, "hsrr0").expect("hsrr0"), before.pc);
    assert_eq!(machine.read(vcpu, "hsrr1").expect("hsrr1"), before.msr);
}

/// Runs with interrupts closed for a while, then opens them; above the vectors.
const CLOSED_IMAGE: &[u32] = &[
    0x3860_7fff, // li     r3, 0x7fff
    0x7c69_03a6, // mtctr  r3
    0x4200_0000, // bdnz   .
    0x7c60_00a6, // mfmsr  r3
    0x6063_8000, // ori    r3, r3, EE
    0x7c60_0164, // mtmsrd r3              <- the gate
    0x4800_0000, // b      .
];
const CLOSED_START: u64 = 0x4010;
const GATE: u64 = CLOSED_START + 20;

#[test]
fn a_pending_hmi_is_taken_when_interrupts_are_opened() {
    let test = "a_pending_hmi_is_taken_when_interrupts_are_opened";
    let mut code = vec![0; (CLOSED_START - 0x10) as usize / 4];
    code[0] = 0x4800_4000; // b CLOSED_START
    code.extend(CLOSED_IMAGE);
    let Some(mut rig) = start(test, "powernv9", "1", &code) else {
        return;
    };
    let machine = &mut rig.machine;
    let vcpu = machine.vcpus()[0];
    let struck = strike(machine, vcpu.core, &plan(vec![Change::Set(0)]), false);
    let mut struck = struck.expect("strike");
    assert_eq!(struck.hits[0].delivery, Delivery::Pending);
    assert_eq!(machine.state(vcpu).expect("state").pc, 0x10);
    let image = Image::with_gates([GATE]);
    let start = Instant::now();
    while struck.is_pending() && start.elapsed() < PATIENCE {
        struck
            .chase(machine, &image, &mut |_| Ok(()))
            .expect("chase");
        struck.refresh(machine, &image).expect("refresh");
    }
    assert_eq!(struck.hits[0].delivery, Delivery::Late);
    assert_eq!(machine.state(vcpu).expect("state").pc, HMI_VECTOR);
    assert_eq!(machine.read(vcpu, "hsrr0").expect("hsrr0"), GATE + 4);
    assert!(
        machine
            .client
            .remove(gdb_remote::Watch::Breakpoint, GATE, 4)
            .is_err(),
        "the gate is open again"
    );
}

/// Stores to where r4 points, by both ways that firmware may use.
const STORE_IMAGE: &[u32] = &[
    0xf8a4_0000, // std    r5, 0(r4)
    0x7ca0_27ea, // stdcix r5, 0, r4
    0x4800_0000, // b      .
];

#[test]
fn a_move_of_the_tod_loads_the_true_time() {
    let test = "a_move_of_the_tod_loads_the_true_time";
    const REFERENCE: u64 = 321 << 30;
    for (model, chip_1) in [
        ("powernv9", 0x0006_07fc_0020_00b8),
        ("powernv10", 0x0006_13fc_0020_00b8),
    ] {
        let smp = "4,sockets=2,cores=1,threads=2";
        let Some(mut rig) = start(test, model, smp, STORE_IMAGE) else {
            return;
        };
        let machine = &mut rig.machine;
        let mut tod = ChipTod::watch(machine, REFERENCE, false).expect("watch");
        let vcpus = machine.vcpus();
        // As KVM does: it leaves its guest's VTB in a thread, which is no clock any more.
        let with_guest = vcpus[3];
        let write = mtspr(Spr::Vtb, 3);
        machine
            .stuff(with_guest, &[write], &[(3, 77 << 30)], &[], &[])
            .expect("VTB");
        let apart = machine
            .clock_difference(vcpus[0], with_guest)
            .expect("difference");
        let error = apart.wrapping_add(77 << 30) as i64;
        // VTB went on from 0 before, and both since then.
        assert!(error.unsigned_abs() < 1 << 30, "{model}: {error}");
        tod.guests.insert(with_guest.pir, 5 << 24);
        for vcpu in &vcpus {
            machine.write(*vcpu, "r4", chip_1).expect("r4");
            machine.write(*vcpu, "r5", 1 << 63).expect("r5");
        }
        let storing = vcpus[2];
        assert_eq!(storing.chip, 1, "{model}");
        // Not ready to receive; then waiting for the TOD.
        for (tfmr, ready) in [
            (0x1212_0008_7060_0000, false),
            (0x1212_2007_6020_0000, true),
        ] {
            machine.write(storing, "tfmr", tfmr).expect("tfmr");
            let halt = machine.run_alone(storing, PATIENCE).expect("it runs");
            assert_eq!(halt, Halt::Planted(Some(storing.thread)), "{model}");
            let moves = tod.answer(machine, &vcpus).expect("answer");
            assert_eq!(moves.len(), 1, "{model}");
            assert_eq!(
                (moves[0].pir, moves[0].core),
                (storing.pir, storing.core),
                "{model}"
            );
            assert_eq!(moves[0].loaded.is_some(), ready, "{model}");
        }
        let clock = machine.clock().expect("clock");
        for vcpu in &vcpus {
            let timebase = machine.read(*vcpu, "tb").expect("tb");
            let expected = clock + if vcpu.chip == 1 { REFERENCE } else { 0 };
            let error = timebase.wrapping_sub(expected) as i64;
            assert!(
                error.abs() < 8_192,
                "{model}: PIR {:#x} is off by {error}",
                vcpu.pir
            );
        }
        tod.unwatch(machine).expect("unwatch");
    }
}

#[test]
fn stuffed_code_that_traps_is_an_error() {
    let test = "stuffed_code_that_traps_is_an_error";
    let Some(mut rig) = start(test, "powernv9", "1", HOST_IMAGE) else {
        return;
    };
    let machine = &mut rig.machine;
    machine.run(SHORT).expect("it runs");
    let vcpu = machine.vcpus()[0];
    let pc = machine.read(vcpu, "pc").expect("pc");
    // An illegal instruction; there is nothing at the vector it goes to.
    assert!(machine.stuff(vcpu, &[0], &[], &[3], &[]).is_err());
    assert_eq!(machine.read(vcpu, "pc").expect("pc"), pc);
    let read = fault_injector::instructions::mfspr(3, Spr::Pir);
    assert_eq!(
        machine
            .stuff(vcpu, &[read], &[], &[3], &[])
            .expect("it works again"),
        [0]
    );
}
