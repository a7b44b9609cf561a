//! `journal verify` and `journal repair`: what is stored on the volume, looked at and saved without a sidecar.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use crate::{
    args::{JournalArgs, JournalCommand},
    queue::{
        Clock,
        journal::{
            LOGS,
            log::{OpenError, Options, RepairError, Repaired, Report, files::Disk, repair, verify},
        },
    },
};

/// Says what came of it, a line for each bot and each range that is lost; false if something is wrong still.
pub fn run(options: &JournalArgs, mut out: impl Write) -> io::Result<bool> {
    let JournalArgs { command, state_dir, bot } = options;
    let bots = match bot {
        Some(bot) => vec![*bot],
        None => bots(state_dir)?,
    };
    let mut is_sound = true;
    for bot in bots {
        let folder = state_dir.join(bot.to_string());
        if !folder.is_dir() {
            writeln!(out, "bot {bot}: nothing is stored")?;
            is_sound = false;
            continue;
        }
        for log in LOGS {
            let folder = folder.join(log);
            if !folder.is_dir() {
                // its updates have never been stored
                continue;
            }
            write!(out, "bot {bot}, {log}: ")?;
            is_sound &= match command {
                JournalCommand::Verify => write_report(&report(&folder), &mut out)?,
                JournalCommand::Repair => {
                    write_repaired(&repair(&folder, Options::default(), Clock::new().now()), &mut out)?
                }
            };
        }
    }
    Ok(is_sound)
}

/// Those that have a folder.
fn bots(state_dir: &Path) -> io::Result<Vec<i64>> {
    let mut bots = Vec::new();
    for entry in fs::read_dir(state_dir)? {
        let entry = entry?;
        let bot = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(bot) = bot.filter(|_| entry.path().is_dir()) {
            bots.push(bot);
        }
    }
    bots.sort_unstable();
    Ok(bots)
}

fn report(folder: &Path) -> Result<Report, OpenError> {
    let disk = Disk::new(folder).map_err(|error| OpenError::Io { action: "open", error })?;
    verify(&disk)
}

fn write_report(report: &Result<Report, OpenError>, mut out: impl Write) -> io::Result<bool> {
    let report = match report {
        Ok(report) => report,
        Err(error) => return writeln!(out, "{error}").map(|()| false),
    };
    let Report { segments, batches, frames, live_records, live_bytes, unfinished, problem } = report;
    write!(
        out,
        "{segments} segments, {batches} batches, {frames} frames, {live_records} live records of {live_bytes} bytes"
    )?;
    if let Some((segment, offset)) = unfinished {
        write!(out, "; segment {segment} ends at byte {offset} in what a crash interrupted")?;
    }
    match problem {
        Some(problem) => writeln!(out, ", until {problem}").map(|()| false),
        None => writeln!(out, ": sound").map(|()| true),
    }
}

fn write_repaired(repaired: &Result<Repaired, RepairError>, mut out: impl Write) -> io::Result<bool> {
    let Repaired { records, lost, kept_in } = match repaired {
        Ok(repaired) => repaired,
        Err(error) => return writeln!(out, "{error}").map(|()| false),
    };
    let Some(kept_in) = kept_in else {
        return writeln!(out, "sound; nothing is changed").map(|()| true);
    };
    writeln!(out, "{records} live records are saved, the old files are in {kept_in}")?;
    for (segment, from, until) in lost {
        if *until == u64::MAX {
            writeln!(out, "  segment {segment} can't be read")?;
        } else {
            writeln!(out, "  segment {segment}, bytes {from} to {until}, can't be read")?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::queue::journal::log::Log;

    fn said(command: JournalCommand, state_dir: &Path, bot: Option<i64>) -> (bool, String) {
        let mut out = Vec::new();
        let options = JournalArgs { command, state_dir: state_dir.to_owned(), bot };
        let is_sound = run(&options, &mut out).unwrap();
        (is_sound, String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn every_bot_s_journal_is_looked_at_and_only_the_damaged_one_is_repaired() {
        let state_dir = tempfile::tempdir().unwrap();
        fs::create_dir(state_dir.path().join("bans")).unwrap();
        for bot in ["7", "8"] {
            let disk = Disk::new(&state_dir.path().join(bot).join("queue")).unwrap();
            let log = Log::open(disk, Options::default(), |_, _| {}).unwrap();
            for _ in 0..2 {
                log.append(Bytes::new(), Bytes::from_static(b"body")).unwrap().await.unwrap();
            }
        }
        let sound = "2 segments, 3 batches, 2 frames, 2 live records of 8 bytes: sound\n";
        let expected = format!("bot 7, queue: {sound}bot 8, queue: {sound}");
        assert_eq!(said(JournalCommand::Verify, state_dir.path(), None), (true, expected));

        let segment = state_dir.path().join("8/queue/0000000000000001.segment");
        let mut bytes = fs::read(&segment).unwrap();
        bytes[512 + 48 + 24] ^= 1;
        fs::write(&segment, bytes).unwrap();
        let (is_sound, text) = said(JournalCommand::Verify, state_dir.path(), Some(8));
        assert!(!is_sound && text.contains("segment 1 of the log is damaged at byte 512"), "{text}");
        let (is_sound, text) = said(JournalCommand::Repair, state_dir.path(), None);
        assert!(is_sound && text.starts_with("bot 7, queue: sound"), "{text}");
        assert!(text.contains("bot 8, queue: 1 live records are saved"), "{text}");
        assert!(text.contains("segment 1, bytes 560 to 588"), "{text}");
        assert!(said(JournalCommand::Verify, state_dir.path(), None).0);
        assert_eq!(said(JournalCommand::Verify, state_dir.path(), Some(9)).1, "bot 9: nothing is stored\n");
    }
}
