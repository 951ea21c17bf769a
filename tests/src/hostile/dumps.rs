//! Memory and lines that the tools read from a machine whose memory may be anything.

use super::Input;
use fault_injector::readout::{HeaderView, StatusView, add_records, statuses_from_words};
use flight_recorder::{Record, WORDS};
use gdb_remote::packet::{Decoder, from_hex};
use gdb_remote::{StopReply, TargetDescription};
use hypervisor_shim::control::{Header, HeaderWord, ThreadStatus, ThreadWord};
use std::collections::BTreeMap;

/// Decodes the input as each of the things that tools read.
///
/// # Panics
/// If a promise is broken.
pub(super) fn run(input: &[u8]) {
    let mut input = Input::new(input);
    match input.byte() % 4 {
        0 => recorder(&mut input),
        1 => control_block(&mut input),
        2 => line(input.rest()),
        _ => documents(input.rest()),
    }
}

fn words(input: &mut Input<'_>) -> Vec<u64> {
    let mut words = Vec::new();
    while !input.is_empty() {
        words.push(input.number());
    }
    words
}

fn recorder(input: &mut Input<'_>) {
    // Most records look like some, or nothing would be decoded.
    let mut words = words(input);
    for record in words.as_chunks_mut::<WORDS>().0 {
        if !record[2].is_multiple_of(3) {
            record[7] = record[0];
            record[1] = (record[1] & !0xffff) | (record[3] % 52);
        }
    }
    let mut records = BTreeMap::new();
    add_records(&words, &mut records);
    for (sequence, record) in &records {
        assert!(*sequence == record.sequence && *sequence != 0);
        assert!(!format!("{record:?}").is_empty());
    }
    let whole = words.as_chunks::<WORDS>().0;
    assert!(records.len() <= whole.len());
    assert!(
        whole
            .iter()
            .filter_map(Record::from_words)
            .all(|record| records.contains_key(&record.sequence))
    );
}

fn control_block(input: &mut Input<'_>) {
    let words = words(input);
    let header = HeaderView::from_words(words.iter().copied().take(Header::NAMES.len()).collect());
    assert_eq!(
        header.get(HeaderWord::Magic),
        words.first().copied().unwrap_or(0)
    );
    assert!(header.by_name().len() <= Header::NAMES.len());
    // The block may be cut off anywhere.
    match statuses_from_words(&words) {
        Ok(statuses) => {
            let whole = words.len() / ThreadStatus::NAMES.len();
            assert!(statuses.len() <= whole);
            for (pir, status) in &statuses {
                judge_status(*pir, status);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn judge_status(pir: u32, status: &StatusView) {
    assert_eq!(status.pir, pir);
    assert_eq!(status.get(ThreadWord::PirPlusOne), u64::from(pir) + 1);
    assert!(!status.activity().is_empty());
    assert!(!(status.attends() && status.settled()));
    assert_eq!(status.by_name().len(), ThreadStatus::NAMES.len());
}

fn line(bytes: &[u8]) {
    let mut decoder = Decoder::default();
    let items = bytes.iter().filter_map(|byte| decoder.feed(*byte)).count();
    assert!(items <= bytes.len());
    let _ = from_hex(bytes);
    if let Some(reply) = StopReply::parse(bytes) {
        let _ = reply.thread();
    }
    // The same with a good frame around it.
    let mut decoder = Decoder::default();
    let framed = gdb_remote::packet::encode(bytes);
    let items = framed.iter().filter_map(|byte| decoder.feed(*byte)).count();
    assert!(items <= framed.len());
}

fn documents(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // Tags of the kind that the stub sends, with the input in their attributes.
    let tags = format!(
        "<reg name=\"{text}\" bitsize=\"{text}\" regnum='{text}'/><xi:include href=\"{text}\"/>"
    );
    for document in [text.as_ref(), tags.as_str()] {
        let mut description = TargetDescription::default();
        description.add(document);
        let _ = TargetDescription::includes(document);
        let _ = (description.len(), description.register(&text));
    }
}
