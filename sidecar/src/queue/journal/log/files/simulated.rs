//! A folder in memory that keeps apart what was written and what was synced, so that a test can cut its power at any operation.

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard},
};

use super::{File, Files};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// Random numbers that a seed repeats (splitmix64).
#[derive(Debug, Clone)]
pub(in super::super) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// The folder; clones are the same one.
#[derive(Debug, Clone)]
pub(in super::super) struct Simulated(Arc<Mutex<World>>);

#[derive(Debug, Default)]
struct World {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    changes: Vec<Change>,
    salt: u64,
    /// How many operations succeed before the power is cut, or the disk fails.
    left: Option<u64>,
    /// What fails then, for ever.
    fault: Option<io::ErrorKind>,
    /// Bytes that files may have.
    capacity: Option<u64>,
    is_locked: bool,
}

#[derive(Debug, Default)]
struct Content {
    synced: Vec<u8>,
    now: Vec<u8>,
    /// What was written since the last sync.
    writes: Vec<(usize, Vec<u8>)>,
}

#[derive(Debug, Clone)]
enum Change {
    Set(String, usize),
    Unset(String),
}

#[derive(Debug)]
pub(in super::super) struct Handle(Simulated, usize);

/// Unlocks when dropped.
pub(in super::super) struct Lock(Simulated);

/// In memory.
fn position(number: u64) -> usize {
    number.try_into().unwrap()
}

// === impl Simulated ===

impl Simulated {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(World::default())))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// After so many more operations everything fails.
    pub fn fail_after(&self, operations: u64) {
        let mut world = self.world();
        (world.left, world.fault) = (Some(operations), Some(io::ErrorKind::Other));
    }

    pub fn limit(&self, bytes: Option<u64>) {
        self.world().capacity = bytes;
    }

    /// The files as they are now, by name.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let world = self.world();
        world.names.iter().map(|(name, id)| (name.clone(), world.files[*id].now.clone())).collect()
    }

    /// A folder with these files.
    pub fn of(contents: BTreeMap<String, Vec<u8>>) -> Self {
        let folder = Self::new();
        {
            let mut world = folder.world();
            for (id, (name, bytes)) in contents.into_iter().enumerate() {
                world.files.push(Content { synced: bytes.clone(), now: bytes, writes: Vec::new() });
                world.names.insert(name, id);
            }
            world.synced_names = world.names.clone();
            world.salt = 1 << 32;
        }
        folder
    }

    /// The same folder, with what isn't synced too, in another process: nothing fails any more.
    pub fn healed(&self) -> Self {
        let mut world = std::mem::take(&mut *self.world());
        (world.left, world.fault, world.capacity, world.is_locked) = (None, None, None, false);
        Self(Arc::new(Mutex::new(world)))
    }

    /// What a disk may hold after a power cut: of what wasn't synced any sectors, in any order, and any changes of names.
    pub fn after_power_cut(&self, random: &mut Random) -> Self {
        let world = self.world();
        let fate = random.below(4);
        let mut names = world.synced_names.clone();
        for change in &world.changes {
            if fate == 0 || (fate != 1 && random.below(2) == 0) {
                change.apply(&mut names);
            }
        }
        let contents =
            names.into_iter().map(|(name, id)| (name, world.files[id].after_power_cut(fate, random)));
        let folder = Self::of(contents.collect());
        folder.world().salt = world.salt + 1;
        folder
    }
}

impl World {
    /// One more operation.
    fn operate(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) => Err(self.fault.unwrap_or(io::ErrorKind::Other).into()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn id(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Set(name, id) => {
                names.insert(name.clone(), *id);
            }
            Self::Unset(name) => {
                names.remove(name);
            }
        }
    }
}

impl Content {
    /// Fate 0 keeps all, 1 nothing; else each sector is as some of the writes to it left it.
    fn after_power_cut(&self, fate: usize, random: &mut Random) -> Vec<u8> {
        let mut states = vec![self.synced.clone()];
        states[0].resize(self.now.len(), 0);
        for (offset, bytes) in &self.writes {
            let mut state = states.last().unwrap().clone();
            state[*offset..offset + bytes.len()].copy_from_slice(bytes);
            states.push(state);
        }
        let mut chosen = states[0].clone();
        for sector in (0..chosen.len()).step_by(SECTOR) {
            let state = match fate {
                0 => states.len() - 1,
                1 => 0,
                _ => random.below(states.len()),
            };
            let end = (sector + SECTOR).min(chosen.len());
            chosen[sector..end].copy_from_slice(&states[state][sector..end]);
        }
        chosen
    }
}

impl Files for Simulated {
    type File = Handle;
    type Lock = Lock;

    fn lock(&self) -> io::Result<Option<Lock>> {
        let mut world = self.world();
        let was_locked = std::mem::replace(&mut world.is_locked, true);
        Ok((!was_locked).then(|| Lock(self.clone())))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.world().names.keys().cloned().collect())
    }

    fn create(&self, name: &str, size: u64) -> io::Result<Handle> {
        let mut world = self.world();
        world.operate()?;
        let taken: usize = world.names.values().map(|id| world.files[*id].now.len()).sum();
        let id = world.files.len();
        world.files.push(Content::default());
        world.change(Change::Set(name.to_owned(), id));
        if world.capacity.is_some_and(|capacity| taken as u64 + size > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        world.files[id].now = vec![0; position(size)];
        Ok(Handle(self.clone(), id))
    }

    fn open(&self, name: &str) -> io::Result<Handle> {
        Ok(Handle(self.clone(), self.world().id(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        world.operate()?;
        let id = world.id(from)?;
        world.change(Change::Unset(from.to_owned()));
        world.change(Change::Set(to.to_owned(), id));
        Ok(())
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.operate()?;
        world.id(name)?;
        world.change(Change::Unset(name.to_owned()));
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut world = self.world();
        world.operate()?;
        world.synced_names = world.names.clone();
        world.changes.clear();
        Ok(())
    }

    fn salt(&self) -> io::Result<u64> {
        let mut world = self.world();
        world.salt += 1;
        Ok(world.salt.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

impl File for Handle {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.world().files[self.1].now.len() as u64)
    }

    fn write_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut world = self.0.world();
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).collect();
        let offset = position(offset);
        // the one that is under way when the power is cut may be there in part
        let outcome = match world.left {
            Some(0) if world.fault.is_none() => return world.operate(),
            _ => world.operate(),
        };
        if outcome.is_err() {
            world.fault = None;
        }
        let content = &mut world.files[self.1];
        content.now[offset..offset + bytes.len()].copy_from_slice(&bytes);
        content.writes.push((offset, bytes));
        outcome
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let offset = position(offset);
        let world = self.0.world();
        let bytes = world.files[self.1].now.get(offset..offset + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.0.world();
        world.operate()?;
        let content = &mut world.files[self.1];
        content.synced = content.now.clone();
        content.writes.clear();
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.world().is_locked = false;
    }
}
