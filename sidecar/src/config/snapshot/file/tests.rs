use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::{
    config::{
        Source,
        reload::{Reload, Reloader},
    },
    metrics::Metrics,
    test_util::{raw_config, write_webhook},
};

/// A file with webhooks of these names, whose certificates are where a folder would have them.
struct File {
    dir: TempDir,
    webhooks: Vec<Value>,
}

impl File {
    fn new(names: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut webhooks = Vec::new();
        for name in names {
            let config = raw_config(name);
            write_webhook(dir.path(), name, &config);
            let mut webhook = serde_json::to_value(&config).unwrap();
            let tls =
                json!({"certificateFile": format!("{name}/tls.crt"), "keyFile": format!("{name}/tls.key")});
            webhook["tls"] = tls;
            webhooks.push(webhook);
        }
        let file = Self { dir, webhooks };
        file.write();
        file
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("webhooks.json")
    }

    fn write(&self) {
        fs::write(self.path(), json!({"webhooks": self.webhooks}).to_string()).unwrap();
    }

    fn start(&self) -> Result<Reloader, String> {
        Reloader::load(Source::File(self.path()), Metrics::new()).map_err(|problems| problems.to_string())
    }

    /// All that is wrong with it, without the path in front.
    fn problems(&self) -> Vec<String> {
        let Err(problems) = crate::check::check(&Source::File(self.path())) else {
            return Vec::new();
        };
        let path = format!("{}: ", self.path().display());
        problems.iter().map(|problem| problem.to_string().replace(&path, "")).collect()
    }
}

fn names(reloader: &Reloader) -> Vec<String> {
    reloader.policy().load().webhooks().iter().map(|webhook| webhook.name.to_string()).collect()
}

#[test]
fn a_file_sets_up_what_folders_would() {
    let file = File::new(&["a", "b"]);
    let by_file = file.start().unwrap().policy().load_full();
    let by_folder = Reloader::load(Source::Folder(file.dir.path().to_owned()), Metrics::new()).unwrap();
    for (by_file, by_folder) in by_file.webhooks().iter().zip(by_folder.policy().load().webhooks()) {
        assert_eq!((&by_file.name, &by_file.host), (&by_folder.name, &by_folder.host));
        assert_eq!(by_file.certificate_digest, by_folder.certificate_digest);
    }
    assert_eq!(by_file.webhooks().len(), 2);
    assert_ne!(by_file.webhooks()[0].digest, by_file.webhooks()[1].digest);
}

#[test]
fn a_change_of_the_file_or_of_a_certificate_is_noticed_and_nothing_else_is() {
    let mut file = File::new(&["a"]);
    let mut reloader = file.start().unwrap();
    assert_eq!(reloader.look(), Reload::Unchanged);

    write_webhook(file.dir.path(), "a", &raw_config("a"));
    assert_eq!(reloader.look(), Reload::Loaded);
    assert_eq!(reloader.look(), Reload::Unchanged);

    file.webhooks.extend(File::new(&["b"]).webhooks);
    write_webhook(file.dir.path(), "b", &raw_config("b"));
    file.write();
    assert_eq!(reloader.look(), Reload::Loaded);
    assert_eq!(names(&reloader), ["crm/a", "crm/b"]);

    file.webhooks.remove(0);
    file.write();
    assert_eq!(reloader.look(), Reload::Loaded);
    assert_eq!(names(&reloader), ["crm/b"]);
}

