use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::*;
use crate::{admin::memory::Memory, queue::Reason};

mod commands;

const POD: &str = "127.0.0.1";
const OTHER: &str = "10.0.0.1";

fn message(chat: i64) -> String {
    format!(
        r#"{{"update_id":7,"message":{{"message_id":1,"date":1,"chat":{{"id":{chat},"type":"group"}},"from":{{"id":5,"is_bot":false,"first_name":"Ann"}},"text":"a secret"}}}}"#
    )
}

/// A queue with a dead letter of each of these chats: 1-0, 2-0 and so on.
pub(super) fn memory(chats: &[i64]) -> Arc<Memory> {
    let memory = Memory::of(&["crm/a"]);
    memory.with("crm/a", |stored| {
        for chat in chats {
            stored.bury(Reason::Refused(422), &message(*chat));
        }
    });
    Arc::new(memory)
}

async fn ask(memory: &Arc<Memory>, peer: &str, method: Method, target: &str) -> (u16, Bytes) {
    let letters = DeadLetters::new(Arc::clone(memory) as Arc<dyn Queues>);
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let peer = SocketAddr::new(peer.parse().unwrap(), 1);
    let answer = letters.answer(peer, &method, path, query).await.unwrap();
    (answer.status().as_u16(), answer.into_body().collect().await.unwrap().to_bytes())
}

async fn json_of(memory: &Arc<Memory>, method: Method, target: &str) -> Value {
    let (status, body) = ask(memory, POD, method, target).await;
    assert_eq!(status, 200, "{target}: {body:?}");
    serde_json::from_slice(&body).unwrap()
}

async fn wrong(memory: &Arc<Memory>, method: Method, target: &str) -> (u16, String) {
    let (status, body) = ask(memory, POD, method, target).await;
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn listed(memory: &Arc<Memory>, query: &str) -> Vec<String> {
    let entries = json_of(memory, Method::GET, &format!("/dead-letters{query}")).await;
    let entries: Vec<Entry> = serde_json::from_value(entries).unwrap();
    entries.into_iter().map(|entry| entry.id).collect()
}

#[tokio::test]
async fn anybody_may_see_the_list_which_has_no_text() {
    let memory = memory(&[-7]);
    memory.with("crm/a", |stored| stored.bury(Reason::Malformed("is not JSON".to_owned()), "{secret"));
    let (status, body) = ask(&memory, OTHER, Method::GET, "/dead-letters").await;
    assert_eq!(status, 200);
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap(),
        json!([
            {
                "id": "1-0", "at": "1970-01-01T00:00:01Z", "reason": "refused by the CRM with 422", "update_id": 7,
                "kind": "message", "chat": -7, "user": 5, "size": message(-7).len(), "received": "1970-01-01T00:00:00.5Z",
            },
            {
                "id": "2-0", "at": "1970-01-01T00:00:02Z", "reason": "malformed: is not JSON", "size": 7,
                "received": "1970-01-01T00:00:00.5Z",
            },
        ])
    );
    let lines: Vec<Entry> = serde_json::from_slice(&body).unwrap();
    let size = message(-7).len();
    assert_eq!(
        lines.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            format!(
                "1-0 at 1970-01-01T00:00:01Z, refused by the CRM with 422: update 7, message in chat -7 by 5, \
                 {size} bytes, received at 1970-01-01T00:00:00.5Z"
            ),
            "2-0 at 1970-01-01T00:00:02Z, malformed: is not JSON: 7 bytes, received at 1970-01-01T00:00:00.5Z"
                .to_owned(),
        ]
    );
}

#[tokio::test]
async fn the_list_is_of_what_is_selected_and_goes_on_after_an_id() {
    let memory = memory(&[1, 2, 1, 1, 2]);
    assert_eq!(listed(&memory, "").await, ["1-0", "2-0", "3-0", "4-0", "5-0"]);
    assert_eq!(listed(&memory, "?chat=1").await, ["1-0", "3-0", "4-0"]);
    assert_eq!(listed(&memory, "?chat=1&after=1-0&limit=1").await, ["3-0"]);
    let within = "?webhook=crm/a&since=1970-01-01T00:00:02Z&until=1970-01-01T00:00:04Z";
    assert_eq!(listed(&memory, within).await, ["2-0", "3-0"]);
    assert_eq!(listed(&memory, "?chat=3").await, [""; 0]);
}

