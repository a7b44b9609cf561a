//! The commands, over the admin port of a server.

use super::*;
use crate::admin::{
    dead_letters::command::{Asked, CommandError, Conditions, Which},
    tests::serve,
};

async fn asked(memory: &Arc<Memory>) -> Asked {
    Asked { admin: serve(Arc::clone(memory) as Arc<dyn Queues>).await, webhook: None }
}

fn ids(majors: &[u64]) -> Which {
    Which::Ids(majors.iter().map(|&major| DeadLetterId { major, minor: 0 }).collect())
}

async fn replayed(asked: &Asked, which: &Which, dry_run: bool) -> (Vec<u8>, Result<(), CommandError>) {
    let mut output = Vec::new();
    let told = asked.replay(which, dry_run, &mut output).await;
    (output, told)
}

#[tokio::test]
async fn the_list_command_shows_all_of_them() {
    let memory = memory(&[1; 250]);
    let asked = Asked { webhook: Some("crm/a".to_owned()), ..asked(&memory).await };
    let list = async |conditions| {
        let mut output = Vec::new();
        asked.list(&conditions, &mut output).await.unwrap();
        String::from_utf8(output).unwrap()
    };
    let shown = list(Conditions::default()).await;
    let shown: Vec<_> = shown.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(shown, (1..=250).map(|major| format!("{major}-0")).collect::<Vec<_>>());
    let since = Some("1970-01-01T00:04:10+00:00".parse().unwrap());
    let last = list(Conditions { since, ..Conditions::default() }).await;
    assert!(last.starts_with("250-0 at 1970-01-01T00:04:10Z, refused by the CRM with 422: "), "{last}");
    assert_eq!(list(Conditions { chat: Some(-2), ..Conditions::default() }).await, "nothing was set aside\n");
}

#[tokio::test]
async fn the_show_command_writes_the_update_as_it_came() {
    let memory = memory(&[1, 2]);
    let mut output = Vec::new();
    let id = DeadLetterId { major: 2, minor: 0 };
    asked(&memory).await.show(id, &mut output).await.unwrap();
    assert_eq!(String::from_utf8(output).unwrap(), message(2) + "\n");
}

#[tokio::test]
async fn the_replay_command_says_which() {
    let memory = memory(&[1, 2, 1, 3, 4]);
    let asked = asked(&memory).await;
    let told = async |which, dry_run| {
        let (output, told) = replayed(&asked, &which, dry_run).await;
        told.unwrap();
        String::from_utf8(output).unwrap()
    };
    let chat = |chat| Which::Selected(Conditions { chat: Some(chat), ..Conditions::default() });
    assert_eq!(told(chat(1), true).await, "would replay 2: 1-0, 3-0\n");
    assert_eq!(told(chat(1), false).await, "replayed 2: 1-0, 3-0\n");
    assert_eq!(told(chat(1), false).await, "there is nothing to replay\n");
    assert_eq!(told(ids(&[4, 2]), false).await, "replayed 1: 4-0\nreplayed 1: 2-0\n");
    assert_eq!(told(Which::All, false).await, "replayed 1: 5-0\n");
}

#[tokio::test]
async fn a_replay_of_many_names_the_first() {
    let memory = memory(&[1; 1002]);
    let (output, _) = replayed(&asked(&memory).await, &Which::All, false).await;
    assert!(output.starts_with(b"replayed 1002: 1-0, 2-0, "));
    assert!(output.ends_with(b", 999-0, 1000-0 and 2 more\n"));
}

#[tokio::test]
async fn the_replay_command_says_how_far_it_came() {
    let memory = memory(&[1, 2, 3]);
    let asked = asked(&memory).await;
    let (output, told) = replayed(&asked, &ids(&[1, 9, 2]), false).await;
    assert_eq!(output, b"replayed 1: 1-0\n");
    let reason = |told: Result<(), CommandError>| match told {
        Err(CommandError::Ask(crate::admin::AskError::Refused { status, reason })) => {
            (status.as_u16(), reason)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(told), (404, "crm/a has no dead letter 9-0".to_owned()));
    memory.with("crm/a", |stored| stored.fails = Some((2, QueueError::Closed)));
    let (_, told) = replayed(&asked, &Which::All, false).await;
    assert_eq!(reason(told), (503, "replayed 1 of 2, up to 2-0: the queue is closed".to_owned()));
}
