//! Malfunction alert, FIRs and injection through SCOM: sections 2.7, 3.10 and 5.4.

mod common;
use common::*;
use hardware_model::{Configuration, Fault, Generation, Machine};
use power_registers::chip_tod::TodRegister;
use power_registers::{Hmer, Spr, TbState, Tfmr, ibm};

fn alert_address(generation: Generation) -> u32 {
    match generation {
        Generation::Power8 => 0x0202_0011,
        _ => 0x0009_0022,
    }
}

/// 5.4: every chip has its own copy, a write ANDs, every thread of the machine gets HMER 0.
#[test]
fn the_alert_register() {
    for generation in GENERATIONS {
        let machine = machine(generation, 2, 1, 2);
        machine.inject(&Fault::Alert { chip: 1 });
        assert!(
            (0..4).all(|thread| machine.hmi_pending(thread)),
            "section 0"
        );
        let address = alert_address(generation);
        let thread = machine.thread(0);
        assert_eq!(get_raw(thread, 0, address), Ok(ibm(1)), "5.4: bit = chip");
        put_raw(thread, 0, address, !ibm(1)).unwrap();
        assert_eq!(get_raw(thread, 0, address), Ok(0), "5.4: AND");
        assert_eq!(get_raw(thread, 1, address), Ok(ibm(1)), "5.4: its own copy");
        assert_rules_kept(&machine);
    }
}

/// 5.4 and 7 (38de7930a): the alert names a chip by its id, which need not be its place.
#[test]
fn chip_ids() {
    for (generation, pir) in [(Generation::Power8, 17 << 7), (Generation::Power9, 17 << 8)] {
        let mut configuration = Configuration::new(generation, 2, 1, 1);
        configuration.chip_ids = vec![0, 17];
        assert_eq!(configuration.pir(1), pir, "PIR");
        let machine = Machine::new(configuration);
        machine.inject(&Fault::Alert { chip: 1 });
        let alert = machine.peek_scom(0, alert_address(generation));
        assert_eq!(alert, Some(ibm(17)), "5.4: bit 17 is chip id 17");
    }
}

/// 5.4: FIR and WOF of cores; recoverable bits are recovered, the others stop the core.
#[test]
fn core_firs() {
    for (generation, fir, wof) in [
        (Generation::Power8, 0x1100_0000 + 0x1_3100, None),
        (Generation::Power9, 0x2101_0a40, Some(0x2101_0a48)),
        (Generation::Power10, 0x2002_4440, Some(0x2002_4448)),
    ] {
        let machine = machine(generation, 1, 2, 2);
        let thread = machine.thread(0);
        assert_eq!(machine.configuration().core_fir(1), fir, "5.4");
        machine.inject(&Fault::CoreFir {
            core: 1,
            bits: ibm(43),
        });
        assert_eq!(
            machine.hmer(3),
            Hmer::PROC_RECV_DONE,
            "1.2 of the anchors: PROC-01"
        );
        assert_eq!(machine.hmer(0) - Hmer::XSCOM_MAILBOX, Hmer::empty());
        match wof {
            Some(wof) => assert_eq!(get_raw(thread, 0, wof), Ok(ibm(43)), "5.4"),
            None => assert_eq!(get_raw(thread, 0, fir + 8), Err(4), "5.4: not readable"),
        }
        assert!(!machine.checkstopped(1));
        machine.inject(&Fault::CoreFir {
            core: 1,
            bits: ibm(3),
        });
        assert!(machine.checkstopped(1) && !machine.checkstopped(0));
        assert!(machine.hmer(0).contains(Hmer::MALFUNCTION_ALERT), "5.4");
        assert_eq!(get_raw(thread, 0, fir), Ok(ibm(3) | ibm(43)));
        assert_rules_kept(&machine);
    }
}

