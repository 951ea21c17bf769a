//! Worst-case stack of each entry point, from frame sizes and the call graph.
//!
//! Assumptions, printed with the result: a call through a pointer may reach any function whose
//! address is taken, and no function is active twice on one stack. Under these, functions that
//! call each other in a circle cost the sum of their frames. Assembly that goes over to another
//! stack ends the way down: what it calls there is an entry point of its own.

use super::{
    calls::{self, Calls},
    program::Program,
};
use std::collections::BTreeSet;

/// What an entry point may use.
const STACK_BYTES: u64 = 16 << 10;
/// Entry points with a stack of another size: the boot stack, on which the firmware's state is
/// built, and the main stack of each thread.
const OTHER_STACKS: &[(&str, u64)] = &[("opaline_boot", 256 << 10), ("opaline_wait", 24 << 10)];

/// The stack of an entry point.
fn limit(entry: &str) -> u64 {
    OTHER_STACKS
        .iter()
        .find(|(name, _)| *name == entry)
        .map_or(STACK_BYTES, |(_, bytes)| *bytes)
}
/// Functions with this prefix, compiled from Rust, are what the assembly calls: the entry points.
const PREFIX: &str = "opaline_";

/// The bound for one entry point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// Its symbol.
    pub(crate) entry: String,
    /// Bytes of its stack.
    pub(crate) limit: u64,
    /// Bytes over direct calls alone.
    pub(crate) direct: u64,
    /// Bytes when calls through pointers go anywhere they can.
    pub(crate) worst: u64,
    /// The heaviest way down, with each function's frame.
    pub(crate) path: Vec<(String, u64)>,
}

/// All bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Per entry point, by name.
    pub(crate) bounds: Vec<Bound>,
    /// Calls through pointers in the whole image.
    pub(crate) indirect_calls: usize,
    /// Functions that they may reach.
    pub(crate) targets: usize,
    /// Functions that move the stack pointer by an amount nobody stated.
    pub(crate) unknown: Vec<String>,
}

impl Report {
    /// Entry points over their stack.
    pub(crate) fn failures(&self) -> Vec<String> {
        let over = self
            .bounds
            .iter()
            .filter(|bound| bound.worst > bound.limit)
            .map(|bound| {
                format!(
                    "{} may use {} bytes of stack, over {}",
                    bound.entry, bound.worst, bound.limit
                )
            });
        let unknown = self
            .unknown
            .iter()
            .map(|name| format!("frame of {name} is not known"));
        let none = self
            .bounds
            .is_empty()
            .then(|| format!("no entry point `{PREFIX}*` found"));
        over.chain(unknown).chain(none).collect()
    }
}

/// A graph over functions; node `functions.len()` stands for "any call through a pointer".
struct Graph {
    edges: Vec<Vec<usize>>,
    frames: Vec<u64>,
}

/// Computes the bounds.
pub(crate) fn report(program: &Program) -> Report {
    let mut calls = calls::decode(program);
    for (calls, function) in calls.iter_mut().zip(&program.functions) {
        // Compiled code never does; it may restore r1 from where it kept it.
        if calls.changes_stack && !program.stated_frames.contains_key(&function.start) {
            calls.direct.clear();
            calls.indirect = 0;
        }
    }
    let taken = calls::address_taken(program);
    let frames: Vec<u64> = program
        .functions
        .iter()
        .zip(&calls)
        .map(|(function, calls)| {
            let stated = program
                .stated_frames
                .get(&function.start)
                .copied()
                .unwrap_or(0);
            stated.max(calls.frame)
        })
        .collect();
    let direct = Graph::new(&calls, &frames, None);
    let full = Graph::new(&calls, &frames, Some(&taken));
    let (direct_costs, _) = direct.costs();
    let (full_costs, next) = full.costs();
    let mut report = Report {
        indirect_calls: calls.iter().map(|calls| calls.indirect).sum(),
        targets: taken.len(),
        ..Report::default()
    };
    for (index, function) in program.functions.iter().enumerate() {
        let stated = program.stated_frames.contains_key(&function.start);
        if calls[index].dynamic_frame && !stated {
            report.unknown.push(function.name().to_owned());
        }
        let last_part = |name: &String| name.rsplit("::").next().unwrap_or_default().to_owned();
        let entry = function
            .names
            .iter()
            .map(last_part)
            .find(|name| name.starts_with(PREFIX));
        if let Some(entry) = entry.filter(|_| stated) {
            report.bounds.push(Bound {
                limit: limit(&entry),
                entry,
                direct: direct_costs[index],
                worst: full_costs[index],
                path: full.path(index, &next, program),
            });
        }
    }
    report.bounds.sort_by(|a, b| a.entry.cmp(&b.entry));
    report
}

impl Graph {
    fn new(calls: &[Calls], frames: &[u64], pointers: Option<&BTreeSet<usize>>) -> Self {
        let any = calls.len();
        let mut edges: Vec<Vec<usize>> = calls
            .iter()
            .map(|calls| {
                let indirect = (calls.indirect > 0 && pointers.is_some()).then_some(any);
                calls.direct.iter().copied().chain(indirect).collect()
            })
            .collect();
        edges.push(
            pointers
                .map(|taken| taken.iter().copied().collect())
                .unwrap_or_default(),
        );
        Self {
            edges,
            frames: frames.iter().copied().chain([0]).collect(),
        }
    }

