//! HMER and HMEER: sections 1.2, 1.3, 1.5 and 12.1.12.

mod common;
use common::*;
use hardware_model::{
    Configuration, CoreCause, CoreError, Fault, Generation, Machine, ThreadError,
};
use power_registers::{Hmer, Spr, Tfmr};

/// 1.2: `mtspr` ANDs, 24:63 do not exist, bits are sticky; HMEER gates the interrupt.
#[test]
fn hmer_is_write_and() {
    let machine = machine(Generation::Power9, 1, 1, 4);
    let bits = Hmer::TFAC_ERROR | Hmer::PROC_RECV_DONE | Hmer::DEBUG_TRIGGER;
    machine.inject(&Fault::Hmer {
        threads: vec![1],
        bits: bits.bits() | 0xff,
    });
    let thread = machine.thread(1);
    assert_eq!(hmer(thread), bits, "1.2: 24:63");
    thread.write_spr(Spr::Hmer, u64::MAX);
    assert_eq!(hmer(thread), bits, "1.2: AND");
    thread.write_spr(Spr::Hmer, !(Hmer::TFAC_ERROR | Hmer::PROC_RECV_DONE).bits());
    assert_eq!(hmer(thread), Hmer::DEBUG_TRIGGER);
    assert!(!machine.hmi_pending(1), "1.3: 17 is not enabled");
    thread.write_spr(Spr::Hmeer, (Hmer::DEBUG_TRIGGER).bits() | 0xff);
    assert!(machine.hmi_pending(1), "1.2: HMEER gates");
    assert_eq!(
        thread.read_spr(Spr::Hmeer),
        Hmer::DEBUG_TRIGGER.bits(),
        "1.2: 0..23"
    );
    assert_rules_kept(&machine);
}

/// 1.2: HMEER is one per core; on a fused core one for each small core.
#[test]
fn hmeer_is_per_small_core() {
    let mut configuration = Configuration::new(Generation::Power10, 1, 2, 4);
    configuration.fused = true;
    let machine = Machine::new(configuration);
    machine.thread(0).write_spr(Spr::Hmeer, 0);
    for core in 0..2 {
        let error = CoreError::MissingSync;
        machine.inject(&Fault::Core { core, error });
    }
    for thread in 0..8 {
        assert!(machine.hmer(thread).contains(Hmer::TFAC_ERROR));
        assert_eq!(
            machine.hmi_pending(thread),
            thread >= 4,
            "1.2: thread {thread}"
        );
    }
    machine
        .thread(3)
        .write_spr(Spr::Hmeer, Hmer::TFAC_ERROR.bits());
    assert!(
        machine.hmi_pending(0),
        "1.2: held pending until it is enabled"
    );
}

/// Section 0: who gets which HMI.
#[test]
fn broadcast_rules() {
    let who = |fault: Fault| {
        let machine = machine(Generation::Power9, 2, 2, 2);
        machine.inject(&fault);
        (0..8)
            .filter(|thread| machine.hmi_pending(*thread))
            .collect::<Vec<_>>()
    };
    let thread = Fault::Thread {
        thread: 5,
        error: ThreadError::DecParity,
    };
    assert_eq!(who(thread), [5], "section 0: thread-local");
    let core = Fault::Core {
        core: 2,
        error: CoreError::HdecParity,
    };
    assert_eq!(who(core), [4, 5], "section 0: core-wide");
    let tod = Fault::Tod {
        chip: 1,
        bits: 1 << 63,
    };
    assert_eq!(who(tod), [4, 5, 6, 7], "section 0: all threads of the chip");
    let alert = Fault::Alert { chip: 1 };
    assert_eq!(
        who(alert),
        [0, 1, 2, 3, 4, 5, 6, 7],
        "section 0: the whole machine"
    );
    let cause = CoreCause::Recovered { fir_bit: 43 };
    assert_eq!(
        who(Fault::Cause { core: 1, cause }),
        [2, 3],
        "section 0: core"
    );
}

