//! One file of the log.

use std::{
    io::{self, IoSlice},
    sync::Arc,
};

use super::{
    files::{File, Files},
    format::{FIRST_BATCH, SEGMENT_HEADER, SegmentHeader},
};

const SUFFIX: &str = ".segment";
/// One that isn't finished: of no use after a crash.
pub(super) const UNFINISHED: &str = ".part";

/// An open segment.
#[derive(Debug)]
pub(super) struct Segment<T> {
    pub number: u64,
    pub size: u64,
    pub salt: u64,
    pub file: Arc<T>,
}

// === impl Segment ===

impl<T> Clone for Segment<T> {
    fn clone(&self) -> Self {
        let Self { number, size, salt, ref file } = *self;
        Self { number, size, salt, file: Arc::clone(file) }
    }
}

impl<T: File> Segment<T> {
    /// Makes one, durably (5). None if the disk has no room for it.
    pub fn create<F: Files<File = T>>(files: &F, number: u64, size: u64) -> io::Result<Option<Self>> {
        let salt = files.salt()?;
        let unfinished = format!("{number:016x}{UNFINISHED}");
        let made = files.create(&unfinished, size).and_then(|file| {
            let header = SegmentHeader { number, size, salt }.encode();
            file.write_at(&mut [IoSlice::new(&header)], 0)?;
            file.sync()?;
            files.rename(&unfinished, &name(number))?;
            files.sync_folder()?;
            Ok(file)
        });
        match made {
            Ok(file) => Ok(Some(Self { number, size, salt, file: Arc::new(file) })),
            Err(error) if is_no_room(&error) => {
                // there may be nothing to remove
                files.unlink(&unfinished).or_else(|error| match error.kind() {
                    io::ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                })?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens one. The inner error says what is wrong with it.
    pub fn open<F: Files<File = T>>(files: &F, number: u64) -> io::Result<Result<Self, &'static str>> {
        let file = files.open(&name(number))?;
        let length = file.size()?;
        if length < FIRST_BATCH {
            return Ok(Err("it is too short"));
        }
        let mut bytes = [0; SEGMENT_HEADER];
        file.read_at(&mut bytes, 0)?;
        let Some(header) = SegmentHeader::decode(&bytes) else {
            return Ok(Err("its header is damaged"));
        };
        let SegmentHeader { number: written, size, salt } = header;
        Ok(if written != number {
            Err("its name is that of another one")
        } else if size != length || size > super::MAX_SEGMENT_BYTES {
            Err("its size is not the one it was made with")
        } else {
            Ok(Self { number, size, salt, file: Arc::new(file) })
        })
    }
}

pub(super) fn name(number: u64) -> String {
    format!("{number:016x}{SUFFIX}")
}

/// None of another file.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    // the first one is 1
    (number > 0 && self::name(number) == name).then_some(number)
}

fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
