//! Counts what clients did in the last so many seconds, in bounded memory. Knows nothing of what is counted.

mod window;
mod windows;

pub(crate) use self::windows::Windows;
