//! The driver on the model: interrupts arrive where they are sent, and nowhere else.

mod model;

use model::{Faults, Model, distinct, memory};
use xive_controller::{
    BringUpError, Bus as _, Controller, Generation, Interrupt, Machine, OFF, QueueRequest,
    Synchronise, XiveError, open_thread,
};

/// The queue of everything in these tests has this priority, as an OS may choose.
const PRIORITY: u8 = 7;
const PAGE_SHIFT: u32 = 16;
const FIRST: u32 = 16;
const LAST: u32 = 4079;

/// A machine that is up.
struct World {
    model: Model,
    controller: Controller<'static>,
}

fn threads_of(chips: &[u32]) -> Vec<u32> {
    let threads = chips
        .iter()
        .flat_map(|chip| (0..4).map(move |thread| chip << 8 | thread));
    threads.collect()
}

/// The memory of a thread's queue.
fn page(pir: u32) -> u64 {
    0x4000_0000 + (u64::from(pir) << PAGE_SHIFT)
}

const fn request(page: u64) -> QueueRequest {
    QueueRequest {
        memory: Some((page, PAGE_SHIFT)),
        always_notifies: true,
        escalates: false,
    }
}

const fn machine(generation: Generation) -> Machine {
    Machine {
        generation,
        fused: false,
    }
}

/// Each test, on each generation.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod first {
            $(#[test] fn $name() { super::$name(super::Generation::First); })*
        }
        mod second {
            $(#[test] fn $name() { super::$name(super::Generation::Second); })*
        }
    };
}

on_both! {
    an_interrupt_of_software_reaches_each_thread_of_each_chip
    one_that_is_off_reaches_nobody
    a_level_comes_until_it_is_gone
    a_reset_leaves_nothing_on
    sources_are_given_once_and_come_back
    queues_tell_what_they_are_and_where_they_stand
    virtual_processors_are_told_on_the_thread_that_carries_them
    what_no_thread_takes_escalates
    what_does_not_exist_changes_nothing
    chips_threads_and_memory_must_fit
    each_scom_store_that_fails_is_told
    hardware_that_does_not_answer_is_not_awaited_for_ever
    tables_are_described_to_both_engines_and_to_the_other_chip
}

impl World {
    fn raw(generation: Generation, chips: &[u32]) -> Self {
        let memory = memory(chips);
        let threads = threads_of(chips);
        let mut model = Model::new(generation, &memory, &threads);
        let controller = Controller::bring_up(
            &mut model,
            machine(generation),
            &memory,
            threads.into_iter(),
        )
        .unwrap();
        Self { model, controller }
    }

    /// With a queue for each thread, and all rings open.
    fn new(generation: Generation, chips: &[u32]) -> Self {
        let mut world = Self::raw(generation, chips);
        for pir in threads_of(chips) {
            world.open(pir);
        }
        world
    }

    fn open(&mut self, pir: u32) {
        self.model.thread = pir;
        open_thread(&mut self.model);
        assert_eq!(self.model.rings[&pir].interrupt(), None);
        self.model.rings.get_mut(&pir).unwrap().priority = 0xff;
        self.set_queue(pir.into(), Some(request(page(pir))))
            .unwrap();
    }

    fn set_queue(&mut self, target: u64, request: Option<QueueRequest>) -> Result<(), XiveError> {
        self.controller
            .set_queue(&mut self.model, target, PRIORITY, request)
    }

    fn send(&mut self, number: u32, target: u64, appears_as: u32) -> Result<(), XiveError> {
        let (bus, number) = (&mut self.model, number.into());
        self.controller
            .configure_source(bus, number, target, PRIORITY, appears_as)
    }

    /// Triggers it, as an OS does.
    fn trigger(&mut self, number: u32) {
        let info = self.controller.source_info(number.into()).unwrap();
        // An OS makes it ready first.
        self.model.load(info.end_page + 0xc00);
        self.model.trigger(info.trigger_page.unwrap());
    }

    /// Threads that have an interrupt.
    fn interrupted(&self) -> Vec<u32> {
        let rings = self.model.rings.iter();
        rings
            .filter(|(_, ring)| ring.interrupt().is_some())
            .map(|(pir, _)| *pir)
            .collect()
    }
}

