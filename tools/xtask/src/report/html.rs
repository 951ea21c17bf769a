//! The page: one file, nothing loaded from elsewhere, readable in light and dark.

use super::{
    Page,
    lanes::svg,
    narrative::{Episode, Kind, details, hmer, kind, label, tfmr},
};
use std::fmt::Write as _;

const STYLE: &str = include_str!("page.css");

/// Text for use between tags and in attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// The whole page.
pub(crate) fn page(page: &Page) -> String {
    let mut out = String::new();
    let verdict = if page.failures.is_empty() {
        "every check held"
    } else {
        "FAILED"
    };
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Opaline: {0}</title><style>{STYLE}</style></head><body>\
         <h1>Timebase repair on {0}</h1><p class=\"verdict {1}\">{verdict}</p>",
        escape(&page.title),
        if page.failures.is_empty() {
            "good"
        } else {
            "bad"
        },
    );
    if !page.failures.is_empty() {
        list(&mut out, &page.failures);
    }
    facts(&mut out, &page.facts);
    for table in &page.tables {
        let _ = write!(out, "<h2>{}</h2>", escape(&table.title));
        rows(&mut out, &table.head, &table.rows);
    }
    out.push_str("<h2>What each thread did</h2><p class=\"legend\">");
    for kind in Kind::ALL {
        let _ = write!(
            out,
            "<svg width=\"14\" height=\"14\"><g class=\"step {}\"><rect x=\"1\" y=\"1\" width=\"12\" \
             height=\"12\" rx=\"3\"/></g></svg> {} &ensp;",
            kind.class(),
            kind.title()
        );
    }
    out.push_str(
        "</p><p>Time runs down, in the order of the recorder's sequence numbers. Point at a step \
         for its registers; click it for its row in the table.</p>",
    );
    for (id, episode) in page.episodes.iter().enumerate() {
        self::episode(&mut out, episode, id);
    }
    out.push_str("<h2>Console</h2><details><summary>");
    let _ = write!(out, "{} lines</summary><pre>", page.console.len());
    for line in &page.console {
        let _ = writeln!(out, "{}", escape(line));
    }
    out.push_str("</pre></details></body></html>\n");
    out
}

fn list(out: &mut String, items: &[String]) {
    out.push_str("<ul>");
    for item in items {
        let _ = write!(out, "<li>{}</li>", escape(item));
    }
    out.push_str("</ul>");
}

fn facts(out: &mut String, facts: &[(String, String)]) {
    out.push_str("<dl>");
    for (name, value) in facts {
        let _ = write!(out, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    out.push_str("</dl>");
}

fn rows(out: &mut String, head: &[&str], rows: &[Vec<String>]) {
    out.push_str("<div class=\"scroll\"><table><thead><tr>");
    for cell in head {
        let _ = write!(out, "<th>{}</th>", escape(cell));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td>{}</td>", escape(cell));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
}

fn episode(out: &mut String, episode: &Episode, id: usize) {
    let first = episode.records.first();
    let _ = write!(
        out,
        "<h3>{}. {} on thread {:#x}{}</h3><div class=\"scroll\">{}</div>",
        id + 1,
        first.map_or("nothing", |record| label(record.step)),
        first.map_or(0, |record| record.pir),
        if episode.troubled() { ": trouble" } else { "" },
        svg(episode, id)
    );
    let _ = write!(
        out,
        "<details open><summary>{} steps with their registers</summary><div class=\"scroll\">\
         <table class=\"steps\"><thead><tr><th>#</th><th>thread</th><th>step</th><th></th>\
         <th>TB</th><th>TFMR</th><th>HMER</th></tr></thead><tbody>",
        episode.records.len()
    );
    for record in &episode.records {
        let _ = write!(
            out,
            "<tr id=\"e{id}r{0}\"><td>{0}</td><td>{1:#x}</td><td class=\"{2}\">{3}</td><td>{4}</td>\
             <td><code>{5:#018x}</code></td><td><code>{6}</code></td><td><code>{7}</code></td></tr>",
            record.sequence,
            record.pir,
            kind(record.step).class(),
            label(record.step),
            escape(&details(record)),
            record.timebase,
            escape(&tfmr(record.tfmr)),
            escape(&hmer(record.hmer)),
        );
    }
    out.push_str("</tbody></table></div></details>");
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Table, narrative::tests::record},
        *,
    };
    use flight_recorder::Step;

    #[test]
    fn the_page_stands_alone_and_escapes() {
        let made = page(&Page {
            title: "powernv9 <x>".into(),
            failures: vec!["thread 1 & 2".into()],
            facts: vec![("seed".into(), "7".into())],
            tables: vec![Table {
                title: "Guests".into(),
                head: vec!["a"],
                rows: vec![vec!["1".into()]],
            }],
            episodes: vec![Episode {
                records: vec![record(1, 0, Step::HmiInGuest)],
            }],
            console: vec!["<b>".into()],
        });
        assert!(made.contains("powernv9 &lt;x&gt;") && made.contains("thread 1 &amp; 2"));
        assert!(made.contains("&lt;b&gt;") && !made.contains("<b>"));
        assert!(made.contains("FAILED") && made.contains("id=\"e0r1\""));
        for outside in ["src=", "@import", "url(", "<script", "<link"] {
            assert!(!made.contains(outside), "{outside}");
        }
        // The only address is the name of the SVG format.
        assert_eq!(
            made.matches("http").count(),
            made.matches("http://www.w3.org/2000/svg").count()
        );
    }
}
