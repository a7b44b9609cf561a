//! Names that an expression takes from the update itself. A misspelt one has no value, so that it would drop every update without
//! a word.

use telegram_webhook_sidecar_config::Kind;

use super::VARIABLE;

const UPDATE_ID: &str = "update_id";
/// Letters that a typing error gets wrong, as most of them do.
const MAX_DISTANCE: usize = 2;

/// Fails for what no update has.
pub(super) fn check(name: &str) -> Result<(), String> {
    let known = || std::iter::once(UPDATE_ID).chain(Kind::ALL.iter().map(|kind| kind.name()));
    if known().any(|known| known == name) {
        return Ok(());
    }
    let nearest = known().map(|known| (distance(known, name), known)).min();
    let hint = match nearest {
        Some((distance, nearest)) if distance <= MAX_DISTANCE => format!("did you mean `{nearest}`?"),
        _ => format!("they have {}", known().collect::<Vec<_>>().join(", ")),
    };
    Err(format!("{VARIABLE}s have no `{name}`; {hint}"))
}

/// How many bytes must be changed, added or left out to get from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (removed, a) in from.bytes().enumerate() {
        let mut diagonal = removed;
        let mut left = removed + 1;
        for (above, b) in row.iter_mut().skip(1).zip(to.bytes()) {
            let cheapest = (diagonal + usize::from(a != b)).min(left + 1).min(*above + 1);
            diagonal = *above;
            left = cheapest;
            *above = cheapest;
        }
        if let Some(first) = row.first_mut() {
            *first = removed + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_telegram_sends_is_a_name() {
        assert_eq!(check("update_id"), Ok(()));
        for kind in Kind::ALL {
            assert_eq!(check(kind.name()), Ok(()));
        }
        let did_you_mean = |name: &str, meant: &str| {
            assert_eq!(check(name), Err(format!("updates have no `{name}`; did you mean `{meant}`?")));
        };
        did_you_mean("mesage", "message");
        did_you_mean("messages", "message");
        did_you_mean("callbackquery", "callback_query");
        did_you_mean("edited_mesage", "edited_message");
    }

    #[test]
    fn a_name_that_is_like_none_is_answered_with_all() {
        let error = check("text").unwrap_err();
        assert!(error.starts_with("updates have no `text`; they have update_id, message, "), "{error}");
    }

    #[test]
    fn a_distance_is_the_number_of_changes() {
        for (from, to, expected) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("poll", "pool", 1), ("abc", "bcd", 2)]
        {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }
}
