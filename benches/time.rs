//! How long each operation takes, by criterion (`make microbench`).

#![expect(clippy::unwrap_used, reason = "what is wrong with an operation ends the run")]

mod operations;

use criterion::Criterion;
use operations::Operation;

fn main() {
    actix_rt::System::new().block_on(async {
        let mut criterion = Criterion::default().configure_from_args();
        for Operation { name, make } in operations::ALL {
            let mut run = make();
            criterion.bench_function(name, |bencher| bencher.iter(&mut run));
        }
        criterion.final_summary();
    });
}
