//! Step network, masters and their switch: sections 3.3 (0x40007, 0x40008), 3.7, 3.8 and 12.2.

mod common;
use common::*;
use hardware_model::{Configuration, Fault, Generation, Machine, StepNetwork, Topology};
use power_registers::chip_tod::{TRIGGER, TodRegister as R};
use power_registers::{TbState, Tfmr, ibm, ibm_range};

fn status(machine: &Machine, chip: usize) -> u64 {
    machine.peek_scom(chip, R::PssMssStatus.address()).unwrap()
}

fn has(machine: &Machine, chip: usize, bit: u32) -> bool {
    status(machine, chip) & ibm(bit) != 0
}

fn oscillator(machine: &Machine, chip: usize, path: u8, valid: bool) {
    machine.inject(&Fault::Oscillator { chip, path, valid });
}

/// 3.7: roles from 0x40007, masters from STATUS; topology in use by 0:2.
#[test]
fn roles() {
    let machine = machine(Generation::Power9, 3, 1, 1);
    let role =
        |chip: usize, bit: u32| get(machine.thread(0), chip, R::PssMssControl) & ibm(bit) != 0;
    for chip in 0..3 {
        assert_eq!(
            (role(chip, 1), role(chip, 2)),
            (chip == 0, true),
            "3.7: primary"
        );
        assert_eq!(
            (role(chip, 9), role(chip, 10)),
            (chip == 1, true),
            "3.7: secondary"
        );
        assert_eq!(has(&machine, chip, 23), chip == 0, "3.7: active master");
        assert_eq!(has(&machine, chip, 24), chip == 1, "3.7: backup master");
        assert_eq!(has(&machine, chip, 25), chip != 0, "3.3: slave");
        assert!(has(&machine, chip, 20) && has(&machine, chip, 21), "3.3");
        assert_eq!(
            status(&machine, chip) & ibm_range(0, 2),
            0,
            "3.3: primary in use"
        );
    }
}

/// 3.3: path selects and valid bits, for each combination of them.
#[test]
fn paths_in_status() {
    for number in 0..256_u32 {
        let on = |bit: u32| number >> bit & 1 != 0;
        let network = StepNetwork {
            master_valid: [on(0), on(1)],
            slave_valid: [on(2), on(3)],
            primary_master: u8::from(on(4)),
            primary_slave: u8::from(on(5)),
            secondary_master: u8::from(on(6)),
            secondary_slave: u8::from(on(7)),
        };
        let mut configuration = Configuration::new(Generation::Power9, 1, 1, 1);
        configuration.networks = vec![network];
        let machine = Machine::new(configuration);
        for (bit, expected) in [
            (4, !on(0)),
            (5, !on(1)),
            (6, on(0)),
            (7, on(1)),
            (8, on(2)),
            (10, on(3)),
            (12, on(4)),
            (15, on(5)),
            (16, on(6)),
            (19, on(7)),
            (26, on(4)),
            (27, on(5)),
        ] {
            assert_eq!(
                has(&machine, 0, bit),
                expected,
                "3.3: bit {bit} of {network:?}"
            );
        }
    }
}

/// 12.2: 14 and 15 stop the master when the path that it selects is dead, else they only report.
#[test]
fn step_checks_of_the_master() {
    for selected in 0..2_u8 {
        for dead in 0..2_u8 {
            let mut configuration = Configuration::new(Generation::Power9, 2, 1, 1);
            configuration.networks = vec![StepNetwork {
                primary_master: selected,
                ..StepNetwork::default()
            }];
            let machine = Machine::new(configuration);
            oscillator(&machine, 0, dead, false);
            let error = ibm(14 + u32::from(dead));
            assert_eq!(machine.peek_scom(0, 0x40030), Some(error), "3.6: 14, 15");
            assert_eq!(running(&machine, 0), selected != dead, "12.2");
            let stopped = machine.tfmr(0).contains(Tfmr::TB_MISSING_STEP);
            assert_eq!(stopped, selected == dead, "12.2: all cores of the chip");
            assert!(running(&machine, 1) && machine.tfmr(1).contains(Tfmr::TB_VALID));
            put(machine.thread(1), 0, R::Error, error);
            assert_eq!(machine.peek_scom(0, 0x40030), Some(error), "still dead");
            oscillator(&machine, 0, dead, true);
            put(machine.thread(1), 0, R::Error, error);
            assert_eq!(machine.peek_scom(0, 0x40030), Some(0));
        }
    }
}

/// A step check that was injected, with the path alive, stops nothing.
#[test]
fn a_step_check_alone_stops_nothing() {
    for bit in [14, 15, 16, 17, 21] {
        let machine = machine(Generation::Power10, 2, 1, 1);
        machine.inject(&Fault::Tod {
            chip: 0,
            bits: ibm(bit),
        });
        assert!(running(&machine, 0), "12.2: bit {bit}");
        put(machine.thread(0), 0, R::Error, ibm(bit));
        assert_eq!(machine.peek_scom(0, 0x40030), Some(0));
    }
}