/// 5.4: mask and AND and OR addresses of a FIR; a masked bit does nothing.
#[test]
fn fir_and_or_mask() {
    let machine = machine(Generation::Power10, 1, 1, 1);
    let (thread, fir) = (machine.thread(0), machine.configuration().core_fir(0));
    put_raw(thread, 0, fir + 5, ibm(3)).expect("5.4: mask OR, EC 0x445");
    put_raw(thread, 0, fir + 2, ibm(3)).unwrap();
    assert!(!machine.checkstopped(0), "masked");
    assert_eq!(get_raw(thread, 0, fir), Ok(ibm(3)));
    put_raw(thread, 0, fir + 1, !ibm(3)).unwrap();
    assert_eq!(get_raw(thread, 0, fir), Ok(0));
    assert_eq!(get_raw(thread, 0, fir + 1), Err(4), "write-only");
}

/// 3.10: diagnostics are told through the OR address of the TP LFIR.
#[test]
fn the_local_fir() {
    for (generation, fir, bit) in [
        (Generation::Power8, 0x0104_000a, 18),
        (Generation::Power9, 0x0104_000a, 20),
        (Generation::Power10, 0x0104_0100, 27),
    ] {
        let machine = machine(generation, 1, 1, 1);
        machine.provide_scom(0, fir, 1);
        put_raw(machine.thread(0), 0, fir + 2, ibm(bit)).expect("3.10: OR");
        assert_eq!(machine.peek_scom(0, fir), Some(ibm(bit) | 1), "3.10");
    }
}

/// 5.4 and 12.3 T12: the NX asks for attention.
#[test]
fn nx() {
    for (generation, status, dma, pbi) in [
        (Generation::Power8, 0x0201_3040, 0x0201_3100, 0x0201_3080),
        (Generation::Power9, 0x0201_1040, 0x0201_1100, 0x0201_1080),
    ] {
        let machine = machine(generation, 2, 1, 1);
        let thread = machine.thread(0);
        machine.inject(&Fault::Nx {
            chip: 1,
            dma: 0x0000_8000_0000_0000,
            pbi: ibm(12),
        });
        assert_eq!(get_raw(thread, 0, alert_address(generation)), Ok(ibm(1)));
        assert_eq!(get_raw(thread, 1, status), Ok(0x200), "5.4: bit 54");
        assert_eq!(get_raw(thread, 0, status), Ok(0));
        assert_eq!(get_raw(thread, 1, dma), Ok(ibm(16)), "12.3: T12");
        assert_eq!(get_raw(thread, 1, pbi), Ok(ibm(12)));
        put_raw(thread, 1, dma, 0x0200_0000).unwrap();
        assert_eq!(
            get_raw(thread, 1, dma),
            Ok(0x0200_0000),
            "5.4: a plain write overwrites"
        );
    }
    assert_eq!(
        get_raw(
            machine(Generation::Power10, 1, 1, 1).thread(0),
            0,
            0x0201_1040
        ),
        Err(4)
    );
}

/// 5.4: CAPP recovery.
#[test]
fn capp() {
    for (generation, fir) in [
        (Generation::Power8, 0x0201_3000),
        (Generation::Power9, 0x0201_0800),
    ] {
        let machine = machine(generation, 1, 1, 1);
        let thread = machine.thread(0);
        machine.inject(&Fault::Capp {
            chip: 0,
            unit: 0,
            bits: ibm(5),
        });
        assert_eq!(get_raw(thread, 0, fir), Ok(ibm(5)));
        assert_eq!(get_raw(thread, 0, fir + 3), Ok(0), "5.4: mask");
        assert_eq!(
            get_raw(thread, 0, fir + 0xe),
            Ok(ibm(0)),
            "5.4: error status bit 0"
        );
        assert!(machine.hmi_pending(0));
    }
}

