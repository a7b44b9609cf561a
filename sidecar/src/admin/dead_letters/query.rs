//! Which dead letters are meant, as the query says it.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use crate::{
    admin::query::{Query, QueryError, chat, time},
    queue::{DeadLetterId, Selection},
};

pub(super) const WEBHOOK: &str = "webhook";
pub(super) const CHAT: &str = "chat";
pub(super) const SINCE: &str = "since";
pub(super) const UNTIL: &str = "until";
pub(super) const AFTER: &str = "after";
pub(super) const LIMIT: &str = "limit";
pub(super) const ID: &str = "id";
pub(super) const ALL: &str = "all";
pub(super) const DRY_RUN: &str = "dry_run";

/// What select among all dead letters.
const SELECTING: [&str; 3] = [CHAT, SINCE, UNTIL];
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// Which ones to show.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListQuery {
    pub(super) webhook: Option<String>,
    pub(super) selection: Selection,
    pub(super) after: Option<DeadLetterId>,
    pub(super) limit: usize,
}

/// Which ones to deliver again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReplayQuery {
    pub(super) webhook: Option<String>,
    pub(super) which: Which,
    pub(super) dry_run: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Which {
    One(DeadLetterId),
    Selected(Selection),
}

// === impl ListQuery ===

impl ListQuery {
    pub(super) fn read(query: Option<&str>) -> Result<Self, QueryError> {
        let query = Query::read(query, &[WEBHOOK, CHAT, SINCE, UNTIL, AFTER, LIMIT])?;
        Ok(Self {
            webhook: query.text(WEBHOOK).map(str::to_owned),
            selection: selection(&query)?,
            after: query.get(AFTER, str::parse)?,
            limit: query.get(LIMIT, limit)?.unwrap_or(DEFAULT_LIMIT),
        })
    }
}

// === impl ReplayQuery ===

impl ReplayQuery {
    pub(super) fn read(query: Option<&str>) -> Result<Self, QueryError> {
        let query = Query::read(query, &[WEBHOOK, CHAT, SINCE, UNTIL, ID, ALL, DRY_RUN])?;
        Ok(Self {
            webhook: query.text(WEBHOOK).map(str::to_owned),
            which: which(&query)?,
            dry_run: query.flag(DRY_RUN)?,
        })
    }
}

/// Never everything unless that is said: a condition that was forgotten must not deliver a month again.
fn which(query: &Query<'_>) -> Result<Which, QueryError> {
    let id = query.get(ID, str::parse)?;
    let all = query.flag(ALL)?;
    let selecting = SELECTING.into_iter().find(|name| query.has(name));
    match (id, all, selecting) {
        (Some(_), true, _) => Err(QueryError::new(ALL, "can't be there with id: leave one of them")),
        (Some(_), _, Some(other)) => Err(QueryError::new(other, "can't be there with id: leave one of them")),
        (_, true, Some(other)) => Err(QueryError::new(other, "can't be there with all: leave one of them")),
        (Some(id), false, None) => Ok(Which::One(id)),
        (None, false, None) => {
            Err(QueryError::new(ALL, "must be true where neither id, chat, since nor until says which"))
        }
        (None, true, None) | (None, false, Some(_)) => Ok(Which::Selected(selection(query)?)),
    }
}

fn selection(query: &Query<'_>) -> Result<Selection, QueryError> {
    let chat = query.get(CHAT, chat)?;
    let (since, until) = (query.get(SINCE, time)?, query.get(UNTIL, time)?);
    if since.zip(until).is_some_and(|(since, until)| since >= until) {
        return Err(QueryError::new(UNTIL, "must be after since"));
    }
    let at = (since.is_some() || until.is_some()).then(|| {
        // nothing is older than Unix time
        let since = since.map_or(UNIX_EPOCH, SystemTime::from).max(UNIX_EPOCH);
        since..until.unwrap_or(Timestamp::MAX).into()
    });
    Ok(Selection { chat, at })
}

fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| format!("must be 1 to {MAX_LIMIT}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::from_millis;

    fn id(major: u64) -> DeadLetterId {
        DeadLetterId { major, minor: 0 }
    }

    fn replayed(query: &str) -> Result<Which, String> {
        ReplayQuery::read(Some(query)).map(|query| query.which).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_is_of_everything_unless_said_otherwise() {
        let everything =
            ListQuery { webhook: None, selection: Selection::default(), after: None, limit: DEFAULT_LIMIT };
        assert_eq!(ListQuery::read(None).unwrap(), everything);
        let query =
            "webhook=crm/a&chat=-7&since=1970-01-01T00:00:01Z&until=1970-01-01T00:00:02.5Z&after=5-0&limit=3";
        let selection = Selection { chat: Some(-7), at: Some(from_millis(1000)..from_millis(2500)) };
        assert_eq!(
            ListQuery::read(Some(query)).unwrap(),
            ListQuery { webhook: Some("crm/a".to_owned()), selection, after: Some(id(5)), limit: 3 }
        );
        for wrong in ["limit=0", "limit=1001", "limit=x"] {
            assert_eq!(ListQuery::read(Some(wrong)).unwrap_err().to_string(), "limit: must be 1 to 1000");
        }
        assert_eq!(ListQuery::read(Some("after=5")).unwrap_err().parameter, "after");
        assert_eq!(ListQuery::read(Some("all=true")).unwrap_err().parameter, "all");
    }

    #[test]
    fn a_time_is_open_at_the_end_that_is_not_said() {
        let at = |query: &str| ListQuery::read(Some(query)).unwrap().selection.at.unwrap();
        let since = at("since=1970-01-01T00:00:01Z");
        assert!(since.contains(&from_millis(1000)) && since.contains(&from_millis(1 << 47)));
        assert!(!since.contains(&from_millis(999)));
        for until in ["until=1970-01-01T00:00:01Z", "since=1960-01-01T00:00:00Z&until=1970-01-01T00:00:01Z"] {
            assert_eq!(at(until), UNIX_EPOCH..from_millis(1000), "{until}");
        }
        let backwards = ListQuery::read(Some("since=1970-01-01T00:00:01Z&until=1970-01-01T00:00:01Z"));
        assert_eq!(backwards.unwrap_err().to_string(), "until: must be after since");
    }

    #[test]
    fn a_replay_says_what_is_meant_in_one_way() {
        assert_eq!(replayed("id=5-0"), Ok(Which::One(id(5))));
        assert_eq!(replayed("all=true&dry_run=true"), Ok(Which::Selected(Selection::default())));
        assert_eq!(replayed("chat=7"), Ok(Which::Selected(Selection { chat: Some(7), at: None })));
        let unsaid = "all: must be true where neither id, chat, since nor until says which";
        assert_eq!(replayed("webhook=crm/a&dry_run=true"), Err(unsaid.to_owned()));
        for (query, parameter) in [
            ("id=5-0&all=true", "all"),
            ("id=5-0&chat=7", "chat"),
            ("all=true&since=1970-01-01T00:00:01Z", "since"),
            ("all=true&until=1970-01-01T00:00:01Z", "until"),
        ] {
            let error = replayed(query).unwrap_err();
            let other = if query.starts_with("id") { "id" } else { "all" };
            assert_eq!(error, format!("{parameter}: can't be there with {other}: leave one of them"));
        }
        for wrong in ["id=5", "id=5-0&id=6-0", "all=false", "after=5-0&all=true", "chat=7&dry_run=yes"] {
            assert!(replayed(wrong).is_err(), "{wrong}");
        }
    }
}