fn an_interrupt_of_software_reaches_each_thread_of_each_chip(generation: Generation) {
    for chips in [&[0][..], &[0, 1], &[0, 8]] {
        let mut world = World::new(generation, chips);
        for from in chips {
            for to in threads_of(chips) {
                let number = world.controller.allocate_source(Some(*from)).unwrap();
                world.send(number, to.into(), 0x1234_5678 + to).unwrap();
                world.trigger(number);
                assert_eq!(world.interrupted(), [to], "{number:#x}");
                assert_eq!(world.model.take(to), Some(PRIORITY));
                let word = world.model.words(page(to)).last().copied();
                assert_eq!(word, Some(1 << 31 | (0x1234_5678 + to)));
                assert_eq!(world.interrupted(), []);
            }
        }
    }
}

fn one_that_is_off_reaches_nobody(generation: Generation) {
    let mut world = World::new(generation, &[0]);
    let number = world.controller.allocate_source(None).unwrap();
    // Nothing was configured yet.
    world.trigger(number);
    assert_eq!(world.interrupted(), []);
    world.send(number, 2, 5).unwrap();
    world
        .controller
        .configure_source(&mut world.model, number.into(), 0, OFF, 0x7fff_ffff)
        .unwrap();
    world.trigger(number);
    assert_eq!(world.interrupted(), []);
    let found = world
        .controller
        .source_configuration(&mut world.model, number.into())
        .unwrap();
    assert_eq!((found.priority, found.number), (OFF, 0x7fff_ffff));
    assert_eq!(found.target.unwrap().number(), 2, "where it went before");
    // On again, and to another thread: the cache must not have the old way.
    world.send(number, 3, 6).unwrap();
    world.trigger(number);
    assert_eq!(world.interrupted(), [3]);
    let found = world
        .controller
        .source_configuration(&mut world.model, number.into())
        .unwrap();
    assert_eq!((found.priority, found.number), (PRIORITY, 6));
    assert_eq!(found.target.unwrap().number(), 3);
}

fn a_level_comes_until_it_is_gone(generation: Generation) {
    let mut world = World::new(generation, &[0, 1]);
    let shift = match generation {
        Generation::First => 12,
        Generation::Second => 16,
    };
    for block in [0, 1] {
        let uart = Interrupt::Psi { block, line: 8 };
        let info = world.controller.source_info(uart.number().into()).unwrap();
        assert!(info.is_level && info.trigger_page.is_none());
        assert_eq!((info.chip, info.page_shift), (block, shift));
        world.model.set_level(block, 8, true);
        assert_eq!(world.interrupted(), [], "not yet configured");
        world.model.set_level(block, 8, false);
        world.send(uart.number(), 0x101, 9).unwrap();
        world.model.load(info.end_page + 0xc00);
        world.model.set_level(block, 8, true);
        for _ in 0..3 {
            assert_eq!(world.model.take(0x101), Some(PRIORITY));
            assert_eq!(world.interrupted(), []);
            world.model.load(info.end_page);
        }
        world.model.set_level(block, 8, false);
        assert_eq!(world.model.take(0x101), Some(PRIORITY));
        world.model.load(info.end_page);
        assert_eq!(world.interrupted(), []);
        // Another line of the bridge is not configured.
        world.model.set_level(block, 3, true);
        assert_eq!(world.interrupted(), []);
    }
}