/// 1.3: the causes that are not the timer's, by generation.
#[test]
fn causes_by_generation() {
    let (power8, power9, power10) = (Generation::Power8, Generation::Power9, Generation::Power10);
    for (cause, generation, bits) in [
        (
            CoreCause::Recovered { fir_bit: 43 },
            power8,
            0x2000_0000_0000_0000_u64,
        ),
        (CoreCause::RecoveredMasked, power8, 0x1000_0000_0000_0000),
        (CoreCause::RecoveredAgain, power10, 0x0010_0000_0000_0000),
        (CoreCause::SpurrScaleLimit, power10, 0x0200_0000_0000_0000),
        (CoreCause::ScomFir, power9, 0x0000_8000_0000_0000),
        (CoreCause::DebugTrigger, power9, 0x0000_4000_0000_0000),
        (CoreCause::DebugTrigger, power10, 0x0000_2000_0000_0000),
        (CoreCause::HypervisorResource, power9, 0x0000_0800_0000_0000),
    ] {
        let machine = machine(generation, 1, 1, 4);
        machine.inject(&Fault::Cause { core: 0, cause });
        for thread in 0..4 {
            assert_eq!(hmer(machine.thread(thread)).bits(), bits, "1.3: {cause:?}");
        }
    }
}

/// 1.3: recovery that happens again before its report was cleared.
#[test]
fn recovered_again() {
    let machine = machine(Generation::Power9, 1, 1, 2);
    let cause = CoreCause::Recovered { fir_bit: 2 };
    machine.inject(&Fault::Cause { core: 0, cause });
    let thread = machine.thread(0);
    let first = hmer(thread);
    thread.write_spr(Spr::Hmer, !first.bits());
    machine.inject(&Fault::Cause { core: 0, cause });
    assert_eq!(hmer(thread), Hmer::PROC_RECV_DONE, "1.3: bit 2 was cleared");
    let both = Hmer::PROC_RECV_DONE | Hmer::PROC_RECV_AGAIN;
    assert_eq!(hmer(machine.thread(1)), both, "1.3: bit 11");
}

/// 2.1: MASK_HMI suppresses the HMIs of the facility.
#[test]
fn mask_hmi_suppresses() {
    let machine = machine(Generation::Power9, 1, 1, 2);
    write(machine.thread(0), Tfmr::MASK_HMI);
    fail(&machine, CoreError::MissingStep);
    let error = ThreadError::DecParity;
    machine.inject(&Fault::Thread { thread: 1, error });
    assert_eq!(machine.hmer(0), Hmer::empty());
    assert_eq!(machine.hmer(1), Hmer::empty());
    assert_rules_kept(&machine);
}

/// 1.2 and 1.4: a cause that was never read must not be cleared.
#[test]
fn clearing_an_unread_cause_is_a_violation() {
    let machine = machine(Generation::Power9, 1, 1, 1);
    let thread = machine.thread(0);
    let raise = |bits: Hmer| {
        machine.inject(&Fault::Hmer {
            threads: vec![0],
            bits: bits.bits(),
        });
    };
    raise(Hmer::PROC_RECV_DONE);
    let snapshot = hmer(thread);
    raise(Hmer::HYP_RESOURCE_ERROR);
    thread.write_spr(Spr::Hmer, !snapshot.bits());
    assert_rules_kept(&machine);
    assert_eq!(hmer(thread), Hmer::HYP_RESOURCE_ERROR, "1.4: survives");
    raise(Hmer::PROC_RECV_DONE);
    // The written-back snapshot that lost causes in the field.
    thread.write_spr(Spr::Hmer, 0);
    assert_broken(&machine, "never read");
}

/// 1.3: the XSCOM mailbox must never be enabled.
#[test]
fn hmeer_never_enables_the_mailbox() {
    for bit in [8, 9, 21, 22, 23] {
        let machine = machine(Generation::Power9, 1, 1, 1);
        machine.thread(0).write_spr(Spr::Hmeer, 1 << (63 - bit));
        assert_broken(&machine, "HMEER must never enable");
    }
}

/// 1.5: HMER and HMEER of POWER9 by SCOM.
#[test]
fn hmer_by_scom() {
    let machine = machine(Generation::Power9, 1, 2, 4);
    let thread = machine.thread(0);
    put_raw(thread, 0, 0x2101_0a8f, Hmer::DEBUG_TRIGGER.bits()).unwrap();
    assert_eq!(
        machine.hmer(5),
        Hmer::DEBUG_TRIGGER,
        "1.5: OR, core 1, thread 1"
    );
    put_raw(thread, 0, 0x2101_0a93, 0).unwrap();
    assert_eq!(machine.hmer(5), Hmer::empty(), "1.5: AND");
    put_raw(thread, 0, 0x2101_0a96, 0xff).unwrap();
    assert_eq!(get_raw(thread, 0, 0x2101_0a96), Ok(0), "1.5: HMEER");
    assert_eq!(machine.lock().hmeer(1), Hmer::empty());
}
