//! What this sidecar knows of the streams that it holds: which lanes have updates, which of these can be given out, and which have one
//! in hand. No bodies, so that a day's updates fit.
//!
//! 1. A lane is offered when its stream is held and not being given back, it has an update, and none of it is in hand.
//! 2. A lane with an update in hand stays that way until the update is settled or given back, whoever holds the stream meanwhile.
//! 3. Nothing is given out once the lease may have ended, as counted from before the last renewal was sent.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use tokio::time::Instant;

use super::{entry::EntryId, keys::Stream};
use crate::queue::Lane;

/// Proves to the server's scripts that a stream is held.
pub(super) type Token = Arc<str>;

#[derive(Debug, Default)]
pub(super) struct Hands {
    streams: BTreeMap<Stream, Held>,
    /// The first update of each lane that is offered.
    offered: BTreeSet<(EntryId, Stream, Lane)>,
    in_hand: HashMap<Lane, (Stream, EntryId)>,
    valid_until: Option<Instant>,
}

/// A stream that is held.
#[derive(Debug)]
struct Held {
    token: Token,
    /// The last entry that is known.
    place: EntryId,
    /// Updates of each lane that are not settled, in order.
    lanes: HashMap<Lane, Line>,
    /// Entries that are known and not settled.
    known: usize,
    given_back: bool,
}

/// The updates of a lane. Mostly there is one.
#[derive(Debug)]
struct Line {
    first: EntryId,
    others: VecDeque<EntryId>,
}

/// What can be given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) stream: Stream,
    pub(super) token: Token,
    pub(super) lane: Lane,
    pub(super) id: EntryId,
}

// === impl Hands ===

impl Hands {
    /// What the server said of the leases when they were renewed: this sidecar's share of the streams, and those that it holds.
    pub(super) fn renewed(&mut self, valid_until: Instant, share: usize, held: Vec<(Stream, Token)>) {
        self.valid_until = Some(valid_until);
        let held: BTreeMap<_, _> = held.into_iter().collect();
        let lost = self.streams.iter().filter(|(stream, known)| held.get(stream) != Some(&known.token));
        let lost: Vec<_> = lost.map(|(stream, _)| *stream).collect();
        for stream in lost {
            self.drop_stream(stream);
        }
        for (stream, token) in held {
            self.streams.entry(stream).or_insert_with(|| Held::new(token));
        }
        self.give_back_all_but(share);
    }

    /// Chooses what to give back: first what has nothing in hand.
    fn give_back_all_but(&mut self, share: usize) {
        let busy: BTreeSet<_> = self.in_hand.values().map(|(stream, _)| *stream).collect();
        let mut kept: Vec<_> = self.streams.iter().map(|(stream, held)| (*stream, held.given_back)).collect();
        // what is on its way out stays so, lest it be begun again and again
        kept.sort_by_key(|(stream, given_back)| (*given_back, !busy.contains(stream), *stream));
        for (position, (stream, _)) in kept.into_iter().enumerate() {
            let Some(held) = self.streams.get_mut(&stream) else { continue };
            let given_back = position >= share;
            if held.given_back == given_back {
                continue;
            }
            held.given_back = given_back;
            let lanes: Vec<_> = held.lanes.iter().map(|(lane, line)| (line.first, stream, *lane)).collect();
            if given_back {
                self.offered.retain(|(_, of, _)| *of != stream);
            } else {
                let free = lanes.into_iter().filter(|(_, _, lane)| !self.in_hand.contains_key(lane));
                self.offered.extend(free);
            }
        }
    }

    /// Lets go of the streams that are being given back and have nothing in hand, to be told to the server.
    pub(super) fn let_go(&mut self) -> Vec<Stream> {
        let busy: BTreeSet<_> = self.in_hand.values().map(|(stream, _)| *stream).collect();
        let free = self.streams.iter().filter(|(stream, held)| held.given_back && !busy.contains(stream));
        let free: Vec<_> = free.map(|(stream, _)| *stream).collect();
        for stream in &free {
            self.drop_stream(*stream);
        }
        free
    }

    /// Forgets all streams.
    pub(super) fn drop_all(&mut self) {
        self.streams.clear();
        self.offered.clear();
    }

    /// Another sidecar holds the stream, or may.
    pub(super) fn lost(&mut self, offer: &Offer) {
        if self.streams.get(&offer.stream).is_some_and(|held| held.token == offer.token) {
            self.drop_stream(offer.stream);
        }
    }

