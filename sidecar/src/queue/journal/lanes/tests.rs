//! Whatever is asked in whatever order, the lanes answer as lists would that are searched from end to end.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

/// Of each lane its updates and whether the first is in hand; lanes by their key.
#[derive(Default)]
struct Model {
    lanes: BTreeMap<i64, (VecDeque<(u64, u32)>, bool)>,
}

#[derive(Debug, Clone)]
enum Step {
    Push {
        lane: i64,
    },
    Take,
    /// Of what is in hand, the one at this place.
    GiveBack(usize),
    Settle(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..6_i64).prop_map(|lane| Step::Push { lane }),
        3 => Just(Step::Take),
        1 => any::<usize>().prop_map(Step::GiveBack),
        2 => any::<usize>().prop_map(Step::Settle),
    ];
    prop::collection::vec(step, 1..200)
}

fn lane(id: i64) -> Lane {
    Lane { family: 0, id }
}

// === impl Model ===

impl Model {
    fn take(&mut self) -> Option<(i64, u64, u32)> {
        let ready = self.lanes.iter_mut().filter(|(_, (_, in_hand))| !in_hand);
        let (lane, (updates, in_hand)) = ready.min_by_key(|(_, (updates, _))| updates[0].0)?;
        *in_hand = true;
        let (sequence, deliveries) = &mut updates[0];
        *deliveries += 1;
        Some((*lane, *sequence, *deliveries - 1))
    }

    fn settle(&mut self, lane: i64) -> bool {
        let (updates, in_hand) = self.lanes.get_mut(&lane).unwrap();
        *in_hand = false;
        updates.pop_front();
        let more = !updates.is_empty();
        if !more {
            self.lanes.remove(&lane);
        }
        more
    }

    fn all(&self) -> impl Iterator<Item = (u64, u32)> {
        self.lanes.values().flat_map(|(updates, _)| updates.iter().copied())
    }
}

proptest! {
    #[test]
    fn lanes_answer_as_their_model_does(steps in steps()) {
        let (mut lanes, mut model) = (Lanes::default(), Model::default());
        let mut in_hand: Vec<(Taken, i64)> = Vec::new();
        for (sequence, step) in (1_u64..).zip(steps) {
            match step {
                Step::Push { lane: id } => {
                    let is_new = !model.lanes.contains_key(&id);
                    model.lanes.entry(id).or_default().0.push_back((sequence, 0));
                    prop_assert_eq!(lanes.push(lane(id), sequence, sequence + 7, 0), is_new);
                }
                Step::Take => {
                    let (taken, expected) = (lanes.take(), model.take());
                    prop_assert_eq!(taken.map(|taken| (taken.sequence, taken.deliveries)), expected.map(|(_, sequence, deliveries)| (sequence, deliveries)));
                    if let (Some(taken), Some((lane, ..))) = (taken, expected) {
                        in_hand.push((taken, lane));
                    }
                }
                Step::GiveBack(at) if !in_hand.is_empty() => {
                    let (taken, id) = in_hand.swap_remove(at % in_hand.len());
                    lanes.give_back(taken.lane);
                    model.lanes.get_mut(&id).unwrap().1 = false;
                }
                Step::Settle(at) if !in_hand.is_empty() => {
                    let (taken, id) = in_hand.swap_remove(at % in_hand.len());
                    prop_assert_eq!(lanes.settle(taken.lane), model.settle(id));
                }
                Step::GiveBack(_) | Step::Settle(_) => {}
            }
            prop_assert_eq!(lanes.len(), model.all().count());
            prop_assert_eq!(lanes.oldest(), model.all().map(|(sequence, _)| sequence + 7).min());
            let given_out: BTreeMap<_, _> = lanes.given_out().collect();
            prop_assert_eq!(given_out, model.all().filter(|(_, deliveries)| *deliveries > 0).collect());
        }
    }
}

#[test]
fn lanes_without_updates_take_no_room() {
    let mut lanes = Lanes::default();
    for round in 0..3 {
        for id in 0..1000 {
            lanes.push(lane(1000 * round + id), id.unsigned_abs(), 0, 0);
        }
        while let Some(taken) = lanes.take() {
            lanes.settle(taken.lane);
        }
        assert!(lanes.numbers.is_empty() && lanes.in_hand.is_empty());
        assert_eq!(lanes.updates.places.capacity() + lanes.places.places.capacity(), 0);
    }
}

#[test]
fn a_waiting_update_takes_as_little_as_promised() {
    assert_eq!(size_of::<Waiting>(), 24);
    assert_eq!(size_of::<InLane>() + size_of::<Reverse<(u64, u32)>>() + size_of::<u32>(), 44);
}