/// 5.4: NPU and PAU: FIR & !mask & action 0 & action 1.
#[test]
fn npu() {
    for (generation, unit, fir, address) in [
        (Generation::Power8, 0, 0, 0x0801_3c00),
        (Generation::Power9, 0, 2, 0x0501_1000 + 0x2c80),
        (Generation::Power10, 1, 1, 0x1101_0800 + 0x440),
    ] {
        let machine = machine(generation, 1, 1, 1);
        let bits = ibm(7);
        machine.inject(&Fault::Npu {
            chip: 0,
            unit,
            fir,
            bits,
        });
        let read = |offset: u32| get_raw(machine.thread(0), 0, address + offset).unwrap();
        assert_eq!(
            (read(0), read(3), read(6), read(7)),
            (bits, 0, bits, bits),
            "5.4"
        );
        assert!(machine.hmi_pending(0));
    }
}

/// 2.7: the injection words of real machines, written by SCOM as the peer's suite does.
#[test]
fn injection_words() {
    for (generation, address) in [
        (Generation::Power8, 0x1001_3281),
        (Generation::Power9, 0x2001_0a84),
        (Generation::Power10, 0x2002_8484),
    ] {
        for (word, bit, core_wide) in [
            (0x0001_0800_0000_0000, Tfmr::TFMR_CORRUPT, true),
            (0x0002_0800_0000_0000, Tfmr::HDEC_PARITY, true),
            (0x0003_0800_0000_0000, Tfmr::TB_RESIDUE_ERROR, true),
            (0x0004_0800_0000_0000, Tfmr::PURR_PARITY, false),
            (0x0005_0800_0000_0000, Tfmr::SPURR_PARITY, false),
            (0x0006_0800_0000_0000, Tfmr::DEC_PARITY, false),
        ] {
            let machine = machine(generation, 1, 1, 4);
            assert_eq!(machine.configuration().core_injector(0), address, "2.7");
            put_raw(machine.thread(1), 0, address, word).unwrap();
            assert!(machine.tfmr(0).contains(bit), "2.7: {word:#x}");
            assert_eq!(
                machine.tfmr(3).contains(bit),
                core_wide,
                "2.7: thread 0 only"
            );
            assert!(machine.hmi_pending(0));
            assert_eq!(machine.hmi_pending(3), core_wide, "2.7: {word:#x}");
        }
        let machine = machine(generation, 1, 1, 4);
        put_raw(machine.thread(1), 0, address, 0x0006_0400_0000_0000).unwrap();
        assert!(
            machine.hmi_pending(1) && !machine.hmi_pending(0),
            "2.7: bit 20 + n"
        );
    }
}

/// 2.7: core FIR writes, and the FW_CONTROL_ERR that software makes.
#[test]
fn other_injections() {
    for (generation, value, bits) in [
        (
            Generation::Power8,
            0x0000_0000_0010_0000,
            Hmer::PROC_RECV_DONE,
        ),
        (
            Generation::Power8,
            0x0000_0000_0008_0000,
            Hmer::PROC_RECV_ERROR_MASKED,
        ),
        (
            Generation::Power9,
            0x0000_0000_0010_0000,
            Hmer::PROC_RECV_DONE,
        ),
        (Generation::Power9, 0x0000_0000_0008_0000, Hmer::empty()),
        (
            Generation::Power9,
            0x1000_0000_0000_0000,
            Hmer::MALFUNCTION_ALERT,
        ),
        (
            Generation::Power9,
            0x0000_0000_0000_8000,
            Hmer::HYP_RESOURCE_ERROR,
        ),
    ] {
        let machine = machine(generation, 1, 2, 1);
        let fir = machine.configuration().core_fir(1);
        put_raw(machine.thread(0), 0, fir, value).unwrap();
        assert_eq!(machine.hmer(1), bits, "2.7: {generation:?} {value:#x}");
    }
    let machine = machine(Generation::Power9, 1, 1, 1);
    let word = base(&machine) | 0x0000_a000_0000_0000;
    machine.thread(0).write_spr(Spr::Tfmr, word);
    assert_eq!(machine.tfmr(0).state(), TbState::Error, "2.7");
    assert_eq!(get(machine.thread(0), 0, TodRegister::Error), 0);
}
