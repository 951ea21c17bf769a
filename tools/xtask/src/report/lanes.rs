//! The picture: one lane per thread, time running down, one box per step.

use super::{
    html::escape,
    narrative::{Episode, Kind, details, hmer, kind, label, tfmr},
};
use flight_recorder::Record;
use std::fmt::Write as _;

const LANE: usize = 158;
const LEFT: usize = 54;
const TOP: usize = 40;
const ROW: usize = 26;
const BOX_WIDTH: usize = 146;
const BOX_HEIGHT: usize = 20;

/// An SVG of one episode; `id` tells the anchors of several apart.
pub(crate) fn svg(episode: &Episode, id: usize) -> String {
    let threads = episode.threads();
    let width = LEFT + LANE * threads.len() + 8;
    let height = TOP + ROW * episode.records.len() + 12;
    let mut out = String::new();
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"Steps of each thread\">"
    );
    for (lane, pir) in threads.iter().enumerate() {
        let centre = LEFT + LANE * lane + LANE / 2;
        let _ = write!(
            out,
            "<text class=\"head\" x=\"{centre}\" y=\"20\">thread {pir:#x}</text>\
             <line class=\"lane\" x1=\"{centre}\" y1=\"30\" x2=\"{centre}\" y2=\"{}\"/>",
            height - 8
        );
        waits(&mut out, episode, *pir, centre);
    }
    for (row, record) in episode.records.iter().enumerate() {
        let lane = threads
            .iter()
            .position(|pir| *pir == record.pir)
            .unwrap_or(0);
        step(&mut out, record, row, lane, id);
    }
    out.push_str("</svg>");
    out
}

/// Thick dashed stretches where a thread waits for others.
fn waits(out: &mut String, episode: &Episode, pir: u32, centre: usize) {
    let own = || {
        episode
            .records
            .iter()
            .enumerate()
            .filter(|(_, record)| record.pir == pir)
    };
    for ((row, record), (next, _)) in own().zip(own().skip(1)) {
        if kind(record.step) == Kind::Wait {
            let _ = write!(
                out,
                "<line class=\"waiting\" x1=\"{centre}\" y1=\"{}\" x2=\"{centre}\" y2=\"{}\"/>",
                TOP + ROW * row,
                TOP + ROW * next
            );
        }
    }
}

fn step(out: &mut String, record: &Record, row: usize, lane: usize, id: usize) {
    let (x, y) = (LEFT + LANE * lane + (LANE - BOX_WIDTH) / 2, TOP + ROW * row);
    let title = format!(
        "#{} thread {:#x}: {}\n{}\nTB {:#018x}\n{}\n{}",
        record.sequence,
        record.pir,
        label(record.step),
        details(record),
        record.timebase,
        tfmr(record.tfmr),
        hmer(record.hmer)
    );
    let _ = write!(
        out,
        "<text class=\"number\" x=\"{}\" y=\"{}\">{}</text>\
         <a href=\"#e{id}r{}\"><g class=\"step {}\"><title>{}</title>\
         <rect x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"4\"/>\
         <text x=\"{}\" y=\"{}\">{}</text></g></a>",
        LEFT - 10,
        y + 14,
        record.sequence,
        record.sequence,
        kind(record.step).class(),
        escape(&title),
        x + BOX_WIDTH / 2,
        y + 14,
        label(record.step)
    );
}

#[cfg(test)]
mod tests {
    use super::{super::narrative::tests::record, *};
    use flight_recorder::Step;

    #[test]
    fn each_thread_has_a_lane_and_each_record_a_box() {
        let episode = Episode {
            records: vec![
                record(1, 0, Step::HmiInGuest),
                record(2, 4, Step::Join),
                record(3, 0, Step::Join),
                record(4, 4, Step::AllArrived),
            ],
        };
        let svg = svg(&episode, 7);
        assert_eq!(svg.matches("class=\"head\"").count(), 2);
        assert_eq!(svg.matches("<rect").count(), 4);
        assert_eq!(svg.matches("class=\"waiting\"").count(), 1);
        assert!(svg.contains("Error from SyncWait") && svg.contains("TFAC_ERROR"));
        assert!(svg.contains("href=\"#e7r3\""));
    }
}
