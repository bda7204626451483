//! `portcullis clusters` beside a service: it needs that service's store, and leaves it as it is.

use super::portcullis;
use crate::support::databases;

#[test]
fn without_a_database_there_is_nothing_to_list_and_none_is_made() {
    let empty = tempfile::tempdir().unwrap();
    let ended = portcullis(empty.path(), &["clusters", "list"]);
    let expected = "the store cannot be opened: there is no database at .portcullis/portcullis.db; \
                    `--config FILE` names the service's configuration\n";
    assert_eq!((ended.status, ended.stderr.as_str(), ended.stdout.as_str()), (1, expected, ""));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "nothing was made");

    std::fs::write(empty.path().join("p.toml"), "[server]\ndata_dir = 'elsewhere'\n").unwrap();
    for command in
        [&["clusters", "list", "--config", "p.toml"][..], &["clusters", "kubeconfig", "x", "--config", "p.toml"]]
    {
        let ended = portcullis(empty.path(), command);
        let expected = "the store cannot be opened: there is no database at elsewhere/portcullis.db\n";
        assert_eq!((ended.status, ended.stderr.as_str()), (1, expected));
    }
}

#[tokio::test]
async fn a_list_needs_no_secret_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join(".portcullis");
    std::fs::create_dir(&data).unwrap();
    let database = databases::sqlite_in(&data).await;
    let list = || portcullis(folder.path(), &["clusters", "list"]);

    let ended = list();
    assert_eq!(ended.status, 1);
    assert!(ended.stderr.starts_with("no service has begun its store yet"), "{}", ended.stderr);
    assert_eq!(database.store.known_instance().await.unwrap(), None, "none was made up");

    database.store.instance("of-the-service").await.unwrap();
    let ended = list();
    assert_eq!((ended.status, ended.stdout.as_str(), ended.stderr.as_str()), (0, "", "no clusters\n"));
    let json = portcullis(folder.path(), &["clusters", "list", "--json"]);
    assert_eq!((json.status, json.stdout.as_str(), json.stderr.as_str()), (0, "[]\n", ""));

    // When no service runs, its database lies there alone.
    database.store.close().await;
    let before = std::fs::read(data.join("portcullis.db")).unwrap();
    assert_eq!(list().status, 0);
    assert_eq!(std::fs::read(data.join("portcullis.db")).unwrap(), before);
}

#[test]
fn what_is_no_database_of_ours_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".portcullis")).unwrap();
    let file = folder.path().join(".portcullis/portcullis.db");
    for text in ["", "hello"] {
        std::fs::write(&file, text).unwrap();
        let ended = portcullis(folder.path(), &["clusters", "list"]);
        assert_eq!(ended.status, 1);
        assert!(ended.stderr.contains("it is no portcullis's database"), "{}", ended.stderr);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}