    /// Bytes below and including each node, and for each node the successor outside its circle
    /// that the bound goes through.
    fn costs(&self) -> (Vec<u64>, Vec<Option<usize>>) {
        let circle_of = self.circles();
        let count = circle_of.iter().max().map_or(0, |last| last + 1);
        let mut members = vec![Vec::new(); count];
        for (node, circle) in circle_of.iter().enumerate() {
            members[*circle].push(node);
        }
        // Circles are numbered callees first.
        let mut total = vec![0; count];
        let mut next = vec![None; circle_of.len()];
        for (circle, nodes) in members.iter().enumerate() {
            let own: u64 = nodes.iter().map(|node| self.frames[*node]).sum();
            let below = nodes
                .iter()
                .flat_map(|node| &self.edges[*node])
                .filter(|target| circle_of[**target] != circle)
                .max_by_key(|target| total[circle_of[**target]]);
            total[circle] = own + below.map_or(0, |target| total[circle_of[*target]]);
            for node in nodes {
                next[*node] = below.copied();
            }
        }
        (
            circle_of.iter().map(|circle| total[*circle]).collect(),
            next,
        )
    }

    /// Strongly connected components (Tarjan, without recursion), numbered callees first.
    fn circles(&self) -> Vec<usize> {
        let count = self.edges.len();
        let mut number = vec![usize::MAX; count];
        let mut low = vec![0; count];
        let mut on_stack = vec![false; count];
        let mut circle = vec![0; count];
        let (mut stack, mut counter, mut circles) = (Vec::new(), 0, 0);
        for root in 0..count {
            if number[root] != usize::MAX {
                continue;
            }
            let mut work = vec![(root, 0)];
            while let Some((node, edge)) = work.pop() {
                if edge == 0 {
                    number[node] = counter;
                    low[node] = counter;
                    counter += 1;
                    stack.push(node);
                    on_stack[node] = true;
                }
                if let Some(&target) = self.edges[node].get(edge) {
                    work.push((node, edge + 1));
                    if number[target] == usize::MAX {
                        work.push((target, 0));
                    } else if on_stack[target] {
                        low[node] = low[node].min(number[target]);
                    }
                    continue;
                }
                if low[node] == number[node] {
                    while let Some(member) = stack.pop() {
                        on_stack[member] = false;
                        circle[member] = circles;
                        if member == node {
                            break;
                        }
                    }
                    circles += 1;
                }
                if let Some((parent, _)) = work.last() {
                    low[*parent] = low[*parent].min(low[node]);
                }
            }
        }
        circle
    }

    /// The way down that the bound follows; a circle is one station.
    fn path(&self, from: usize, next: &[Option<usize>], program: &Program) -> Vec<(String, u64)> {
        let name = |node: usize| {
            program
                .functions
                .get(node)
                .map_or("(any pointer)", |function| function.name())
        };
        let circle_of = self.circles();
        let mut path = Vec::new();
        let mut node = Some(from);
        while let Some(current) = node {
            let members: Vec<usize> = (0..self.frames.len())
                .filter(|other| circle_of[*other] == circle_of[current])
                .collect();
            if members.len() == 1 {
                path.push((name(current).to_owned(), self.frames[current]));
            } else {
                let sum = members.iter().map(|member| self.frames[*member]).sum();
                let mut largest = members.clone();
                largest.sort_by_key(|member| std::cmp::Reverse(self.frames[*member]));
                let largest: Vec<_> = largest
                    .iter()
                    .take(6)
                    .map(|member| format!("{} {}", self.frames[*member], name(*member)))
                    .collect();
                path.push((
                    format!(
                        "circle of {}; the largest: {}",
                        members.len(),
                        largest.join(", ")
                    ),
                    sum,
                ));
            }
            node = next[current];
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(frames: &[u64], edges: &[&[usize]]) -> Graph {
        Graph {
            frames: frames.into(),
            edges: edges.iter().map(|edges| edges.to_vec()).collect(),
        }
    }

    #[test]
    fn heaviest_way_down() {
        let graph = graph(&[10, 20, 300, 1], &[&[1, 2], &[3], &[3], &[]]);
        let (costs, next) = graph.costs();
        assert_eq!(costs, [311, 21, 301, 1]);
        assert_eq!(next[0], Some(2));
    }

    #[test]
    fn circles_cost_their_sum() {
        // 0 -> 1 <-> 2 -> 3, and 3 -> 3
        let graph = graph(&[1, 10, 100, 1000], &[&[1], &[2], &[1, 3], &[3]]);
        assert_eq!(graph.costs().0, [1111, 1110, 1110, 1000]);
    }

    #[test]
    fn calls_through_pointers_reach_what_is_taken() {
        let calls = [
            Calls {
                indirect: 1,
                ..Calls::default()
            },
            Calls::default(),
            Calls {
                direct: BTreeSet::from([0]),
                ..Calls::default()
            },
        ];
        let frames = [10, 50, 100];
        assert_eq!(Graph::new(&calls, &frames, None).costs().0[0], 10);
        let only_leaf = BTreeSet::from([1]);
        assert_eq!(
            Graph::new(&calls, &frames, Some(&only_leaf)).costs().0[0],
            60
        );
        // A target that comes back closes a circle.
        let both = BTreeSet::from([1, 2]);
        assert_eq!(Graph::new(&calls, &frames, Some(&both)).costs().0[0], 160);
    }

    #[test]
    fn too_much_stack_is_a_failure() {
        let bound = |worst| Bound {
            entry: "opaline_x".into(),
            limit: limit("opaline_x"),
            direct: 1,
            worst,
            path: vec![],
        };
        let report = |worst| Report {
            bounds: vec![bound(worst)],
            ..Report::default()
        };
        assert!(report(STACK_BYTES).failures().is_empty());
        assert_eq!(report(STACK_BYTES + 1).failures().len(), 1);
        assert_eq!(Report::default().failures().len(), 1);
    }
}