#[tokio::test]
async fn a_mistake_in_a_query_is_refused_and_nothing_replayed() {
    let memory = memory(&[1]);
    for (method, target, parameter) in [
        (Method::GET, "/dead-letters?id=1-0", "id"),
        (Method::GET, "/dead-letters?chat=1&chat=1", "chat"),
        (Method::GET, "/dead-letters/1/update", "id"),
        (Method::GET, "/dead-letters/1-0/update?chat=1", "chat"),
        (Method::POST, "/dead-letters/replay", "all"),
        (Method::POST, "/dead-letters/replay?all=true&dryrun=true", "dryrun"),
        (Method::POST, "/dead-letters/replay?all=true&chat=1", "chat"),
    ] {
        let (status, reason) = wrong(&memory, method, target).await;
        assert_eq!(status, 400, "{target}");
        assert!(reason.starts_with(&format!("{parameter}: ")), "{target}: {reason}");
    }
    assert_eq!(memory.with("crm/a", |stored| stored.letters.len()), 1);
}

#[tokio::test]
async fn the_webhook_must_be_said_where_there_are_several() {
    let both = Arc::new(Memory::of(&["crm/a", "crm/b"]));
    let several = "webhook: must say which, because there are several: crm/a, crm/b";
    assert_eq!(wrong(&both, Method::GET, "/dead-letters").await, (400, several.to_owned()));
    assert_eq!(listed(&both, "?webhook=crm%2Fb").await, [""; 0]);
    let unknown = "webhook: there is no queue of crm/c; there are those of: crm/a, crm/b";
    assert_eq!(wrong(&both, Method::GET, "/dead-letters?webhook=crm/c").await, (404, unknown.to_owned()));
    for query in ["", "?webhook=crm/a"] {
        let (status, reason) = wrong(&Arc::default(), Method::GET, &format!("/dead-letters{query}")).await;
        assert_eq!((status, &*reason), (404, "nothing is stored: there is no queue"));
    }
}

#[tokio::test]
async fn only_the_pod_itself_sees_what_an_update_holds() {
    let memory = memory(&[1, 2]);
    let (status, body) = ask(&memory, OTHER, Method::GET, "/dead-letters/2-0/update").await;
    assert_eq!((status, &*body), (403, &b"only from the same machine or pod"[..]));
    let (status, body) = ask(&memory, POD, Method::GET, "/dead-letters/2-0/update?webhook=crm/a").await;
    assert_eq!((status, &*body), (200, message(2).as_bytes()));
    // before, behind and between
    for id in ["0-0", "1-1", "2-1", "9-0", "18446744073709551615-18446744073709551615"] {
        let (status, reason) = wrong(&memory, Method::GET, &format!("/dead-letters/{id}/update")).await;
        assert_eq!((status, reason), (404, format!("crm/a has no dead letter {id}")));
    }
}

#[tokio::test]
async fn an_update_is_found_by_any_id() {
    let memory = memory(&[1, 2, 3]);
    let ids = [(0, 0), (0, u64::MAX), (1, 0)].map(|(major, minor)| DeadLetterId { major, minor });
    memory.with("crm/a", |stored| {
        stored.letters.iter_mut().zip(ids).for_each(|(letter, id)| letter.id = id);
    });
    for (id, chat) in ids.into_iter().zip([1, 2, 3]) {
        let (_, body) = ask(&memory, POD, Method::GET, &format!("/dead-letters/{id}/update")).await;
        assert_eq!(body, message(chat), "{id}");
    }
}