fn a_reset_leaves_nothing_on(generation: Generation) {
    let mut world = World::new(generation, &[0, 1]);
    let fresh = World::raw(generation, &[0, 1]);
    for round in 0..3 {
        let numbers: Vec<u32> = (0..20)
            .map(|index| {
                let number = world.controller.allocate_source(Some(index % 2)).unwrap();
                world.send(number, u64::from(index % 4), index).unwrap();
                number
            })
            .collect();
        assert_eq!(numbers[..2], [FIRST, 1 << 20 | FIRST], "round {round}");
        let uart = Interrupt::Psi { block: 0, line: 8 };
        world.send(uart.number(), 1, 3).unwrap();
        let first = world.controller.allocate_targets(3).unwrap();
        world
            .controller
            .set_target(&mut world.model, first + 1, true)
            .unwrap();
        world
            .set_queue(first + 1, Some(request(0x5000_0000)))
            .unwrap();
        world.trigger(numbers[3]);
        world.controller.reset(&mut world.model).unwrap();
        world.model.set_level(0, 8, true);
        world.model.set_level(0, 8, false);
        let mut pages = Vec::new();
        for number in &numbers {
            assert_eq!(
                world.controller.source_info((*number).into()),
                Err(XiveError::Parameter)
            );
            let block = u64::from(number >> 20);
            let index = u64::from(number & 0xf_ffff);
            let (window, stride) = match generation {
                Generation::First => (0x6_0100_0000_0000, 42),
                Generation::Second => (0x6_0500_0000_0000, 44),
            };
            pages.push(window + (block << stride) + (index << 17));
        }
        for pir in threads_of(&[0, 1]) {
            world.model.take(pir);
        }
        for page in pages {
            world.model.trigger(page);
        }
        assert_eq!(world.interrupted(), [], "round {round}");
        assert_eq!(
            world.controller.target_info(first + 1),
            Err(XiveError::Parameter)
        );
        for pir in threads_of(&[0, 1]) {
            let info = world.controller.queue_info(&mut world.model, pir.into(), 7);
            assert!(!info.unwrap().is_on);
            assert!(world.controller.target_info(pir.into()).unwrap().is_on);
        }
        for (block, chip) in &world.model.chips {
            assert_eq!(
                chip.targets
                    .iter()
                    .filter(|(_, entry)| entry[0] != 0)
                    .count(),
                4
            );
            let theirs = &fresh.model.chips[block].targets;
            assert!(
                theirs
                    .iter()
                    .all(|(index, entry)| chip.targets[index] == *entry)
            );
        }
        for pir in threads_of(&[0, 1]) {
            world.open(pir);
        }
    }
}

fn sources_are_given_once_and_come_back(generation: Generation) {
    let mut world = World::new(generation, &[0, 1]);
    let all: Vec<u32> =
        core::iter::from_fn(|| world.controller.allocate_source(None).ok()).collect();
    assert_eq!(all.len(), 2 * (LAST - FIRST + 1) as usize);
    assert_eq!(distinct(&all).len(), all.len());
    assert_eq!(
        world.controller.allocate_source(Some(1)),
        Err(XiveError::Exhausted)
    );
    let number = all[77];
    world.send(number, 1, 1).unwrap();
    world
        .controller
        .free_source(&mut world.model, number.into())
        .unwrap();
    assert_eq!(
        world
            .controller
            .free_source(&mut world.model, number.into()),
        Err(XiveError::Parameter)
    );
    assert_eq!(world.controller.allocate_source(Some(0)), Ok(number));
    world.trigger(number);
    assert_eq!(world.interrupted(), [], "it forgot where it went");
}

fn queues_tell_what_they_are_and_where_they_stand(generation: Generation) {
    let mut world = World::raw(generation, &[0]);
    let off = world.controller.queue_info(&mut world.model, 2, 7).unwrap();
    assert!(!off.is_on && off.memory.is_none());
    assert_eq!(
        world.controller.queue_state(&mut world.model, 2, 7),
        Err(XiveError::Off)
    );
    let set = world
        .controller
        .set_queue_state(&mut world.model, 2, 7, true, 0);
    assert_eq!(set, Err(XiveError::Off));
    world.open(2);
    let on = world.controller.queue_info(&mut world.model, 2, 7).unwrap();
    assert!(on.is_on && on.always_notifies && !on.escalates);
    assert_eq!(on.memory, Some((page(2), PAGE_SHIFT)));
    assert_eq!((on.end_page, on.escalation), (off.end_page, off.escalation));
    let number = world.controller.allocate_source(None).unwrap();
    world.send(number, 2, 1).unwrap();
    world.trigger(number);
    world.trigger(number);
    let state = world.controller.queue_state(&mut world.model, 2, 7);
    assert_eq!(state, Ok((true, 2)));
    // At the end of its memory it begins again, in the next generation.
    let last = (1 << (PAGE_SHIFT - 2)) - 1;
    let set = world
        .controller
        .set_queue_state(&mut world.model, 2, 7, true, last);
    assert_eq!(set, Ok(()));
    world.trigger(number);
    let state = world.controller.queue_state(&mut world.model, 2, 7);
    assert_eq!(state, Ok((false, 0)));
    let beyond = world
        .controller
        .set_queue_state(&mut world.model, 2, 7, true, last + 1);
    assert_eq!(beyond, Err(XiveError::Parameter));
    world.set_queue(2, None).unwrap();
    assert_eq!(world.send(number, 2, 1), Err(XiveError::Parameter));
    world.trigger(number);
    assert_eq!(world.model.words(page(2)).len(), 3, "it is off");
}

