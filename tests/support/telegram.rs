//! A simulator of Telegram's Bot API server: its webhook methods and its delivery engine.