#[tokio::test]
async fn only_the_pod_itself_replays_what_is_meant() {
    for (query, ids) in [
        ("id=2-0", &["2-0"][..]),
        ("chat=1", &["1-0", "3-0"]),
        ("since=1970-01-01T00:00:02Z", &["2-0", "3-0"]),
        ("chat=1&until=1970-01-01T00:00:03Z", &["1-0"]),
        ("all=true&webhook=crm/a", &["1-0", "2-0", "3-0"]),
        ("chat=9", &[]),
    ] {
        let memory = memory(&[1, 2, 1]);
        let replayed = || memory.with("crm/a", |stored| stored.replayed.clone());
        let target = format!("/dead-letters/replay?{query}");
        assert_eq!(ask(&memory, OTHER, Method::POST, &target).await.0, 403);
        let answer = |dry_run| json!({"dry_run": dry_run, "count": ids.len(), "ids": ids});
        assert_eq!(json_of(&memory, Method::POST, &format!("{target}&dry_run=true")).await, answer(true));
        assert_eq!(replayed(), []);
        assert_eq!(json_of(&memory, Method::POST, &target).await, answer(false));
        assert_eq!(replayed().iter().map(ToString::to_string).collect::<Vec<_>>(), ids, "{query}");
    }
    for query in ["id=9-0", "id=9-0&dry_run=true"] {
        let none = wrong(&memory(&[1]), Method::POST, &format!("/dead-letters/replay?{query}")).await;
        assert_eq!(none, (404, "crm/a has no dead letter 9-0".to_owned()));
    }
}

#[tokio::test]
async fn a_replay_ends_when_everything_is_set_aside_again() {
    let memory = memory(&[1; 40]);
    memory.with("crm/a", |stored| {
        stored.refuses = true;
        // instead of going on for ever
        stored.fails = Some((100, QueueError::Closed));
    });
    let answer = json_of(&memory, Method::POST, "/dead-letters/replay?all=true").await;
    assert_eq!(answer["count"], 40);
    assert_eq!(memory.with("crm/a", |stored| (stored.replayed.len(), stored.letters.len())), (40, 40));
}

#[tokio::test]
async fn a_replay_that_fails_says_how_far_it_came() {
    for (after, error, status, told) in [
        (20, QueueError::Full("x".to_owned()), 503, "replayed 20 of 40, up to 20-0: the queue is full: x"),
        (0, QueueError::Broken("x".to_owned()), 500, "replayed 0 of 40: the queue is broken: x"),
    ] {
        let memory = memory(&[1; 40]);
        memory.with("crm/a", |stored| stored.fails = Some((after, error)));
        let answer = wrong(&memory, Method::POST, "/dead-letters/replay?all=true").await;
        assert_eq!(answer, (status, told.to_owned()));
    }
    let memory = memory(&[1]);
    memory.with("crm/a", |stored| stored.fails = Some((0, QueueError::Closed)));
    let one = wrong(&memory, Method::POST, "/dead-letters/replay?id=1-0").await;
    assert_eq!(one, (503, "the queue is closed".to_owned()));
}

#[tokio::test]
async fn however_many_ask_no_more_than_a_page_is_in_memory() {
    let memory = memory(&[1; 1200]);
    let letters = DeadLetters::new(Arc::clone(&memory) as Arc<dyn Queues>);
    let pod = SocketAddr::new(POD.parse().unwrap(), 1);
    let list = || letters.answer(pod, &Method::GET, "/dead-letters", Some("limit=1000"));
    let replay = letters.answer(pod, &Method::POST, "/dead-letters/replay", Some("all=true"));
    let update = letters.answer(pod, &Method::GET, "/dead-letters/1-0/update", None);
    let (_, _, replayed, _) = tokio::join!(list(), list(), replay, update);
    let most = memory.with("crm/a", |stored| (stored.most_reading, stored.largest_page));
    assert_eq!(most, (1, PAGE));
    let body = replayed.unwrap().into_body().collect().await.unwrap().to_bytes();
    let Replay { count, ids, .. } = serde_json::from_slice(&body).unwrap();
    assert_eq!((count, ids.len(), &*ids[999]), (1200, 1000, "1000-0"));
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let memory = memory(&[1]);
    for (method, target) in [
        (Method::POST, "/dead-letters"),
        (Method::DELETE, "/dead-letters/1-0/update"),
        (Method::GET, "/dead-letters/replay?all=true"),
        (Method::HEAD, "/dead-letters/replay?all=true"),
    ] {
        assert_eq!(ask(&memory, POD, method, target).await.0, 405, "{target}");
    }
    let letters = DeadLetters::new(memory);
    let pod = SocketAddr::new(POD.parse().unwrap(), 1);
    for path in ["/dead-lettersupdate", "/dead-letters/", "/dead-letters/1-0", "/dead-letters/replay/", "/"] {
        assert!(letters.answer(pod, &Method::GET, path, None).await.is_none(), "{path}");
    }
}
