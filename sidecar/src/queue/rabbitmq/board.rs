//! What this sidecar got of the queues and hasn't settled: per lane in order, with at most one in somebody's hands.
//!
//! When a queue's channel is lost, the broker gives its messages out again, to us or to another sidecar. What waits here is forgotten then;
//! what is in hand stays so, detached, and keeps its lane: when it comes again, it is bound to the new message instead of being given
//! out a second time.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::SystemTime,
};

use super::known::{Key, Known};
use crate::queue::{Lane, Update};

/// A message that waits. `T` acknowledges it.
#[derive(Debug)]
pub struct Message<T> {
    pub key: Key,
    /// The queue that it is from.
    pub partition: u32,
    /// Milliseconds of Unix time.
    pub stored_at: u64,
    pub deliveries: u32,
    pub update: Update,
    pub tag: T,
}

/// What is given out.
#[derive(Debug)]
pub struct Given {
    pub hand: Hand,
    pub update: Update,
    pub deliveries: u32,
}

/// Names what is in somebody's hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hand {
    pub lane: Lane,
    pub key: Key,
    number: u64,
}

/// Everything that is not settled.
#[derive(Debug)]
pub struct Board<T> {
    pub known: Known,
    lanes: HashMap<Lane, InLane<T>>,
    /// Lanes of which something waits and nothing is in hand, by when that was stored.
    ready: BTreeMap<(u64, u64), Lane>,
    partitions: Vec<Partition>,
    /// Counts what came.
    next: u64,
}

#[derive(Debug)]
struct InLane<T> {
    /// With the number of the hand; the message is none where it was lost.
    held: Option<(Hand, u32, Option<Message<T>>)>,
    waiting: VecDeque<(u64, Message<T>)>,
    /// Its place among the ready ones.
    ready: Option<(u64, u64)>,
}

/// A queue, as far as this sidecar has it.
#[derive(Debug, Clone, Copy, Default)]
struct Partition {
    /// How often it was subscribed to.
    subscription: u64,
    /// Whether all is known that others gave out of it.
    is_open: bool,
}

// === impl Board ===

impl<T> Board<T> {
    pub fn new(partitions: u32) -> Self {
        Self {
            known: Known::default(),
            lanes: HashMap::new(),
            ready: BTreeMap::new(),
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            next: 0,
        }
    }

    /// A new subscription to a queue, whose former messages come again. What comes is given out when it is opened.
    pub fn subscribed(&mut self, partition: u32) -> u64 {
        let lanes: Vec<_> = self.lanes.keys().copied().collect();
        for lane in lanes {
            let Some(in_lane) = self.lanes.get_mut(&lane) else { continue };
            in_lane.waiting.retain(|(_, message)| message.partition != partition);
            if let Some((_, _, held)) = &mut in_lane.held
                && held.as_ref().is_some_and(|held| held.partition == partition)
            {
                *held = None;
            }
            self.arrange(lane);
        }
        let Some(partition) = self.partitions.get_mut(partition as usize) else { return 0 };
        partition.is_open = false;
        partition.subscription += 1;
        partition.subscription
    }

    /// Gives nothing of a queue out before it is opened; the number of its subscription if it was open.
    pub fn shut(&mut self, partition: u32) -> Option<u64> {
        let partition = self.partitions.get_mut(partition as usize).filter(|partition| partition.is_open)?;
        partition.is_open = false;
        Some(partition.subscription)
    }

    /// Gives out what comes of a queue, unless there is a newer subscription.
    pub fn open(&mut self, partition: u32, subscription: u64) {
        if let Some(partition) = self.partitions.get_mut(partition as usize)
            && partition.subscription == subscription
        {
            partition.is_open = true;
        }
    }

    /// Takes in what came of a queue.
    pub fn arrive(&mut self, message: Message<T>) {
        let lane = message.update.lane;
        let in_lane = self.lanes.entry(lane).or_insert_with(InLane::new);
        match &mut in_lane.held {
            Some((hand, _, held @ None)) if hand.key == message.key => *held = Some(message),
            _ => in_lane.waiting.push_back((self.next, message)),
        }
        self.next += 1;
        self.arrange(lane);
    }

    /// Gives out the first of the lane whose first was stored first. What nobody needs any more is handed to `gone` instead.
    pub fn take(&mut self, now: u64, mut gone: impl FnMut(Key, T)) -> Option<Given> {
        loop {
            let lane = self.first_ready()?;
            let in_lane = self.lanes.get_mut(&lane)?;
            let (number, message) = in_lane.waiting.pop_front()?;
            let given = if self.known.is_settled(message.key, now) {
                gone(message.key, message.tag);
                None
            } else {
                let Message { key, deliveries, ref update, .. } = message;
                let hand = Hand { lane, key, number };
                let update = update.clone();
                in_lane.held = Some((hand, deliveries, Some(message)));
                Some(Given { hand, update, deliveries })
            };
            self.arrange(lane);
            if given.is_some() {
                return given;
            }
        }
    }