fn virtual_processors_are_told_on_the_thread_that_carries_them(generation: Generation) {
    let mut world = World::new(generation, &[0, 1]);
    let first = world.controller.allocate_targets(2).unwrap();
    let target = first + 3;
    let info = world.controller.target_info(target).unwrap();
    assert!(!info.is_on);
    world
        .controller
        .set_target(&mut world.model, target, true)
        .unwrap();
    world.set_queue(target, Some(request(0x5000_0000))).unwrap();
    let number = world.controller.allocate_source(Some(1)).unwrap();
    world.send(number, target, 77).unwrap();
    world.model.rings.get_mut(&0x102).unwrap().pool = 1 << 31 | info.ring_word;
    world.trigger(number);
    assert_eq!(world.interrupted(), [0x102]);
    assert_eq!(world.model.take(0x102), Some(PRIORITY));
    world.model.rings.get_mut(&0x102).unwrap().pool = 0;
    world.trigger(number);
    assert_eq!(world.interrupted(), []);
    let pending = world.controller.target_state(&mut world.model, target);
    assert_eq!(pending, Ok(1 << 40), "kept for it");
    assert_eq!(world.controller.free_targets(first), Err(XiveError::Active));
    world.set_queue(target, None).unwrap();
    assert_eq!(world.controller.free_targets(first), Err(XiveError::Active));
    world
        .controller
        .set_target(&mut world.model, target, false)
        .unwrap();
    for other in [first + 1, target, 0, 2] {
        assert_eq!(
            world.controller.free_targets(other),
            Err(XiveError::Parameter)
        );
    }
    assert_eq!(world.controller.free_targets(first), Ok(()));
    assert_eq!(
        world.controller.free_targets(first),
        Err(XiveError::Parameter)
    );
}

fn what_no_thread_takes_escalates(generation: Generation) {
    let mut world = World::new(generation, &[0]);
    let target = world.controller.allocate_targets(0).unwrap();
    world
        .controller
        .set_target(&mut world.model, target, true)
        .unwrap();
    let request = QueueRequest {
        escalates: true,
        ..request(0x5000_0000)
    };
    world.set_queue(target, Some(request)).unwrap();
    let info = world
        .controller
        .queue_info(&mut world.model, target, PRIORITY);
    let escalation = info.unwrap().escalation;
    let page = world.controller.source_info(escalation.into()).unwrap();
    assert_eq!(page.trigger_page, None);
    let number = world.controller.allocate_source(None).unwrap();
    world.send(number, target, 1).unwrap();
    world.model.load(page.end_page + 0xc00);
    world.trigger(number);
    assert_eq!(world.interrupted(), [], "the escalation goes nowhere yet");
    world.send(escalation, 3, 0x99).unwrap();
    world.model.load(page.end_page + 0xc00);
    world.trigger(number);
    assert_eq!(world.interrupted(), [3]);
    assert_eq!(world.model.words(self::page(3)), [1 << 31 | 0x99]);
    let found = world
        .controller
        .source_configuration(&mut world.model, escalation.into())
        .unwrap();
    assert_eq!((found.priority, found.number), (PRIORITY, 0x99));
    assert_eq!(
        world
            .controller
            .free_source(&mut world.model, escalation.into()),
        Err(XiveError::Parameter)
    );
}

