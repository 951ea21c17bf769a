//! The client against a stub of our own, which also misbehaves.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use gdb_remote::packet::{Decoder, Item, encode};
use gdb_remote::{Client, Error, Resume, StopReply, ThreadId, Timeouts, Watch};

const TARGET: &str =
    r#"<target><xi:include href="core.xml"/><xi:include href="spr.xml"/></target>"#;
const CORE: &str = r#"<reg name="pc" bitsize="64" regnum="64"/><reg name="msr" bitsize="64"/>
    <reg name="cr" bitsize="32"/><reg name="vs0" bitsize="128"/>"#;
const SPR: &str = r#"<reg name="tfmr" bitsize="64" regnum="226"/>"#;

const FIRST: ThreadId = ThreadId {
    process: 1,
    thread: 1,
};
const SECOND: ThreadId = ThreadId {
    process: 1,
    thread: 2,
};

fn timeouts() -> Timeouts {
    Timeouts {
        connect: Duration::from_millis(200),
        reply: Duration::from_millis(300),
        acknowledge: Duration::from_millis(100),
        stop: Duration::from_millis(300),
    }
}

/// What the stub does with one packet: the bytes that go on the line, framed by the script itself.
type Script = Box<dyn FnMut(&str) -> Vec<u8> + Send>;

fn stub(mut stream: UnixStream, mut script: Script, log: Sender<String>) {
    let mut decoder = Decoder::default();
    let mut byte = [0];
    while let Ok(1) = stream.read(&mut byte) {
        if byte[0] == 3 {
            let _ = log.send("interrupt".into());
            let _ = stream.write_all(&script("interrupt"));
            continue;
        }
        let Some(item) = decoder.feed(byte[0]) else {
            continue;
        };
        if let Item::Packet(packet) = item {
            let text = String::from_utf8(packet).expect("the client sends text");
            let _ = log.send(text.clone());
            if stream.write_all(&script(&text)).is_err() {
                return;
            }
        }
    }
}

/// Acknowledgement and answer.
fn answer(text: &str) -> Vec<u8> {
    [b"+".to_vec(), encode(text.as_bytes())].concat()
}

struct State {
    selected: u32,
    listed: bool,
}

/// The answers of a well-behaved stub with two threads, the second little-endian.
fn well_behaved(state: &mut State, packet: &str) -> Vec<u8> {
    if let Some(rest) = packet.strip_prefix("qXfer:features:read:") {
        let (annex, place) = rest.rsplit_once(':').expect("annex and place");
        let document = match annex {
            "target.xml" => TARGET,
            "core.xml" => CORE,
            _ => SPR,
        };
        let (offset, _) = place.split_once(',').expect("offset and length");
        let offset = usize::from_str_radix(offset, 16).expect("hexadecimal");
        // Small pieces, so that the client has to come back.
        let end = (offset + 40).min(document.len());
        let kind = if end == document.len() { "l" } else { "m" };
        return answer(&format!("{kind}{}", &document[offset..end]));
    }
    match packet {
        "?" => answer("T05thread:p01.01;"),
        "qfThreadInfo" => answer("mp01.01"),
        "qsThreadInfo" if state.listed => answer("l"),
        "qsThreadInfo" => {
            state.listed = true;
            answer("mp01.02")
        }
        "Hgp1.1" => {
            state.selected = 1;
            answer("OK")
        }
        "Hgp1.2" => {
            state.selected = 2;
            answer("OK")
        }
        "Hgp1.9" => answer("E16"),
        "p41" if state.selected == 1 => answer("9000000000001000"),
        "p41" => answer("0110000000000090"),
        "pe2" if state.selected == 1 => answer("1212000870600000"),
        "pe2" => answer("0000607008001212"),
        "p42" => answer("00000001"),
        "m1000,8" => answer("4f50414c5348494d"),
        "m2000,8" => answer("E0e"),
        "m3000,8" => answer("4f50"),
        "qSupported:multiprocess+;xmlRegisters=i386;swbreak+;hwbreak+" => {
            answer("PacketSize=1000;qXfer:features:read+")
        }
        "vCont;c" => b"+".to_vec(),
        "vCont;s:p1.2" => [answer("T05thread:p01.02;")].concat(),
        "interrupt" => encode(b"T02thread:p01.02;"),
        _ if packet.starts_with(['P', 'M', 'Z', 'z', 'D', 'Q']) => answer("OK"),
        _ => answer(""),
    }
}

struct Rig {
    client: Result<Client, Error>,
    log: Receiver<String>,
    stub: JoinHandle<()>,
}

