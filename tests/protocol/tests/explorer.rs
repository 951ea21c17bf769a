//! The web explorer: the program serves the page, how far it is, and states with what can follow.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Tries to reach it, and for how long each waits.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// It serves for ever: whatever comes of the test, it is ended.
struct Explorer(Child, String);

impl Drop for Explorer {
    fn drop(&mut self) {
        self.0.kill().expect("it is ours");
        self.0.wait().expect("it ends");
    }
}

impl Explorer {
    fn start(shape: &str) -> Self {
        // A port that is free now; whoever takes it in between makes the test fail, not pass.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("its number").to_string();
        drop(free);
        let child = Command::new(env!("CARGO_BIN_EXE_protocol"))
            .args(["--shape", shape, "--explore", &address])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        Self(child, address)
    }

    /// The answer to a request, without its head.
    fn ask(&mut self, method: &str, path: &str) -> Result<String, String> {
        let mut stream = loop_until_there(&mut self.0, &self.1);
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Length: 0\r\n\r\n",
            self.1
        );
        stream.write_all(request.as_bytes()).expect("it listens");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("it answers");
        let answer = String::from_utf8(bytes).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.lines().next().unwrap_or_default();
        if status.contains(" 200 ") {
            Ok(body.to_owned())
        } else {
            Err(status.to_owned())
        }
    }
}

fn loop_until_there(child: &mut Child, address: &str) -> TcpStream {
    for _ in 0..TRIES {
        if let Ok(stream) = TcpStream::connect(address) {
            let patience = Some(PAUSE * TRIES);
            stream.set_read_timeout(patience).expect("a time-out");
            return stream;
        }
        assert_eq!(child.try_wait().expect("it is ours"), None, "it has ended");
        sleep(PAUSE);
    }
    panic!("nobody listens at {address}");
}

#[test]
fn it_serves_the_page_its_status_and_states() {
    let mut explorer = Explorer::start("1x1");
    let page = explorer.ask("GET", "/").unwrap();
    assert!(page.contains("<html") && page.contains("app.js"), "{page}");
    assert!(explorer.ask("GET", "/app.js").unwrap().contains("states"));

    let status = explorer.ask("GET", "/.status").unwrap();
    for text in [
        "\"model\":\"protocol::model::Protocol\"",
        "nobody waits for ever",
        "a meeting repairs TB",
    ] {
        assert!(status.contains(text), "no {text} in {status}");
    }

    let first = explorer.ask("GET", "/.states/").unwrap();
    assert!(
        first.contains("\"fingerprint\"") && first.contains("CoreWord"),
        "{first}"
    );
    // One thread in the host: faults of each class, and its way into the guest.
    let next = explorer.ask("GET", "/.states/0").unwrap();
    for action in ["Strike", "fault: Core", "Enter"] {
        assert!(next.contains(action), "no {action} in {next}");
    }
    assert!(
        explorer
            .ask("GET", "/.states/0/0")
            .unwrap()
            .contains("TakeHmi")
    );
    let wrong = explorer.ask("GET", "/.states/none").unwrap_err();
    assert!(wrong.contains(" 404 "), "{wrong}");

    explorer.ask("POST", "/.runtocompletion").unwrap();
    for _ in 0..TRIES {
        if explorer
            .ask("GET", "/.status")
            .unwrap()
            .contains("\"done\":true")
        {
            return;
        }
        sleep(PAUSE);
    }
    panic!(
        "it does not come to an end: {}",
        explorer.ask("GET", "/.status").unwrap()
    );
}
