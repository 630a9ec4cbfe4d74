use super::{ArtifactPath, Base};

/// Names that MLflow keeps, or of which it keeps what is given here.
#[test]
fn a_path_is_what_mlflow_makes_of_it() {
    for (written, reading) in [
        ("", ""),
        ("1/run/artifacts/model.pkl", "1/run/artifacts/model.pkl"),
        ("1/a b+é.txt", "1/a b+é.txt"),
        ("1/at 12:00.png", "1/at 12:00.png"),
        ("1/50% off.png", "1/50% off.png"),
        ("1/95\u{fffd}.png", "1/95\u{fffd}.png"),
        ("1/95%ab.png", "1/95\u{fffd}.png"),
        ("1/%timestamp%17_a.png", "1/%timestamp%17_a.png"),
        ("1/lr=1e-3;bs=32.ckpt", "1/lr=1e-3;bs=32.ckpt"),
        ("1/a\\b", "1/a\\b"),
        ("1/a?b", "1/a?b"),
        ("1/a%252fb", "1/a/b"),
        ("1/Icon\r", "1/Icon"),
        ("1/a\tb\nc", "1/abc"),
        ("1/a\u{1}\u{7f}b", "1/a%01%7fb"),
        (" \u{1f}\u{0}1/x", "1/x"),
        ("%2520%09 1/x", "1/x"),
        ("1/x;", "1/x"),
        ("1/x?", "1/x"),
        ("1/x#", "1/x"),
        ("1/x;?#", "1/x"),
        ("1/x;;", "1/x;;"),
        ("1/x#y", "1/x#y"),
        ("1/x;/y", "1/x;/y"),
        ("Epoch:1.ckpt;", "epoch:1.ckpt;"),
        ("1/run/artifacts/", "1/run/artifacts/"),
    ] {
        let path = ArtifactPath::read(written, Base::Store);
        assert_eq!(path.as_ref().map(ArtifactPath::as_str), Ok(reading), "{written:?}");
    }
}

#[test]
fn what_two_readers_would_not_read_alike_is_refused() {
    let deep = |times: usize| format!("1/%{}41", "25".repeat(times));
    for written in [
        ".",
        "..",
        " .",
        "\t.",
        ".\r",
        "\u{1f}.",
        ".;",
        ".?",
        ".#",
        "%2e",
        "%252520%2e%3b",
        ". /../x",
        "1/./x",
        "1/\t.",
        "1/.\n./x",
        "1/..;",
        "1/..?",
        "1/%2e%2e%2fx",
        "1//x",
        "1/\t/x",
        "1/%2f%2f",
        "/1/x",
        " /1/x",
        "//",
        "%2f%2f",
        "//?",
        "file:",
        "FI\tLE:",
        "file:?x",
        "http:1/x",
        "epoch://1",
        &deep(12),
    ] {
        assert!(ArtifactPath::read(written, Base::Store).is_err(), "{written:?}");
    }
    assert!(ArtifactPath::read(&deep(5), Base::Store).is_ok());
}

#[test]
fn a_root_is_all_of_something() {
    for (written, of_store, of_run) in [
        ("", true, true),
        (" ", true, true),
        ("\u{1f}%20", true, true),
        (";", true, true),
        ("workspaces", true, false),
        ("workspaces/", true, false),
        ("%20workspaces\t", true, false),
        ("Workspaces;", true, false),
        ("workspaces/team-a", true, false),
        ("workspaces/team-a%2f", true, false),
        ("workspaces/team-a/1", false, false),
        ("1", false, false),
        ("1/run/artifacts/", false, false),
    ] {
        let is_root = |base| ArtifactPath::read(written, base).unwrap().is_root();
        assert_eq!((is_root(Base::Store), is_root(Base::Run)), (of_store, of_run), "{written:?}");
    }
}
