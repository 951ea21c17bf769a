//! Threads: started, asked, given back, set up.

use super::case::{Code, settled};
use super::pointer::{Kind, Surroundings};
use super::repeat::{self, job};
use super::wanted::Wanted;
use crate::client::{Answer, Client};
use crate::line::print;
use crate::tree::Machine;
use core::fmt::{self, Display};
use opal_abi::{SUCCESS, Token, cpu_status};

/// The tokens that have their cases here.
#[cfg(test)]
pub(super) const TOKENS: &[Token] = &[Token::StartCpu, Token::ReturnCpu, Token::ReinitCpus];

/// Looks at a thread until it is given up.
const PATIENCE: u32 = 20_000_000;
/// Looks between two calls that let a firmware work.
const LOOKS: u32 = 1000;

/// The one case here that a firmware may take long for.
const BESIDE: &str = "REINIT_CPUS.beside-other-threads";

/// Everything that has to do with threads.
struct Threads<'a, C> {
    client: &'a C,
    wanted: &'a Wanted<'a>,
    around: Surroundings,
    /// PIRs of the other threads; the first of them is thread 1.
    others: [u32; crate::tree::MAX_THREADS],
    count: usize,
    /// Where started threads enter.
    entry: u64,
}

/// Runs the cases that need other threads; with one thread there are few.
pub(super) fn run<C: Client>(
    client: &C,
    machine: &Machine<'_>,
    around: Surroundings,
    wanted: &Wanted<'_>,
) -> fmt::Result {
    let mut others = [0; crate::tree::MAX_THREADS];
    let mut count = 0;
    for pir in machine.pirs() {
        if u64::from(*pir) != client.pir() {
            others[count] = *pir;
            count += 1;
        }
    }
    let threads = Threads {
        client,
        wanted,
        around,
        others,
        count,
        entry: client.expect_thread(1),
    };
    repeat::share(around);
    threads.refused()?;
    if !wanted.is_whole() && !wanted.wants(&BESIDE) {
        return Ok(());
    }
    print(client, format_args!("other threads: {count}"))?;
    if count != 0 {
        threads.start_all()?;
        threads.beside_others()?;
        if !wanted.is_whole() {
            return Ok(());
        }
        threads.repeat()?;
        threads.give_back_all()?;
    }
    threads.set_up()
}