#[test]
fn a_file_with_a_mistake_changes_nothing_at_all_until_it_is_mended() {
    let mut file = File::new(&["a", "b"]);
    let mut reloader = file.start().unwrap();
    let good = file.webhooks.clone();
    let before = reloader.policy().load().loaded();

    file.webhooks[0]["botId"] = 7.into();
    file.webhooks[1]["botId"] = 0.into();
    file.write();
    assert_eq!(reloader.look(), Reload::Refused);
    assert_eq!(reloader.look(), Reload::Unchanged, "said once");
    assert_eq!(reloader.policy().load().loaded(), before);
    assert_eq!(
        file.start().err().unwrap(),
        format!("{}: webhooks[1].botId: must be above 0", file.path().display())
    );

    for broken in ["", "{\"webhooks\": []}"] {
        fs::write(file.path(), broken).unwrap();
        assert_eq!(reloader.look(), Reload::Refused);
    }
    fs::remove_file(file.path()).unwrap();
    assert_eq!(reloader.look(), Reload::Refused);
    assert_eq!(reloader.policy().load().loaded(), before);

    file.webhooks = good;
    file.webhooks.swap(0, 1);
    file.write();
    assert_eq!(reloader.look(), Reload::Loaded);
    assert_eq!(reloader.policy().load().loaded(), before, "the order is of no account");
}

#[test]
fn every_mistake_is_told_with_its_place_in_the_file() {
    let mut file = File::new(&["a", "b", "c", "d", "e"]);
    assert_eq!(file.problems(), Vec::<String>::new());
    file.webhooks[0]["host"] = "not a host".into();
    file.webhooks[0]["limits"]["maxBodyBytes"] = 0.into();
    file.webhooks[1]["limits"]["ban"]["failures"] = "SECRET".into();
    file.webhooks[2]["tls"]["keyFile"] = "d/tls.key".into();
    file.webhooks[3]["tls"]["certificateFile"] = "absent.crt".into();
    file.webhooks[3]["host"] = "not a host".into();
    file.webhooks[4]["slots"] = file.webhooks[0]["slots"].clone();
    file.write();
    let absent = file.dir.path().join("absent.crt");
    let expected = [
        "webhooks[0].host: must be a DNS name".to_owned(),
        "webhooks[0].limits.maxBodyBytes: must be 1 to 16777216".to_owned(),
        "webhooks[1].limits.ban.failures: must be a whole number, 0 or above, at line 1, column".to_owned(),
        "webhooks[2].tls.keyFile: does not belong to the certificate".to_owned(),
        format!("webhooks[3].tls.certificateFile: {} can't be read: No such file", absent.display()),
        "webhooks[3].host: must be a DNS name".to_owned(),
    ];
    let problems = file.problems();
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(&expected) {
        assert!(problem.starts_with(expected), "{problem}: expected {expected}");
    }
    file.webhooks[0] = raw(&file, 0);
    file.webhooks.truncate(2);
    file.webhooks[1] = file.webhooks[0].clone();
    file.write();
    let same = |field: &str| format!("webhooks[1].{field}: webhooks[0] has the same");
    let bot =
        format!("{}, and a bot has one webhook: remove one of the two, or name another bot", same("botId"));
    assert_eq!(file.problems(), [same("webhook"), bot, same("slots[0].path")]);
}

fn raw(file: &File, index: usize) -> Value {
    let mut webhook = serde_json::to_value(raw_config("a")).unwrap();
    webhook["tls"] = file.webhooks[index]["tls"].clone();
    webhook
}

#[test]
fn what_is_no_configuration_is_told_in_plain_words() {
    let file = File::new(&["a"]);
    for (content, expected) in [
        ("{\"webhooks\": []}", "webhooks: must be at least one"),
        ("{\"webhook\": []}", "webhook: unknown field `webhook`, expected `webhooks` at line 1, column 10"),
        ("{", "the file ends too early, at line 1"),
        ("{\"webhooks\": [{}]}", "webhooks[0]: missing field `webhook` at line 1, column 16"),
    ] {
        fs::write(file.path(), content).unwrap();
        assert_eq!(file.problems(), [expected], "{content}");
    }
    fs::remove_file(file.path()).unwrap();
    let problems = file.problems();
    assert!(problems[0].starts_with("can't be read: No such file"), "{problems:?}");
}
