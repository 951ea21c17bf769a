use super::first::*;
use super::*;

const PAGE: u64 = super::window::PAGE;

const fn empty(generation: Generation) -> End {
    End::new(generation, [0; 4])
}

#[test]
fn sets_and_tables_are_addressed_as_the_manuals_have_it() {
    assert_eq!(FIRST_SOURCE_SET, 0x8001_0000_0000_0000);
    assert_eq!(FIRST_TARGET_SET, 0x8002_0000_0000_0000);
    assert_eq!(source_set(SetOf::Sources, 0, 3), 0x4000_0003_0000_0000);
    assert_eq!(source_set(SetOf::Queues, 1, 63), 0x8001_003f_0000_0000);
    assert_eq!(target_set(1, 2), 0x8001_0002_0000_0000);
    assert_eq!(
        table_address(Table::Targets as u64, 1),
        0x0003_0001_0000_0000
    );
    assert_eq!(table_here(0x30c0_0000, 1 << 20), 0x8000_0000_30c0_0008);
    assert_eq!(
        table_elsewhere(first::window::CONTROLLER + PAGE, 4096),
        0xc006_0302_0311_0000
    );
    assert_eq!(watch(1, 0x401), 0x1_0000_0401);
}

#[test]
fn threads_and_targets_are_numbered_by_their_pir() {
    assert_eq!(thread_on(0), (0, 1 << 63));
    assert_eq!(thread_on(0x163), (1, 1 << (63 - 0x23)));
    assert_eq!(physical_target(0x163), 0xe3);
    assert_eq!(ring_word(Generation::First, 1, 0x123), 0x8_0123);
    assert_eq!(ring_word(Generation::Second, 1, 0x123), 0x100_0123);
    assert_eq!(on_the_bus(1, 0xff0), 0x1000_0ff0);
}

#[test]
fn assignments_keep_their_parts_apart() {
    let masked = EventAssignment::masked(0xff8);
    assert_eq!(masked.0, 0x8000_0000_8000_0ff8);
    let on = masked.to(1, 0x1234).with_number(0x7fff_ffff);
    assert_eq!(on.0, 0x8100_1234_7fff_ffff);
    assert!(on.is_on() && !masked.is_on());
    assert_eq!((on.queue(), on.number()), ((1, 0x1234), 0x7fff_ffff));
    assert_eq!(on.off().queue(), (1, 0x1234));
    assert!(!on.off().is_on() && !EventAssignment::default().is_on());
}

#[test]
fn queues_are_encoded_word_by_word() {
    let end = empty(Generation::First)
        .of_target(1, 0x85, 7)
        .in_memory(0x1_2345_0000, 16)
        .always_notify();
    // Words 0 to 7 of the entry.
    assert_eq!(
        *end.words(),
        [
            0xe004_0000_0040_0000,
            0x0000_0001_2345_0000,
            0,
            0x0008_0085_0007_0000,
        ]
    );
    assert!(end.is_on() && end.does_always_notify() && !end.does_escalate());
    assert_eq!(end.memory(), Some((0x1_2345_0000, 16)));
    assert_eq!(end.position(), (true, 0));
    assert_eq!(end.at(false, 5).position(), (false, 5));
    let to = EventAssignment::masked(9);
    let off = end.escalates().escalating_to(to).off();
    assert!(!off.is_on() && off.memory().is_none());
    assert_eq!((off.escalation(), off.states()), (to, 0b0101));
    assert_eq!(end.keeps_backlog().words()[0], end.words()[0] | 1 << 60);
}

#[test]
fn queues_of_the_second_generation_are_encoded_word_by_word() {
    let end = empty(Generation::Second)
        .of_target(1, 0x85, 7)
        .in_memory(0x1_2345_0000, 16)
        .always_notify();
    assert_eq!(
        *end.words(),
        [
            0x8604_0000_0040_0000,
            0x0000_0001_2345_0004,
            0,
            0x0100_0085_0007_0000,
        ]
    );
    assert!(end.is_on() && end.does_always_notify() && !end.does_escalate());
    assert_eq!(end.memory(), Some((0x1_2345_0000, 16)));
    assert_eq!(end.at(false, 5).position(), (false, 5));
    assert_eq!(end.keeps_backlog().words()[0], end.words()[0] | 1 << 55);
}

/// The hardware has no mask there.
#[test]
fn the_second_generation_escalates_only_where_it_leads_somewhere() {
    const ESCALATE: u64 = 1 << 52;
    let wants = empty(Generation::Second).of_target(0, 1, 0).escalates();
    assert!(wants.does_escalate());
    assert_eq!(wants.words()[0] & ESCALATE, 0, "no way at all");
    let masked = wants.escalating_to(EventAssignment::masked(9));
    assert_eq!(masked.words()[0] & ESCALATE, 0);
    let on = masked.escalating_to(masked.escalation().to(1, 0x80));
    assert_eq!(on.words()[0] & ESCALATE, ESCALATE);
    assert_eq!(on.words()[2], 0x8100_0080_0000_0009);
    let off = on.escalating_to(on.escalation().off());
    assert_eq!(off.words()[0] & ESCALATE, 0);
    assert!(off.does_escalate(), "it is remembered");
    let never = empty(Generation::Second).escalating_to(on.escalation());
    assert_eq!(never.words()[0] & ESCALATE, 0, "nobody asked for it");
    assert!(!never.does_escalate());
}

#[test]
fn targets_name_their_queues() {
    let target = NotificationTarget::on(Generation::First, 1, 0x428);
    assert_eq!(target.words()[0], 0x8000_0000_1000_0428);
    assert_eq!(target.words().len(), 8);
    assert!(target.is_on() && !NotificationTarget::off(Generation::First).is_on());
    let mut target = NotificationTarget::on(Generation::Second, 1, 0x428);
    assert_eq!(target.words(), [1 << 63, 0, 0x0100_0428, 0]);
    target.words_mut()[1] = 0xff81_2200_0000_0000;
    assert_eq!(target.state(), 0x00ff_8122_0000_0000);
}

#[test]
fn the_second_controller_is_configured_as_its_manual_has_it() {
    use super::second::{Table, configuration, first_set, scom, scrub, set};
    assert_eq!(configuration(2), 0x0030_8200_0000_0000);
    assert_eq!(first_set(second::SetOf::Targets), 0x8003_0000_0000_0000);
    assert_eq!(set(2), 1 << 63 | 2);
    assert_eq!(scom::size(1 << 29), 5);
    assert_eq!(scrub(1, 0xff0), 0x1000_0ff0_ffff_ffff);
    assert_eq!(
        table_address(Table::Overflow as u64, 6),
        0x0008_0006_0000_0000
    );
    assert_eq!(second::HARMLESS, 0x0000_1000_0000_0007);
}