impl<C: Client> Threads<'_, C> {
    fn call(&self, token: Token, first: u64, second: u64) -> Answer {
        let arguments = [first, second, 0, 0, 0, 0, 0, 0];
        settled(self.client, token as u64, arguments)
    }

    fn status(&self, pir: u64) -> Answer {
        self.client.store(0, 0xff << 56);
        let answer = self.call(Token::QueryCpuStatus, pir, self.client.scratch());
        match answer {
            Answer::Returned(0) => Answer::Returned((self.client.load(0) >> 56) as i64),
            answer => answer,
        }
    }

    fn pir(&self, thread: usize) -> u64 {
        self.others[thread - 1].into()
    }

    fn tell(&self, token: Token, name: impl Display, rest: impl Display) -> fmt::Result {
        print(
            self.client,
            format_args!("{} {name} -> {rest}", token as u64),
        )
    }

    /// Starts that must not happen.
    fn refused(&self) -> fmt::Result {
        let entry = self.entry;
        let waiting = (self.count != 0).then(|| self.pir(1));
        let start = |pir, address| Code(self.call(Token::StartCpu, pir, address));
        for (name, pir) in [
            ("START_CPU.thread:unknown", 0x7ff),
            ("START_CPU.thread:beyond-any-PIR", 0x7fff_ffff),
            ("START_CPU.thread:-1", u64::MAX),
            ("START_CPU.thread:own", self.client.pir()),
        ] {
            if self.wanted.wants(&name) {
                self.tell(Token::StartCpu, name, start(pir, entry))?;
            }
        }
        let Some(pir) = waiting else { return Ok(()) };
        let name = "START_CPU.thread:beyond-32-bits";
        if self.wanted.wants(&name) {
            self.tell_start(name, self.call(Token::StartCpu, pir | 1 << 32, entry), pir)?;
        }
        for kind in Kind::BAD {
            // These are places where code may be.
            if matches!(kind, Kind::Null | Kind::Vectors) {
                continue;
            }
            let name = Named("START_CPU.address:", kind.name());
            if self.wanted.wants(&name) {
                let address = kind.address(entry, 4, self.around);
                self.tell_start(name, self.call(Token::StartCpu, pir, address), pir)?;
            }
        }
        Ok(())
    }

    /// A refusal, and that the thread is still where it was. After anything else it is on its way,
    /// and its state is not known.
    fn tell_start(&self, name: impl Display, answer: Answer, pir: u64) -> fmt::Result {
        let code = Code(answer);
        if answer == Answer::Returned(SUCCESS) {
            return self.tell(Token::StartCpu, name, code);
        }
        let status = Code(self.status(pir));
        let rest = format_args!("{code} status={status}");
        self.tell(Token::StartCpu, name, rest)
    }

    fn start(&self, thread: usize) -> (Answer, bool) {
        let entry = self.client.expect_thread(thread);
        let answer = self.call(Token::StartCpu, self.pir(thread), entry);
        let came = answer == Answer::Returned(0) && self.wait(|| self.client.waits(thread));
        (answer, came)
    }

    /// Waits, with a bound, and lets the firmware work meanwhile.
    fn wait(&self, until: impl Fn() -> bool) -> bool {
        for look in 0..PATIENCE {
            if until() {
                return true;
            }
            if look % LOOKS == 0 {
                self.call(Token::PollEvents, 0, 0);
            }
            self.client.relax();
        }
        false
    }

    fn start_all(&self) -> fmt::Result {
        for thread in 1..=self.count {
            let before = Code(self.status(self.pir(thread)));
            let (answer, came) = self.start(thread);
            let (code, status) = (Code(answer), Code(self.status(self.pir(thread))));
            let came = if came { "arrived" } else { "never arrived" };
            self.tell(
                Token::StartCpu,
                format_args!("START_CPU.good, thread {thread}"),
                format_args!("{code} before={before} after={status} {came}"),
            )?;
        }
        Ok(())
    }

    /// What is refused while other threads belong to the OS.
    fn beside_others(&self) -> fmt::Result {
        let answer = self.call(Token::StartCpu, self.pir(1), self.entry);
        self.tell(Token::StartCpu, "START_CPU.thread:started", Code(answer))?;
        if !self.wanted.wants(&BESIDE) {
            return Ok(());
        }
        let answer = self.call(Token::ReinitCpus, 1, 0);
        self.tell(Token::ReinitCpus, BESIDE, Code(answer))
    }

    fn repeat(&self) -> fmt::Result {
        for thread in 1..=self.count {
            self.client.give(thread, job::EACH);
            if !self.wait(|| self.client.waits(thread)) {
                print(self.client, format_args!("thread {thread}: hangs"))?;
            }
        }
        (1..=self.count).for_each(|thread| self.client.give(thread, job::ALL));
        repeat::all(self.client);
        for thread in 1..=self.count {
            if !self.wait(|| self.client.waits(thread)) {
                print(self.client, format_args!("thread {thread}: hangs"))?;
            }
        }
        repeat::tell_all(self.client)
    }

    fn gives_back(&self, thread: usize) -> bool {
        self.client.give(thread, job::RETURN);
        let waiting = Answer::Returned(cpu_status::INACTIVE.into());
        self.wait(|| self.status(self.pir(thread)) == waiting)
    }

    fn give_back_all(&self) -> fmt::Result {
        for round in ["RETURN_CPU.good", "RETURN_CPU.again"] {
            for thread in 1..=self.count {
                let gone = self.gives_back(thread);
                let status = Code(self.status(self.pir(thread)));
                self.tell(
                    Token::ReturnCpu,
                    format_args!("{round}, thread {thread}"),
                    format_args!(
                        "{} status={status}",
                        if gone { "gone" } else { "still here" }
                    ),
                )?;
            }
            if round == "RETURN_CPU.good" {
                for thread in 1..=self.count {
                    let (answer, came) = self.start(thread);
                    self.tell(
                        Token::StartCpu,
                        format_args!("START_CPU.returned, thread {thread}"),
                        format_args!(
                            "{} {}",
                            Code(answer),
                            if came { "arrived" } else { "never arrived" }
                        ),
                    )?;
                }
            }
        }
        Ok(())
    }

    /// Sets all threads up, with all of them in the firmware.
    fn set_up(&self) -> fmt::Result {
        const MODES: [(&str, u64); 3] = [
            ("REINIT_CPUS.little-endian", 2),
            ("REINIT_CPUS.big-endian", 1),
            ("REINIT_CPUS.nothing", 0),
        ];
        for (name, flags) in MODES {
            if self.wanted.wants(&name) {
                let answer = self.call(Token::ReinitCpus, flags, 0);
                let endianness = match self.client.little_endian_interrupts() {
                    true => "little-endian",
                    false => "big-endian",
                };
                self.tell(
                    Token::ReinitCpus,
                    name,
                    format_args!("{} interrupts={endianness}", Code(answer)),
                )?;
            }
        }
        Ok(())
    }
}

/// A name in two parts.
#[derive(Clone, Copy)]
struct Named(&'static str, &'static str);

impl Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        f.write_str(self.1)
    }
}
