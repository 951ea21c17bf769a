use super::*;

#[test]
fn sets_and_tables_are_addressed_as_the_manuals_have_it() {
    assert_eq!(FIRST_SOURCE_SET, 0x8001_0000_0000_0000);
    assert_eq!(FIRST_TARGET_SET, 0x8002_0000_0000_0000);
    assert_eq!(source_set(SetOf::Sources, 0, 3), 0x4000_0003_0000_0000);
    assert_eq!(source_set(SetOf::Queues, 1, 63), 0x8001_003f_0000_0000);
    assert_eq!(target_set(1, 2), 0x8001_0002_0000_0000);
    assert_eq!(table_address(Table::Targets, 1), 0x0003_0001_0000_0000);
    assert_eq!(table_here(0x30c0_0000, 1 << 20), 0x8000_0000_30c0_0008);
    assert_eq!(
        table_elsewhere(window::CONTROLLER + window::PAGE),
        0xc006_0302_0311_0000
    );
    assert_eq!(watch(1, 0x401), 0x1_0000_0401);
}

#[test]
fn threads_and_targets_are_numbered_by_their_pir() {
    assert_eq!(thread_on(0), (register::THREADS_ON_0, 1 << 63));
    assert_eq!(thread_on(0x163), (register::THREADS_ON_1, 1 << (63 - 0x23)));
    assert_eq!(physical_target(0x163), 0xe3);
    assert_eq!(ring_word(1, 0x123), 0x8_0123);
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
    let end = End::default()
        .of_target(1, 0x85, 7)
        .in_memory(0x1_2345_0000, 16)
        .always_notify();
    // Words 0 to 7 of the entry.
    assert_eq!(
        end.0,
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
    assert_eq!(end.keeps_backlog().0[0], end.0[0] | 1 << 60);
}

#[test]
fn targets_name_their_queues() {
    let target = NotificationTarget::on(1, 0x428);
    assert_eq!(target.0[0], 0x8000_0000_1000_0428);
    assert!(target.is_on() && !NotificationTarget::default().is_on());
}