/// A client on a stub whose answers `twist` may replace.
fn rig(mut twist: impl FnMut(&str) -> Option<Vec<u8>> + Send + 'static) -> Rig {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let (sender, log) = channel();
    let mut state = State {
        selected: 1,
        listed: false,
    };
    let script: Script =
        Box::new(move |packet| twist(packet).unwrap_or_else(|| well_behaved(&mut state, packet)));
    let stub = std::thread::spawn(move || stub(theirs, script, sender));
    Rig {
        client: Client::from_stream(ours, timeouts()),
        log,
        stub,
    }
}

impl Rig {
    fn client(&mut self) -> &mut Client {
        self.client.as_mut().expect("the handshake works")
    }

    /// Ends the connection and returns what the stub was sent.
    fn end(self) -> Vec<String> {
        drop(self.client);
        self.stub.join().expect("the stub does not panic");
        self.log.into_iter().collect()
    }
}

#[test]
fn registers_follow_the_byte_order_of_their_thread() {
    let mut rig = rig(|_| None);
    let client = rig.client();
    assert_eq!(client.threads().expect("threads"), [FIRST, SECOND]);
    assert_eq!(
        client.read_register(FIRST, "tfmr").expect("tfmr"),
        0x1212_0008_7060_0000
    );
    assert_eq!(
        client.read_register(SECOND, "tfmr").expect("tfmr"),
        0x1212_0008_7060_0000
    );
    client.write_register(FIRST, "tfmr", 0x0102).expect("write");
    client
        .write_register(SECOND, "tfmr", 0x0102)
        .expect("write");
    client.write_register(FIRST, "cr", 0x0102).expect("write");
    let sent = rig.end();
    for expected in [
        "Pe2=0000000000000102",
        "Pe2=0201000000000000",
        "P42=00000102",
    ] {
        assert!(
            sent.iter().any(|packet| packet == expected),
            "{expected} in {sent:?}"
        );
    }
}

#[test]
fn writing_msr_asks_for_the_byte_order_again() {
    let mut rig = rig(|_| None);
    let client = rig.client();
    client.write_register(FIRST, "msr", 1).expect("write");
    client.read_register(FIRST, "tfmr").expect("read");
    let sent = rig.end();
    assert_eq!(
        sent.iter().filter(|packet| *packet == "p41").count(),
        2,
        "{sent:?}"
    );
}

#[test]
fn register_errors_have_names() {
    let mut rig = rig(|_| None);
    let client = rig.client();
    assert!(matches!(
        client.read_register(FIRST, "nope"),
        Err(Error::NoSuchRegister(_))
    ));
    assert!(matches!(
        client.read_register(FIRST, "vs0"),
        Err(Error::RegisterTooWide { bits: 128, .. })
    ));
    let nobody = ThreadId {
        process: 1,
        thread: 9,
    };
    assert!(matches!(
        client.read_register(nobody, "pc"),
        Err(Error::NoSuchThread(_))
    ));
    rig.end();
}

#[test]
fn memory_in_chunks_and_its_errors() {
    let mut rig = rig(|_| None);
    let client = rig.client();
    assert_eq!(
        client.read_words(0x1000, 1).expect("read"),
        [u64::from_be_bytes(*b"OPALSHIM")]
    );
    assert!(matches!(
        client.read_memory(0x2000, 8),
        Err(Error::Refused { code: 0x0e, .. })
    ));
    assert!(matches!(
        client.read_memory(0x3000, 8),
        Err(Error::Malformed { .. })
    ));
    client.write_memory(0x4000, &[0xab; 1030]).expect("write");
    let sent = rig.end();
    assert!(
        sent.iter().any(|packet| packet == "M4400,6:abababababab"),
        "{sent:?}"
    );
}

#[test]
fn running_stopping_and_stepping() {
    let mut rig = rig(|_| None);
    let client = rig.client();
    client
        .plant(Watch::Write, 0x6_03fc_0020_00b8, 8)
        .expect("plant");
    client.resume(Resume::All).expect("resume");
    assert!(client.is_running());
    assert_eq!(
        client
            .wait_for_stop(Duration::from_millis(20))
            .expect("wait"),
        None
    );
    let stop = client.interrupt().expect("stop");
    assert_eq!(
        stop,
        StopReply::Stopped {
            signal: 2,
            thread: Some(SECOND),
            watch: None
        }
    );
    assert_eq!(client.step(SECOND).expect("step").thread(), Some(SECOND));
    assert!(
        client.wait_for_stop(Duration::from_millis(20)).is_err(),
        "it does not run"
    );
    let sent = rig.end();
    assert!(
        sent.iter().any(|packet| packet == "Z2,603fc002000b8,8"),
        "{sent:?}"
    );
}