/// 3.6: the selected slave path of a slave: 16 and 21; the TOD goes on.
#[test]
fn step_checks_of_a_slave() {
    for (path, primary_slave, bits) in [(0, 0, ibm(16)), (1, 1, ibm(21)), (1, 0, 0)] {
        let mut configuration = Configuration::new(Generation::Power9, 2, 1, 1);
        let network = StepNetwork {
            primary_slave,
            ..StepNetwork::default()
        };
        configuration.networks = vec![network; 2];
        let machine = Machine::new(configuration);
        let valid = false;
        machine.inject(&Fault::SlavePath {
            chip: 1,
            path,
            valid,
        });
        assert_eq!(
            machine.peek_scom(1, 0x40030),
            Some(bits),
            "3.6: path {path}"
        );
        assert!(running(&machine, 1));
        assert!(!has(&machine, 1, if path == 0 { 8 } else { 10 }), "3.3");
    }
}

/// 12.3 T7: the switch to the backup, step by step.
#[test]
fn a_switch_to_the_backup() {
    let machine = machine(Generation::Power9, 3, 1, 1);
    let thread = machine.thread(1);
    oscillator(&machine, 0, 0, false);
    assert!(
        !has(&machine, 0, 6) && !has(&machine, 2, 8),
        "no steps from the old master"
    );
    assert!(has(&machine, 1, 7), "3.7: the backup has its own");
    put(thread, 0, R::Error, ibm(14));
    put(thread, 0, R::LoadTodMod, TRIGGER);
    put(thread, 0, R::TxTtype3, TRIGGER);
    put(thread, 0, R::LoadTod, 0x1ff0);
    settle(&machine);
    assert!(!running(&machine, 0), "no steps, no time");
    put(thread, 0, R::TxTtype1, TRIGGER);
    for chip in 0..3 {
        assert_eq!(status(&machine, chip) >> 61, 7, "12.2: 0:2 on all chips");
        assert_eq!(has(&machine, chip, 23), chip == 1, "12.2: 23 swapped");
        assert_eq!(has(&machine, chip, 24), chip == 0, "12.2: 24 swapped");
    }
    assert!(running(&machine, 1));
    put(thread, 0, R::TxTtype3, TRIGGER);
    settle(&machine);
    assert!(running(&machine, 0), "12.3: a slave of the new master");
    assert_eq!(machine.tod_time(0), machine.true_time());
    // The checkers stay off until TTYPE_2.
    let valid = false;
    machine.inject(&Fault::SlavePath {
        chip: 2,
        path: 1,
        valid,
    });
    assert_eq!(
        machine.peek_scom(2, 0x40030).unwrap() & ibm(21),
        0,
        "12.2: disabled"
    );
    put(thread, 0, R::TxTtype2, TRIGGER);
    assert_ne!(
        machine.peek_scom(2, 0x40030).unwrap() & ibm(21),
        0,
        "12.2: enabled"
    );
    assert_rules_kept(&machine);
}

/// 7 (0834687cc): a new master without valid steps does not run.
#[test]
fn a_switch_to_a_dead_backup() {
    let machine = machine(Generation::Power9, 2, 1, 1);
    oscillator(&machine, 1, 1, false);
    assert_eq!(
        machine.peek_scom(1, 0x40030),
        Some(0),
        "its check is not in use"
    );
    put(machine.thread(0), 0, R::TxTtype1, TRIGGER);
    assert!(!running(&machine, 1), "12.2");
    assert_eq!(machine.tfmr(1).state(), TbState::Error);
    put(machine.thread(0), 1, R::LoadTodMod, TRIGGER);
    put(machine.thread(0), 1, R::LoadTod, 0x1ff0);
    settle(&machine);
    assert!(!running(&machine, 1));
}

/// Without its check a dead path stops the master in silence.
#[test]
fn a_master_without_checkers_stops_in_silence() {
    let machine = machine(Generation::Power9, 2, 1, 1);
    put(machine.thread(0), 0, R::TxTtype1, TRIGGER);
    oscillator(&machine, 1, 1, false);
    assert!(!running(&machine, 1));
    assert_eq!(
        machine.peek_scom(1, 0x40030).unwrap() & ibm_range(14, 15),
        0
    );
    assert!(machine.tfmr(1).contains(Tfmr::TB_MISSING_STEP));
}

/// 3.7: a chip that is master of both topologies is active master, and no backup.
#[test]
fn one_master_of_both() {
    let mut configuration = Configuration::new(Generation::Power9, 2, 1, 1);
    configuration.topology = Topology {
        primary: 0,
        secondary: Some(0),
    };
    let machine = Machine::new(configuration);
    assert!(has(&machine, 0, 23) && !has(&machine, 0, 24));
    put(machine.thread(0), 1, R::TxTtype1, TRIGGER);
    assert!(has(&machine, 0, 23) && running(&machine, 0));
}

/// 3.7: one chip, no backup: nobody is 24, and a switch leaves nobody as master.
#[test]
fn no_backup() {
    let mut configuration = Configuration::new(Generation::Power8, 2, 1, 1);
    configuration.topology = Topology {
        primary: 1,
        secondary: None,
    };
    let machine = Machine::new(configuration);
    assert!(!has(&machine, 0, 23) && has(&machine, 1, 23));
    assert!((0..2).all(|chip| !has(&machine, chip, 24)));
    put(machine.thread(0), 0, R::TxTtype1, TRIGGER);
    assert!((0..2).all(|chip| !has(&machine, chip, 23)));
}