fn what_does_not_exist_changes_nothing(generation: Generation) {
    let mut world = World::new(generation, &[0]);
    let number = u64::from(world.controller.allocate_source(None).unwrap());
    world.send(number as u32, 1, 1).unwrap();
    let before = world.model.state();
    let numbers = [
        0,
        15,
        number + 1,
        u64::from(LAST) + 1 + 14,
        0xf_ffff,
        1 << 20 | number,
        16 << 20 | number,
        1 << 30 | 0x10,
        1 << 30 | 1 << 24 | 0x428,
        1 << 30 | 0x8000,
        0xffff_ffff,
        1 << 32 | number,
        u64::MAX,
    ];
    let targets = [
        4,
        0x80,
        0x100,
        0x1000,
        1 << 31 | 256,
        1 << 31 | 4096,
        1 << 31 | 1 << 16 | 256,
        1 << 32,
        u64::MAX,
    ];
    let (bus, controller) = (&mut world.model, &mut world.controller);
    let both = Synchronise {
        source: true,
        queue: true,
    };
    const BAD: XiveError = XiveError::Parameter;
    for wrong in numbers {
        assert_eq!(controller.source_info(wrong), Err(BAD), "{wrong:#x}");
        assert_eq!(controller.source_configuration(bus, wrong), Err(BAD));
        assert_eq!(controller.configure_source(bus, wrong, 1, 7, 0), Err(BAD));
        assert_eq!(controller.configure_source(bus, wrong, 1, OFF, 0), Err(BAD));
        assert_eq!(controller.free_source(bus, wrong), Err(BAD));
        assert_eq!(controller.synchronise_source(bus, wrong, both), Err(BAD));
    }
    for wrong in targets {
        assert_eq!(
            controller.configure_source(bus, number, wrong, 7, 0),
            Err(BAD),
            "{wrong:#x}"
        );
        assert_eq!(controller.queue_info(bus, wrong, 7), Err(BAD));
        assert_eq!(controller.set_queue(bus, wrong, 7, None), Err(BAD));
        assert_eq!(controller.queue_state(bus, wrong, 7), Err(BAD));
        assert_eq!(controller.set_queue_state(bus, wrong, 7, true, 0), Err(BAD));
        assert_eq!(controller.target_info(wrong), Err(BAD));
        assert_eq!(controller.set_target(bus, wrong, true), Err(BAD));
        assert_eq!(controller.target_state(bus, wrong), Err(BAD));
        assert_eq!(controller.free_targets(wrong), Err(BAD));
    }
    for priority in [8, 100, OFF] {
        assert_eq!(controller.queue_info(bus, 1, priority), Err(BAD));
        assert_eq!(controller.set_queue(bus, 1, priority, None), Err(BAD));
    }
    // A queue that is off, and a priority that there is not.
    assert_eq!(controller.configure_source(bus, number, 1, 6, 0), Err(BAD));
    assert_eq!(controller.configure_source(bus, number, 1, 8, 0), Err(BAD));
    let sizes = [(0x4000_0000, 13), (0x4000_0000, 40), (0x4000_1000, 16)];
    for memory in sizes {
        let wrong = QueueRequest {
            memory: Some(memory),
            ..request(0)
        };
        assert_eq!(controller.set_queue(bus, 1, 7, Some(wrong)), Err(BAD));
    }
    assert_eq!(controller.allocate_source(Some(1)), Err(BAD));
    for order in [12, 32, 64, u64::MAX] {
        let refused = Err(XiveError::Exhausted);
        assert_eq!(controller.allocate_targets(order), refused);
    }
    assert_eq!(world.model.state(), before);
}

fn chips_threads_and_memory_must_fit(generation: Generation) {
    let threads = [0, 1];
    let try_with = |memory: &[_], threads: &[u32]| {
        let mut model = Model::new(generation, &self::memory(&[0, 1, 2]), &threads_of(&[0]));
        let threads = threads.iter().copied();
        let result =
            Controller::bring_up(&mut model, machine(generation), memory, threads).map(drop);
        (result, model.scom_stores())
    };
    let refused = |error| (Err(error), 0);
    assert_eq!(try_with(&[], &threads), refused(BringUpError::Chips));
    let three = memory(&[0, 1, 2]);
    assert_eq!(try_with(&three, &threads), refused(BringUpError::Chips));
    let twice = memory(&[0, 0]);
    assert_eq!(try_with(&twice, &threads), refused(BringUpError::Chips));
    let far = memory(&[16]);
    assert_eq!(try_with(&far, &threads), refused(BringUpError::Chips));
    for pir in [0x80, 0x100, 0x1000] {
        let one = memory(&[0]);
        assert_eq!(
            try_with(&one, &[0, pir]),
            refused(BringUpError::Thread { pir })
        );
    }
    let mut odd = memory(&[0]);
    odd[0].real += 0x1000;
    assert_eq!(try_with(&odd, &threads), refused(BringUpError::Memory));
    let mut short = memory(&[0]);
    short[0].words = &short[0].words[1..];
    assert_eq!(try_with(&short, &threads), refused(BringUpError::Memory));
}