#[test]
fn stray_stop_replies_are_no_answers() {
    let mut rig = rig(|packet| {
        (packet == "m1000,8").then(|| {
            [
                b"+".to_vec(),
                encode(b"T05thread:p01.02;"),
                encode(b"0000000000000007"),
            ]
            .concat()
        })
    });
    let client = rig.client();
    assert_eq!(client.read_words(0x1000, 1).expect("read"), [7]);
    assert_eq!(client.stray_stops(), 1);
    rig.end();
}

#[test]
fn damaged_packets_are_asked_for_again() {
    let mut times = 0;
    let mut rig = rig(move |packet| {
        (packet == "m1000,8").then(|| {
            times += 1;
            match times {
                1 => b"-".to_vec(),
                _ => [
                    b"+$0000000000000007#00".to_vec(),
                    encode(b"0000000000000007"),
                ]
                .concat(),
            }
        })
    });
    assert_eq!(rig.client().read_words(0x1000, 1).expect("read"), [7]);
    let sent = rig.end();
    assert_eq!(
        sent.iter().filter(|packet| *packet == "m1000,8").count(),
        2,
        "{sent:?}"
    );
}

#[test]
fn silence_is_a_timeout() {
    let mut quiet = rig(|packet| (packet == "m1000,8").then(Vec::new));
    assert!(matches!(
        quiet.client().read_memory(0x1000, 8),
        Err(Error::Timeout { .. })
    ));
    quiet.end();
    let mut half = rig(|packet| (packet == "m1000,8").then(|| b"+$0000".to_vec()));
    assert!(matches!(
        half.client().read_memory(0x1000, 8),
        Err(Error::Timeout { .. })
    ));
    half.end();
    let mut deaf = rig(|packet| (packet == "interrupt").then(Vec::new));
    deaf.client().resume(Resume::All).expect("resume");
    assert!(matches!(deaf.client().interrupt(), Err(Error::WillNotStop)));
    deaf.end();
}

#[test]
fn the_end_of_the_machine_is_seen() {
    let mut rig = rig(|packet| (packet == "m1000,8").then(|| answer("W01")));
    assert!(matches!(
        rig.client().read_memory(0x1000, 8),
        Err(Error::Exited(1))
    ));
    rig.end();
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    drop(theirs);
    assert!(matches!(
        Client::from_stream(ours, timeouts()),
        Err(Error::Closed)
    ));
}

#[test]
fn a_stub_without_description_is_refused() {
    let rig = rig(|packet| packet.starts_with("qXfer").then(|| answer("")));
    assert!(matches!(rig.client, Err(Error::Unsupported { .. })));
    rig.end();
}

#[test]
fn the_monitor_answers_in_pieces() {
    let mut rig = rig(|packet| {
        // "info" is 696e666f.
        (packet == "qRcmd,696e666f").then(|| {
            [
                b"+".to_vec(),
                encode(b"O6162"),
                encode(b"O63"),
                encode(b"OK"),
            ]
            .concat()
        })
    });
    assert_eq!(rig.client().monitor("info").expect("text"), "abc");
    assert!(matches!(
        rig.client().monitor("other"),
        Err(Error::Unsupported { .. })
    ));
    rig.end();
}

#[test]
fn endless_answers_are_cut_off() {
    let mut rig = rig(|packet| packet.ends_with("ThreadInfo").then(|| answer("mp01.01")));
    assert!(matches!(
        rig.client().threads(),
        Err(Error::Malformed { .. })
    ));
    rig.end();
    let endless = rig_of_endless_description();
    assert!(matches!(endless.client, Err(Error::Malformed { .. })));
    endless.end();
}

fn rig_of_endless_description() -> Rig {
    rig(|packet| {
        packet
            .starts_with("qXfer")
            .then(|| answer(&format!("m{}", "<reg/>".repeat(290))))
    })
}

#[test]
fn detaching_stops_first() {
    let mut rig = rig(|_| None);
    rig.client().resume(Resume::All).expect("resume");
    let client = rig.client.expect("the handshake works");
    client.detach().expect("detach");
    rig.stub.join().expect("the stub does not panic");
    let sent: Vec<String> = rig.log.into_iter().collect();
    assert_eq!(sent[sent.len() - 2..], ["interrupt", "D;1"]);
}

#[test]
fn no_socket_is_an_error_in_time() {
    let missing = std::path::Path::new("target/there-is-no-such-socket");
    assert!(matches!(
        Client::connect(missing, timeouts()),
        Err(Error::Io(_))
    ));
}
