use std::{fs, os::unix::fs::symlink, path::Path};

use super::*;
use crate::test_util::{raw_config, slot, write_webhook};

/// Publishes a version of the folder as the kubelet does.
fn publish(dir: &Path, version: &str, token: &str) {
    let mut config = raw_config("a");
    config.slots = vec![slot(1, "/p", token)];
    write_webhook(&dir.join(version), "a", &config);
    point_to(dir, version);
}

fn point_to(dir: &Path, version: &str) {
    symlink(version, dir.join("..data_tmp")).unwrap();
    fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
}

fn digest_in_use(reloader: &Reloader) -> String {
    reloader.policy().load().loaded().webhooks[0].digest.clone()
}

#[test]
fn a_moved_link_with_the_same_files_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), "..1", "t");
    let mut reloader = Reloader::load(Source::Folder(dir.path().to_owned()), Metrics::new()).unwrap();
    fs::rename(dir.path().join("..1"), dir.path().join("..2")).unwrap();
    point_to(dir.path(), "..2");
    assert_eq!(reloader.look(), Reload::Unchanged);
}

#[test]
fn a_link_that_has_not_moved_spares_reading_the_files() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), "..1", "t");
    let mut reloader = Reloader::load(Source::Folder(dir.path().to_owned()), Metrics::new()).unwrap();
    // what the kubelet never does; a reader would notice
    fs::remove_dir_all(dir.path().join("..1")).unwrap();
    assert_eq!(reloader.look(), Reload::Unchanged);
}

#[test]
fn a_bad_version_is_refused_once_and_its_repair_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), "..1", "t");
    let mut reloader = Reloader::load(Source::Folder(dir.path().to_owned()), Metrics::new()).unwrap();
    let first = digest_in_use(&reloader);

    publish(dir.path(), "..2", "not a token");
    assert_eq!(reloader.look(), Reload::Refused);
    assert_eq!(reloader.look(), Reload::Unchanged);
    assert_eq!(digest_in_use(&reloader), first);

    publish(dir.path(), "..3", "u");
    assert_eq!(reloader.look(), Reload::Loaded);
    assert_eq!(reloader.look(), Reload::Unchanged);
    assert_ne!(digest_in_use(&reloader), first);
}

#[test]
fn each_folder_is_judged_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let bad = |version: &str| fs::write(dir.path().join(version).join("b/config.json"), "{").unwrap();
    let names = |reloader: &Reloader| -> Vec<String> {
        reloader.policy().load().webhooks().iter().map(|webhook| webhook.name.to_string()).collect()
    };
    write_webhook(&dir.path().join("..1"), "b", &raw_config("b"));
    bad("..1");
    publish(dir.path(), "..1", "t");
    let mut reloader = Reloader::load(Source::Folder(dir.path().to_owned()), Metrics::new()).unwrap();
    assert_eq!(names(&reloader), ["crm/a"], "left out at the start");

    write_webhook(&dir.path().join("..2"), "b", &raw_config("b"));
    publish(dir.path(), "..2", "t");
    assert_eq!(reloader.look(), Reload::Loaded);
    assert_eq!(names(&reloader), ["crm/a", "crm/b"]);

    let first = digest_in_use(&reloader);
    write_webhook(&dir.path().join("..3"), "b", &raw_config("b"));
    bad("..3");
    publish(dir.path(), "..3", "u");
    assert_eq!(reloader.look(), Reload::Refused);
    assert_eq!(names(&reloader), ["crm/a", "crm/b"], "the old version stays");
    assert_ne!(digest_in_use(&reloader), first, "a's new one is taken");

    publish(dir.path(), "..4", "u");
    assert_eq!(reloader.look(), Reload::Loaded);
    assert_eq!(names(&reloader), ["crm/a"], "dropped");
}

