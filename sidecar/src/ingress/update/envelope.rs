//! The outermost object: `update_id` and one kind.

use super::{
    Facts, Kind, Malformed, NamedKind, Update, facts,
    object::{Read, read_once},
    scanner::Scanner,
};

/// Telegram's ids of updates are of this type.
const MAX_UPDATE_ID: i64 = i32::MAX as i64;

impl<'a> Read<'a> for Update<'a> {
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, Malformed> {
        let mut update_id = None;
        let mut known = None;
        let mut has_unknown = false;
        scanner.object(|scanner, name| {
            if name == b"update_id" {
                return read_once(&mut update_id, scanner);
            }
            let kind = str::from_utf8(name).ok().and_then(Kind::parse);
            let Some(kind) = kind else {
                // a kind that we don't know, or something new beside one that we do
                has_unknown = true;
                return scanner.skip();
            };
            if known.is_some() {
                return Err(Malformed::SeveralKinds);
            }
            known = Some((NamedKind::Known(kind), facts::read(kind, scanner)?));
            Ok(())
        })?;
        let update_id = update_id.ok_or(Malformed::Incomplete)?;
        if !(0..=MAX_UPDATE_ID).contains(&update_id) {
            return Err(Malformed::WrongType);
        }
        let unknown = has_unknown.then(|| (NamedKind::Unknown, Facts::default()));
        let (kind, facts) = known.or(unknown).ok_or(Malformed::NoKind)?;
        Ok(Self { update_id, kind, facts })
    }
}