fn each_scom_store_that_fails_is_told(generation: Generation) {
    let chips = memory(&[0, 1]);
    let threads = threads_of(&[0, 1]);
    let mut stores = 0;
    loop {
        let mut model = Model::new(generation, &chips, &threads);
        model.faults = Faults {
            scom: Some(stores),
            ..Faults::default()
        };
        let result = Controller::bring_up(
            &mut model,
            machine(generation),
            &chips,
            threads.iter().copied(),
        );
        match result {
            Ok(_) => break,
            Err(BringUpError::Scom { .. }) => stores += 1,
            Err(other) => panic!("store {stores}: {other:?}"),
        }
        assert_eq!(model.scom_stores(), stores, "nothing is tried after it");
    }
    let of_a_chip = match generation {
        Generation::First => 12,
        Generation::Second => 11,
    };
    assert_eq!(stores, 2 * of_a_chip);
}

fn hardware_that_does_not_answer_is_not_awaited_for_ever(generation: Generation) {
    let mut world = World::new(generation, &[0]);
    let number = world.controller.allocate_source(None).unwrap();
    world.model.faults.conflicts = 3;
    assert_eq!(world.set_queue(1, Some(request(page(1)))), Ok(()));
    assert_eq!(world.model.faults.conflicts, 0, "tried until it was done");
    world.model.faults.conflicts = u32::MAX;
    assert_eq!(
        world.set_queue(1, Some(request(page(1)))),
        Err(XiveError::Hardware)
    );
    world.model.faults = Faults {
        scrub_hangs: true,
        ..Faults::default()
    };
    assert_eq!(world.send(number, 1, 1), Err(XiveError::Hardware));
    world.model.faults = Faults {
        sync_hangs: true,
        ..Faults::default()
    };
    assert_eq!(world.send(number, 2, 1), Err(XiveError::Hardware));
    assert_eq!(
        world.controller.reset(&mut world.model),
        Err(XiveError::Hardware)
    );
    // Well again, everything works.
    world.model.faults = Faults::default();
    world.controller.reset(&mut world.model).unwrap();
    world.open(1);
    let number = world.controller.allocate_source(None).unwrap();
    world.send(number, 1, 1).unwrap();
    world.trigger(number);
    assert_eq!(world.interrupted(), [1]);
    let memory = memory(&[0]);
    let mut model = Model::new(generation, &memory, &[0]);
    model.faults.conflicts = u32::MAX;
    let result =
        Controller::bring_up(&mut model, machine(generation), &memory, [0].into_iter()).map(drop);
    assert_eq!(result, Err(BringUpError::Entry));
}

fn tables_are_described_to_both_engines_and_to_the_other_chip(generation: Generation) {
    let world = World::raw(generation, &[0, 1]);
    for (block, chip) in &world.model.chips {
        let own: u64 = (*block).into();
        let other = 1 - own;
        // Those that each engine has, and of the other chip; pages for what overflows.
        let (tables, pages) = match generation {
            Generation::First => ([&[0, 1, 2, 3][..], &[0, 1, 2, 3]], (4, 6)),
            Generation::Second => ([&[0, 2, 3, 7][..], &[0, 1, 2, 3, 6, 7]], (8, 7)),
        };
        for (engine, tables) in (0..).zip(tables) {
            for table in tables {
                let elsewhere = chip.tables.get(&(engine, *table, other));
                assert_eq!(chip.tables[&(engine, *table, own)] >> 62, 2, "{table}");
                // Assignments of XIVE2 are looked for at home, and no synchronisation is awaited there.
                match (generation, table) {
                    (Generation::Second, 1 | 7) => assert_eq!(elsewhere, None),
                    _ => assert_eq!(elsewhere.unwrap() >> 62, 3, "{table}"),
                }
            }
        }
        for page in 0..pages.1 {
            assert_eq!(chip.tables[&(1, pages.0, page)] >> 62, 2);
        }
        assert_eq!(chip.threads_on, 0b1111, "threads of chip {block}");
    }
}
