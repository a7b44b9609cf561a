//! What the log needs of a file system: one folder, nothing else. Errors are the system's; none holds a path.

mod disk;
#[cfg(test)]
pub(super) mod simulated;

use std::io::{self, IoSlice};

pub use self::disk::Disk;

/// A folder.
pub trait Files: Send + Sync + 'static {
    type File: File;
    /// Released when dropped.
    type Lock: Send + 'static;

    /// Keeps others out; None if somebody is there.
    fn lock(&self) -> io::Result<Option<Self::Lock>>;

    /// Names of the files in the folder.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a file of zeros of that size, whose room is taken.
    fn create(&self, name: &str, size: u64) -> io::Result<Self::File>;

    fn open(&self, name: &str) -> io::Result<Self::File>;

    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    fn unlink(&self, name: &str) -> io::Result<()>;

    /// Makes the names durable: what was created, renamed and unlinked.
    fn sync_folder(&self) -> io::Result<()>;

    /// A number that nobody can guess.
    fn salt(&self) -> io::Result<u64>;
}

/// An open file.
pub trait File: Send + Sync + 'static {
    fn size(&self) -> io::Result<u64>;

    /// Writes all of the parts, one after the other, inside what the file has.
    fn write_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()>;

    /// Fills the buffer.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Makes what was written durable.
    fn sync(&self) -> io::Result<()>;
}
