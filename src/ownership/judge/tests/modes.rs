use super::*;

/// A fence that everything fits. The outcomes under `off`, `report` and `enforce`, and with the fence likewise; last those of an
/// administrator under `enforce`, without and with it.
#[actix_rt::test]
async fn ownership_refuses_only_where_it_enforces_and_what_a_fence_cannot_judge_is_refused_everywhere() {
    const FENCES: [&str; 2] = ["{}", r#"{"experiments": ["*"]}"#];
    let modes = [Mode::Off, Mode::Report, Mode::Enforce];
    let users = FENCES.map(|fence| modes.map(|ownership| Asking { fence, ownership, ..ADA }));
    let administrators = FENCES.map(|fence| Asking { fence, is_administrator: true, ..ADA });
    let columns: Vec<_> = users.into_iter().flatten().chain(administrators).collect();
    let [mine, theirs, failing, absent] = ["1", "2", "8", "9"].map(|id| [named(Kind::Experiment, id)]);
    let listed = [Named { is_listed: true, ..named(Kind::Run, "gone") }];
    let ambiguous = SubjectError::Ambiguous("run_id".to_owned());
    let of = |named: &'static str| match named {
        "mine" => Ok(Some(&mine[..])),
        "theirs" => Ok(Some(&theirs[..])),
        "failing" => Ok(Some(&failing[..])),
        "absent" => Ok(Some(&absent[..])),
        "listed" => Ok(Some(&listed[..])),
        "nothing" => Ok(Some(&[][..])),
        "unsaid" => Ok(None),
        "ambiguous" => Err(&ambiguous),
        other => panic!("{other}"),
    };
    const ENFORCED: [&str; 8] = ["-", "-", "owner", "-", "-", "owner", "-", "-"];
    const ALWAYS: [&str; 8] = ["owner", "owner", "owner", "owner", "owner", "owner", "-", "-"];
    for (what, reserved, expected) in [
        ("theirs", Reserved::None, ENFORCED),
        ("mine", Reserved::None, ["-"; 8]),
        ("mine", Reserved::Own, ENFORCED),
        ("mine", Reserved::Author, ENFORCED),
        ("mine", Reserved::Assessments, ["-", "-", "owner", "fence", "fence", "fence", "-", "fence"]),
        // Who says whose something is would be believed later.
        ("mine", Reserved::Owner, ALWAYS),
        ("nothing", Reserved::Owner, ALWAYS),
        ("mine", Reserved::Writers, ["owner", "-", "-", "owner", "-", "-", "-", "-"]),
        ("theirs", Reserved::Writers, ALWAYS),
        (
            "failing",
            Reserved::Writers,
            ["owner", "unanswered", "unanswered", "owner", "unanswered", "unanswered", "-", "unanswered"],
        ),
        (
            "absent",
            Reserved::Writers,
            ["owner", "missing", "missing", "owner", "missing", "missing", "-", "missing"],
        ),
        ("nothing", Reserved::None, ["-"; 8]),
        ("unsaid", Reserved::None, ["-", "-", "owner", "fence", "fence", "fence", "-", "fence"]),
        (
            "failing",
            Reserved::None,
            ["-", "-", "unanswered", "unanswered", "unanswered", "unanswered", "-", "unanswered"],
        ),
        ("absent", Reserved::None, ["-", "-", "missing", "missing", "missing", "missing", "-", "missing"]),
        ("listed", Reserved::None, ["-", "-", "unknown", "unknown", "unknown", "unknown", "-", "unknown"]),
        (
            "ambiguous",
            Reserved::None,
            ["-", "-", "unnamed", "unnamed", "unnamed", "unnamed", "unnamed", "unnamed"],
        ),
    ] {
        for (column, (asking, expected)) in columns.iter().zip(expected).enumerate() {
            let fake = Fake::default();
            let Judgement { outcome, targets, .. } =
                Asking { reserved, ..asking.clone() }.judge(&fake, of(what)).await;
            assert_eq!(outcome, expected, "{what} {reserved:?}, column {column}");
            let is_judged = ![0, 6].contains(&column);
            assert!(is_judged || (fake.asked(), targets.len()) == (0, 0), "{what}, column {column}");
        }
    }
}

#[actix_rt::test]
async fn where_ownership_only_reports_the_rest_is_judged_behind_the_first_reason() {
    let subjects = ["8", "2", "1", "2"].map(|id| named(Kind::Experiment, id));
    let report = Asking { ownership: Mode::Report, reserved: Reserved::Author, ..ADA };
    let judgement = report.judge(&Fake::default(), Ok(Some(&subjects))).await;
    let owners: Vec<_> = judgement.targets.iter().map(Target::owner).collect();
    assert_eq!((judgement.outcome, owners), ("-", vec![Some("bob"), Some("ada"), Some("bob")]));
    assert_eq!(judgement.reported, (Some("owner"), 3));
}

#[actix_rt::test]
async fn what_is_refused_is_not_reported_too() {
    let subjects = [named(Kind::Experiment, "2")];
    for (ownership, outcome, reported) in
        [(Mode::Off, "-", None), (Mode::Report, "-", Some("owner")), (Mode::Enforce, "owner", None)]
    {
        let judgement = Asking { ownership, ..ADA }.judge(&Fake::default(), Ok(Some(&subjects))).await;
        assert_eq!((judgement.outcome, judgement.reported), (outcome, (reported, 0)), "{ownership:?}");
    }
}