    /// The lane whose turn it is.
    fn first_ready(&self) -> Option<Lane> {
        let open = self.ready.values().find(|lane| {
            let first = self.lanes.get(*lane).and_then(|in_lane| in_lane.waiting.front());
            first.is_some_and(|(_, message)| self.is_open(message.partition))
        });
        open.copied()
    }

    fn is_open(&self, partition: u32) -> bool {
        self.partitions.get(partition as usize).is_some_and(|partition| partition.is_open)
    }

    /// Whether somebody who asks now gets something.
    pub fn has_ready(&self) -> bool {
        self.first_ready().is_some()
    }

    /// Whether what is in hand is still this sidecar's to give out: its channel is there, or its message came here again, and nobody else
    /// has settled it as far as is known, which must be all that was settled before it came.
    pub fn holds(&self, hand: Hand, now: u64) -> bool {
        let held = self.lanes.get(&hand.lane).and_then(|in_lane| in_lane.held.as_ref());
        let Some((_, _, Some(message))) = held.filter(|(held, ..)| *held == hand) else { return false };
        self.is_open(message.partition) && !self.known.is_settled(message.key, now)
    }

    /// What acknowledges the message of what is in hand, where there is one. Its lane waits until it is released.
    pub fn finish(&mut self, hand: Hand) -> Option<T> {
        let (_, _, message) =
            self.lanes.get_mut(&hand.lane)?.held.as_mut().filter(|(held, ..)| *held == hand)?;
        message.take().map(|message| message.tag)
    }

    /// Ends the life of what is in hand, so that its lane goes on. What acknowledges the message that came for it since it was
    /// finished, if one did.
    pub fn release(&mut self, hand: Hand) -> Option<T> {
        let in_lane = self.lanes.get_mut(&hand.lane)?;
        let (_, _, message) = in_lane.held.take_if(|(held, ..)| *held == hand)?;
        self.arrange(hand.lane);
        message.map(|message| message.tag)
    }

    /// Takes back what is in hand, as the first of its lane. What was lost meanwhile comes from the broker again.
    pub fn give_back(&mut self, hand: Hand) {
        let Some(in_lane) = self.lanes.get_mut(&hand.lane) else { return };
        let Some((_, deliveries, message)) = in_lane.held.take_if(|(held, _, _)| *held == hand) else {
            return;
        };
        if let Some(message) = message {
            let deliveries = deliveries.max(message.deliveries).saturating_add(1);
            in_lane.waiting.push_front((hand.number, Message { deliveries, ..message }));
        }
        self.arrange(hand.lane);
    }

    /// Of what isn't settled: how much it is, its bytes, and when the oldest was received.
    pub fn depth(&self, now: u64) -> (u64, u64, Option<SystemTime>) {
        let held = self.lanes.values().filter_map(|in_lane| in_lane.held.as_ref()?.2.as_ref());
        let waiting =
            self.lanes.values().flat_map(|in_lane| in_lane.waiting.iter().map(|(_, message)| message));
        let unsettled = held.chain(waiting).filter(|message| !self.known.is_settled(message.key, now));
        unsettled.fold((0, 0, None), |(count, bytes, oldest), message| {
            let received_at = message.update.received_at;
            let oldest = oldest.map_or(received_at, |oldest: SystemTime| oldest.min(received_at));
            (count + 1, bytes + message.update.body.len() as u64, Some(oldest))
        })
    }

    /// Puts a lane where it belongs after it changed.
    fn arrange(&mut self, lane: Lane) {
        let Some(in_lane) = self.lanes.get_mut(&lane) else { return };
        let first = in_lane.waiting.front().filter(|_| in_lane.held.is_none());
        let place = first.map(|(number, message)| (message.stored_at, *number));
        if in_lane.ready != place {
            if let Some(former) = in_lane.ready {
                self.ready.remove(&former);
            }
            if let Some(place) = place {
                self.ready.insert(place, lane);
            }
            in_lane.ready = place;
        }
        if in_lane.held.is_none() && in_lane.waiting.is_empty() {
            self.lanes.remove(&lane);
        }
    }
}

// === impl InLane ===

impl<T> InLane<T> {
    fn new() -> Self {
        Self { held: None, waiting: VecDeque::new(), ready: None }
    }
}

#[cfg(test)]
mod tests;
