//! The files of a journal, written by a second reading of their format with whatever is in the fields, and bytes of any kind in
//! between: opening them doesn't panic and ends, looking at them first says the same, and what was opened once can be opened again.
#![no_main]

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    sync::{Arc, Mutex},
};

use libfuzzer_sys::fuzz_target;
use telegram_webhook_sidecar::queue::journal::log::{
    Log, OpenError, Options,
    files::{File, Files},
    verify,
};

const SIZE: usize = 4096;
const SALT: u64 = 0x5a17;
const OPTIONS: Options = Options { segment_bytes: SIZE as u64, max_bytes: 16 * SIZE as u64 };

fuzz_target!(|bytes: &[u8]| {
    let folder = Memory(Arc::new(Mutex::new(Input(bytes).folder())));
    let report = verify(&folder).expect("it can be read");
    match opened(&folder) {
        Ok(shown) => {
            assert!(report.problem.is_none(), "{report:?}");
            assert_eq!(report.live_records, shown.len() as u64);
            assert_eq!(opened(&folder).expect("again"), shown);
        }
        Err(OpenError::Corrupt { .. }) => assert!(report.problem.is_some()),
        Err(error) => panic!("{error}"),
    }
});

fn opened(folder: &Memory) -> Result<Vec<(u64, Vec<u8>)>, OpenError> {
    let mut shown = Vec::new();
    let log = Log::open(folder.clone(), OPTIONS, |sequence, bytes| {
        shown.push((sequence.number(), bytes.to_vec()));
    })?;
    log.close();
    assert_eq!(log.failure(), None);
    Ok(shown)
}

type Folder = BTreeMap<String, Vec<u8>>;

/// What says how the files are made.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Mostly the expected number, else one near it, else a huge one.
    fn near(&mut self, expected: u64) -> u64 {
        match self.byte() {
            0..=127 => expected,
            near @ 128..=254 => expected.wrapping_add(u64::from(near)).wrapping_sub(190),
            255 => u64::MAX,
        }
    }

    fn folder(&mut self) -> Folder {
        let mut folder = Folder::new();
        let (mut segment, mut number, mut next) = (u64::from(self.byte() % 3), 1, 1);
        while !self.0.is_empty() && folder.len() < 6 {
            segment = self.near(segment.wrapping_add(1));
            let header = [&b"TWS-LOG1"[..], &number_bytes(&[segment, SIZE as u64, SALT])].concat();
            let mut bytes = with_crc(header, &[]);
            bytes.resize(512, 0);
            while bytes.len() < SIZE && !self.0.is_empty() {
                match self.byte() % 8 {
                    0 => break,
                    1 => bytes.extend([self.byte()].repeat(8)),
                    2 => bytes.resize(bytes.len() + 8 * usize::from(self.byte()), 0),
                    _ => bytes.extend(self.batch(segment, &mut number, &mut next)),
                }
            }
            bytes.resize(SIZE, 0);
            if self.byte() == 255 {
                let at = usize::from(self.byte()) * 16;
                bytes[at] ^= self.byte();
            }
            folder.insert(format!("{segment:016x}.segment"), bytes);
        }
        folder
    }

    fn batch(&mut self, segment: u64, number: &mut u64, next: &mut u64) -> Vec<u8> {
        let (mut frames, mut heads) = (Vec::new(), Vec::new());
        for _ in 0..self.byte() % 5 {
            let kind = u32::from(self.byte() % 4);
            let mut payload = vec![self.byte(); usize::from(self.byte())];
            let sequence = self.near(*next);
            match kind {
                1 => *next = sequence.saturating_add(1),
                3 => payload = number_bytes(&[self.near(*next), self.near(1)]),
                _ => {}
            }
            let mut head = kind.to_le_bytes().to_vec();
            let length = self.near(payload.len() as u64) as u32;
            head.extend(length.to_le_bytes());
            head.extend(sequence.to_le_bytes());
            head.extend(crc32fast::hash(&payload).to_le_bytes());
            head.extend([0; 4]);
            heads.extend(&head);
            frames.extend(head);
            frames.extend(&payload);
            frames.resize(frames.len().next_multiple_of(8), 0);
        }
        let mut header = b"TWSb".to_vec();
        header.extend((self.near(frames.len() as u64) as u32).to_le_bytes());
        *number = self.near(*number);
        let fields = [*number, self.near(*number), self.near(*next), self.near(1).min(segment)];
        header.extend(number_bytes(&fields));
        header.extend(crc32fast::hash(&heads).to_le_bytes());
        *number = number.wrapping_add(1);
        let mut batch = with_crc(header, &SALT.to_le_bytes());
        batch.extend(frames);
        batch
    }
}

fn number_bytes(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn with_crc(mut bytes: Vec<u8>, salt: &[u8]) -> Vec<u8> {
    let crc = crc32fast::hash(&[salt, &bytes].concat());
    bytes.extend(crc.to_le_bytes());
    bytes
}

/// A folder that never fails.
#[derive(Clone)]
struct Memory(Arc<Mutex<Folder>>);

/// Stays that file when it gets another name.
struct Handle(Memory, Mutex<String>);

impl Memory {
    fn folder(&self) -> std::sync::MutexGuard<'_, Folder> {
        self.0.lock().expect("no panic before")
    }
}

impl Files for Memory {
    type File = Handle;
    type Lock = ();

    fn lock(&self) -> io::Result<Option<()>> {
        Ok(Some(()))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.folder().keys().cloned().collect())
    }

    fn create(&self, name: &str, size: u64) -> io::Result<Handle> {
        self.folder().insert(name.to_owned(), vec![0; size as usize]);
        // the log gives it its name before it uses it further, but for the header
        Ok(Handle(self.clone(), Mutex::new(name.to_owned())))
    }

    fn open(&self, name: &str) -> io::Result<Handle> {
        Ok(Handle(self.clone(), Mutex::new(name.to_owned())))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut folder = self.folder();
        let bytes = folder.remove(from).ok_or(io::ErrorKind::NotFound)?;
        folder.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        self.folder().remove(name).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }

    fn salt(&self) -> io::Result<u64> {
        Ok(SALT + 1)
    }
}

impl Handle {
    fn with<R>(&self, f: impl FnOnce(&mut Vec<u8>) -> R) -> io::Result<R> {
        let mut name = self.1.lock().expect("no panic before");
        let mut folder = self.0.folder();
        if !folder.contains_key(name.as_str()) {
            *name = name.replace(".part", ".segment");
        }
        folder.get_mut(name.as_str()).map(f).ok_or(io::ErrorKind::NotFound.into())
    }
}

impl File for Handle {
    fn size(&self) -> io::Result<u64> {
        self.with(|bytes| bytes.len() as u64)
    }

    fn write_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let written: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).collect();
        self.with(|bytes| bytes[offset as usize..offset as usize + written.len()].copy_from_slice(&written))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(|bytes| buffer.copy_from_slice(&bytes[offset as usize..offset as usize + buffer.len()]))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
