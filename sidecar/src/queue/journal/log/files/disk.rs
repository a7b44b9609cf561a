//! A folder of the real file system.

use std::{
    fs,
    io::{self, IoSlice},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FallocateFlags, FlockOperation},
    io::Errno,
};

use super::{File, Files};

const LOCK: &str = "lock";
/// More than the kernel takes at once would be refused.
const MAX_PARTS: usize = 1024;

/// A folder on a disk.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
}

// === impl Disk ===

impl Disk {
    /// The folder, made if it isn't there, for us alone.
    pub fn new(folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // that the folder is there is as durable as what is in it
        if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::File::open(parent)?.sync_all()?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    fn options() -> fs::OpenOptions {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        options
    }
}

impl Files for Disk {
    type File = fs::File;
    type Lock = fs::File;

    fn lock(&self) -> io::Result<Option<fs::File>> {
        let file = Self::options().create(true).open(self.folder.join(LOCK))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        // other names aren't ours
        let names =
            fs::read_dir(&self.folder)?.map(|entry| entry.map(|entry| entry.file_name().into_string()));
        names.filter_map(|name| name.map(Result::ok).transpose()).collect()
    }

    /// Preallocated with its size set, so that a sync has no metadata to write but that of the extents.
    fn create(&self, name: &str, size: u64) -> io::Result<fs::File> {
        let file = Self::options().create(true).truncate(true).open(self.folder.join(name))?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size) {
            Ok(()) => Ok(file),
            Err(Errno::OPNOTSUPP) => zeros(&file, size).map(|()| file),
            Err(error) => Err(error.into()),
        }
    }

    fn open(&self, name: &str) -> io::Result<fs::File> {
        Self::options().open(self.folder.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.folder.join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        fs::File::open(&self.folder)?.sync_all()
    }

    fn salt(&self) -> io::Result<u64> {
        Ok(getrandom::u64()?)
    }
}

impl File for fs::File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn write_at(&self, mut parts: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        while !parts.is_empty() {
            let some = parts.get(..MAX_PARTS).unwrap_or(parts);
            let written = match rustix::io::pwritev(self, some, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            offset += written as u64;
            IoSlice::advance_slices(&mut parts, written);
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// For file systems that can't preallocate.
fn zeros(file: &fs::File, size: u64) -> io::Result<()> {
    let zeros = vec![0; 1 << 16];
    let mut offset = 0;
    while offset < size {
        let part = zeros.len().min(usize::try_from(size - offset).unwrap_or(usize::MAX));
        file.write_all_at(zeros.get(..part).unwrap_or(&zeros), offset)?;
        offset += part as u64;
    }
    Ok(())
}
