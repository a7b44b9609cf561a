//! The scripts that the server runs: each is one step for everybody else. They are sent by their digest, and whole where the server
//! doesn't know it yet.

use redis::Script;

pub(super) struct Scripts {
    pub(super) append: Script,
    pub(super) bury: Script,
    pub(super) beat: Script,
    pub(super) scan: Script,
    pub(super) take: Script,
    pub(super) settle: Script,
    pub(super) replay: Script,
    pub(super) forget: Script,
    pub(super) depth: Script,
}

// === impl Scripts ===

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            append: Script::new(include_str!("scripts/append.lua")),
            bury: Script::new(include_str!("scripts/bury.lua")),
            beat: Script::new(include_str!("scripts/beat.lua")),
            scan: Script::new(include_str!("scripts/scan.lua")),
            take: Script::new(include_str!("scripts/take.lua")),
            settle: Script::new(include_str!("scripts/settle.lua")),
            replay: Script::new(include_str!("scripts/replay.lua")),
            forget: Script::new(include_str!("scripts/forget.lua")),
            depth: Script::new(include_str!("scripts/depth.lua")),
        }
    }
}
