//! Three threads in every order.

use super::*;

/// Every order in which three threads can take their steps, with expiries in between: the word
/// never leaves a participant without a task for ever, and ends idle.
#[test]
fn every_interleaving_of_three_threads_ends_idle() {
    use std::collections::HashSet;
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    enum Thread {
        Outside,
        Inside(u32),
        Home,
    }
    type State = (Word, [Thread; 3]);
    let start: State = (Word::default(), [Thread::Outside; 3]);
    let mut known = HashSet::from([start]);
    let mut open = Vec::from([start]);
    while let Some((word, threads)) = open.pop() {
        let mut successors: Vec<State> = Vec::new();
        for (index, thread) in threads.into_iter().enumerate() {
            let number = index as u8;
            let mut after = |event: Event, to: Thread| {
                let (next, verdict) = step(word, event);
                let mut moved = threads;
                moved[index] = match verdict {
                    Verdict::Joined(generation) => Thread::Inside(generation),
                    _ => to,
                };
                successors.push((next, moved));
            };
            match thread {
                Thread::Home => {}
                // A late thread finds everything repaired and goes home.
                Thread::Outside => after(
                    Event::Join {
                        thread: number,
                        seen: word,
                        expected: 0b111,
                    },
                    Thread::Home,
                ),
                Thread::Inside(generation) => match word.task(number, generation) {
                    Task::Wait(phase) => after(
                        Event::Expire {
                            thread: number,
                            generation,
                            phase,
                        },
                        thread,
                    ),
                    Task::Work(phase) => {
                        let findings = Findings::NONE;
                        after(
                            Event::Done {
                                thread: number,
                                generation,
                                phase,
                                findings,
                            },
                            thread,
                        );
                        let reason = AbortReason::ReloadFailed;
                        after(
                            Event::Abort {
                                thread: number,
                                generation,
                                reason,
                            },
                            thread,
                        );
                        after(
                            Event::Retry {
                                thread: number,
                                generation,
                            },
                            thread,
                        );
                    }
                    Task::Leave => after(
                        Event::Leave {
                            thread: number,
                            generation,
                        },
                        Thread::Home,
                    ),
                    Task::Gone => after(
                        Event::Leave {
                            thread: number,
                            generation,
                        },
                        Thread::Home,
                    ),
                },
            }
        }
        let all_home = threads.iter().all(|thread| *thread == Thread::Home);
        assert_eq!(successors.is_empty(), all_home, "stuck in {word:?}");
        if all_home {
            assert_eq!(word.phase(), Phase::Idle);
        }
        for next in successors {
            if known.insert(next) {
                open.push(next);
            }
        }
    }
    assert!(known.len() > 200, "{} states", known.len());
}
