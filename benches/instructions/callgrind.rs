//! Counting, by callgrind: one operation in a process of its own.

use std::{
    env, fs,
    path::Path,
    process::{Command, ExitCode},
};

use super::operations::{ALL, Run};

/// The argument before an operation's name with which this program is started under callgrind.
pub(super) const RUN: &str = "--run-under-callgrind";

/// How often an operation is done before it is counted, and how often while it is: what only its first times need is
/// not its cost.
const WARM_UP: u32 = 100;
const ROUNDS: u32 = 1000;
/// How often an operation is counted; the median is its count. Hash tables are seeded anew in each process.
const COUNTS: usize = 3;

/// What the counted process does.
pub(super) fn run(name: &str) -> ExitCode {
    let operation = ALL.into_iter().find(|operation| operation.name == name).unwrap();
    actix_rt::System::new().block_on(async {
        let mut run = (operation.make)();
        for _ in 0..WARM_UP {
            run();
        }
        counted(&mut run);
    });
    ExitCode::SUCCESS
}

/// Callgrind counts within this function, which it knows by its name.
#[inline(never)]
fn counted(run: &mut Run) {
    for _ in 0..ROUNDS {
        run();
    }
}

/// How many instructions an operation takes.
pub(super) fn count(name: &str) -> u64 {
    let mut counts: Vec<u64> = (0..COUNTS).map(|_| count_once(name)).collect();
    counts.sort_unstable();
    counts[COUNTS / 2]
}

fn count_once(name: &str) -> u64 {
    // Kept, for callgrind_annotate to tell where they go.
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("callgrind.{name}"));
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet", "--toggle-collect=*callgrind::counted*"]);
    valgrind.arg(format!("--callgrind-out-file={}", out.display()));
    valgrind.arg(env::current_exe().unwrap()).args([RUN, name]);
    // The environment lies on the stack, and moves it.
    valgrind.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
    let ended = valgrind
        .status()
        .unwrap_or_else(|error| panic!("valgrind: {error} (Debian: apt-get install valgrind)"));
    assert!(ended.success(), "`{name}` under valgrind: {ended}");
    let profile = fs::read_to_string(&out).unwrap();
    let summary = profile.lines().find_map(|line| line.strip_prefix("summary: ")).unwrap();
    let instructions: u64 = summary.trim().parse().unwrap();
    assert!(instructions > 0, "callgrind counted nothing of `{name}`");
    instructions / u64::from(ROUNDS)
}

/// Whether counts of this machine are those of another.
pub(super) fn is_comparable() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has_avx2 = is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    let has_avx2 = false;
    has_avx2
}