    fn drop_stream(&mut self, stream: Stream) {
        self.streams.remove(&stream);
        self.offered.retain(|(_, of, _)| *of != stream);
    }

    /// Whether the update is still this sidecar's.
    pub(super) fn holds(&self, offer: &Offer, now: Instant) -> bool {
        self.is_valid(now) && self.streams.get(&offer.stream).is_some_and(|held| held.token == offer.token)
    }

    fn is_valid(&self, now: Instant) -> bool {
        self.valid_until.is_some_and(|until| now < until)
    }

    /// The place up to which each stream is known.
    pub(super) fn places(&self) -> Vec<(Stream, EntryId)> {
        self.streams.iter().map(|(stream, held)| (*stream, held.place)).collect()
    }

    /// Entries of a stream that are known and not settled.
    pub(super) fn known(&self, stream: Stream) -> usize {
        self.streams.get(&stream).map_or(0, |held| held.known)
    }

    /// Reads a stream from its beginning again, or all of them.
    pub(super) fn start_again(&mut self, only: Option<Stream>) {
        for (stream, held) in &mut self.streams {
            if only.is_none_or(|only| only == *stream) {
                *held = Held { given_back: held.given_back, ..Held::new(held.token.clone()) };
                self.offered.retain(|(_, of, _)| of != stream);
            }
        }
    }

    /// Notes what was read of a stream behind a place. An entry without a lane isn't ours.
    pub(super) fn read(&mut self, stream: Stream, behind: EntryId, entries: Vec<(EntryId, Option<Lane>)>) {
        // it may have been lost and won meanwhile, and is read from its beginning then
        let Some(held) = self.streams.get_mut(&stream).filter(|held| held.place == behind) else { return };
        for (id, lane) in entries {
            held.place = id;
            held.known += 1;
            let Some(lane) = lane else { continue };
            if let Some(line) = held.lanes.get_mut(&lane) {
                line.others.push_back(id);
                continue;
            }
            held.lanes.insert(lane, Line { first: id, others: VecDeque::new() });
            if !held.given_back && !self.in_hand.contains_key(&lane) {
                self.offered.insert((id, stream, lane));
            }
        }
    }

    /// Takes the oldest of what is offered into the hand.
    pub(super) fn take(&mut self, now: Instant) -> Option<Offer> {
        if !self.is_valid(now) {
            return None;
        }
        let (id, stream, lane) = self.offered.pop_first()?;
        let token = self.streams.get(&stream)?.token.clone();
        self.in_hand.insert(lane, (stream, id));
        Some(Offer { stream, token, lane, id })
    }

    /// Puts an update back as the first of its lane.
    pub(super) fn put_back(&mut self, offer: &Offer) {
        self.in_hand.remove(&offer.lane);
        self.offer_again(offer);
    }

    /// The update is gone.
    pub(super) fn settled(&mut self, offer: &Offer) {
        self.in_hand.remove(&offer.lane);
        if let Some(held) = self.streams.get_mut(&offer.stream) {
            held.remove(offer.lane, offer.id);
        }
        self.offer_again(offer);
    }

    /// The update stays where it is, and its lane goes on without it.
    pub(super) fn left_alone(&mut self, offer: &Offer) {
        self.settled(offer);
        if let Some(held) = self.streams.get_mut(&offer.stream) {
            held.known += 1;
        }
    }

    fn offer_again(&mut self, offer: &Offer) {
        let &Offer { stream, lane, .. } = offer;
        let Some(held) = self.streams.get(&stream).filter(|held| !held.given_back) else { return };
        if let Some(line) = held.lanes.get(&lane) {
            self.offered.insert((line.first, stream, lane));
        }
    }
}

// === impl Held ===

impl Held {
    fn new(token: Token) -> Self {
        Self { token, place: EntryId::default(), lanes: HashMap::new(), known: 0, given_back: false }
    }

    fn remove(&mut self, lane: Lane, id: EntryId) {
        let Some(line) = self.lanes.get_mut(&lane) else { return };
        if line.first != id {
            let others = line.others.len();
            line.others.retain(|other| *other != id);
            self.known -= others - line.others.len();
            return;
        }
        self.known -= 1;
        match line.others.pop_front() {
            Some(next) => line.first = next,
            None => drop(self.lanes.remove(&lane)),
        }
    }
}

#[cfg(test)]
mod tests;
