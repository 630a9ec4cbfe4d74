//! What is measured: the steps of a request, each as one operation, for the clock (`time`) and for the count of
//! instructions (`instructions`) alike.
//!
//! What an operation consumes is cloned within it. Its futures are polled once, for nothing in it has to wait.

mod authenticating;
mod deciding;
mod fixtures;
mod reading;
mod requests;
mod rewriting;
mod telling;

use std::hint::black_box;

/// What is done again and again.
pub(crate) type Run = Box<dyn FnMut()>;

/// One thing that is measured. It is to be made, and run, inside an actix system.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) make: fn() -> Run,
}

/// Every operation, in the order of the walk.
pub(crate) const ALL: [Operation; 20] = [
    Operation { name: "head", make: reading::head },
    Operation { name: "head_and_route", make: reading::route },
    Operation { name: "head_and_route_of_an_artifact", make: reading::route_of_an_artifact },
    Operation { name: "head_and_route_of_a_long_target", make: reading::route_of_a_long_target },
    Operation { name: "credential_bearer", make: reading::bearer },
    Operation { name: "credential_basic", make: reading::basic },
    Operation { name: "fingerprint", make: authenticating::fingerprint },
    Operation { name: "cache_hit", make: authenticating::cache_hit },
    Operation { name: "token_hit", make: authenticating::token_hit },
    Operation { name: "key_file", make: authenticating::key_file },
    Operation { name: "policy", make: deciding::policy },
    Operation { name: "policy_of_a_json_body", make: deciding::policy_of_a_json_body },
    Operation { name: "limit", make: deciding::limit },
    Operation { name: "head_to_mlflow", make: rewriting::to_mlflow },
    Operation { name: "head_to_client", make: rewriting::to_client },
    Operation { name: "usage", make: telling::usage },
    Operation { name: "no_span", make: telling::no_span },
    Operation { name: "root_span", make: telling::root_span },
    Operation { name: "request_denied", make: telling::denied },
    Operation { name: "request_for_live", make: telling::live },
];

/// Neither what goes in nor what comes out may be optimised away; `work` looks to the first itself.
fn run<T>(mut work: impl FnMut() -> T + 'static) -> Run {
    Box::new(move || drop(black_box(work())))
}