#[test]
fn a_configuration_that_vanishes_keeps_the_policy() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), "..1", "t");
    let mut reloader = Reloader::load(Source::Folder(dir.path().to_owned()), Metrics::new()).unwrap();
    let first = digest_in_use(&reloader);
    dir.close().unwrap();
    assert_eq!(reloader.look(), Reload::Refused);
    assert_eq!(digest_in_use(&reloader), first);
}

#[test]
fn without_a_link_a_change_of_any_file_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    write_webhook(dir.path(), "a", &raw_config("a"));
    let mut reloader = Reloader::load(Source::Folder(dir.path().to_owned()), Metrics::new()).unwrap();
    assert_eq!(reloader.look(), Reload::Unchanged);
    write_webhook(dir.path(), "b", &raw_config("b"));
    assert_eq!(reloader.look(), Reload::Loaded);
    assert_eq!(reloader.policy().load().webhooks().len(), 2);
}

/// Removes a webhook's configuration from a version, as when of its two Secrets the operator's is deleted.
fn without_config(dir: &Path, version: &str, folder: &str) {
    fs::remove_file(dir.join(version).join(folder).join("config.json")).unwrap();
}

#[test]
fn a_folder_whose_configuration_is_gone_is_dropped_and_nothing_bad() {
    let dir = tempfile::tempdir().unwrap();
    write_webhook(&dir.path().join("..1"), "b", &raw_config("b"));
    publish(dir.path(), "..1", "t");
    let mut reloader = Reloader::load(Source::Folder(dir.path().to_owned()), Metrics::new()).unwrap();
    assert_eq!(reloader.policy().load().webhooks().len(), 2);

    write_webhook(&dir.path().join("..2"), "b", &raw_config("b"));
    without_config(dir.path(), "..2", "b");
    publish(dir.path(), "..2", "t");
    assert_eq!(reloader.look(), Reload::Loaded);
    let policy = reloader.policy().load_full();
    assert!(policy.of_folder("a").is_some() && policy.of_folder("b").is_none());
    // a reader would notice
    fs::remove_dir_all(dir.path().join("..2")).unwrap();
    assert_eq!(reloader.look(), Reload::Unchanged);
}

#[test]
fn when_the_last_configuration_is_gone_nothing_is_served_until_one_comes() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), "..1", "t");
    let mut reloader = Reloader::load(Source::Folder(dir.path().to_owned()), Metrics::new()).unwrap();
    publish(dir.path(), "..2", "t");
    without_config(dir.path(), "..2", "a");
    assert_eq!(reloader.look(), Reload::Loaded);
    assert_eq!(reloader.policy().load().webhooks().len(), 0);
    publish(dir.path(), "..3", "t");
    assert_eq!(reloader.look(), Reload::Loaded);
    assert_eq!(reloader.policy().load().webhooks().len(), 1);
}

#[test]
fn a_start_without_any_configuration_says_that_there_is_none_yet() {
    let start = |dir: &Path| match Reloader::load(Source::Folder(dir.to_owned()), Metrics::new()) {
        Ok(_) => panic!("started"),
        Err(problems) => problems.to_string(),
    };
    let none_yet = "none of the Secrets of the pod's TelegramWebhooks exists yet";
    let dir = tempfile::tempdir().unwrap();
    let problems = start(dir.path());
    assert!(problems.contains("holds no webhook") && problems.contains(none_yet), "{problems}");

    publish(dir.path(), "..1", "t");
    without_config(dir.path(), "..1", "a");
    let problems = start(dir.path());
    assert!(problems.starts_with("a/config.json: does not exist; "), "{problems}");
    assert!(problems.contains(none_yet), "{problems}");

    write_webhook(&dir.path().join("..1"), "b", &raw_config("b"));
    fs::write(dir.path().join("..1/b/config.json"), "{").unwrap();
    let problems = start(dir.path());
    assert!(problems.contains("b/config.json: ") && problems.contains("a/config.json: "), "{problems}");
    assert!(!problems.contains(none_yet), "one is there: {problems}");
}
