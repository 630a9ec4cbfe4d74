//! The API-key gateway in front of MLflow.
//!
//! A request passes the steps once: [`head`], [`routing`], [`credentials`] and [`session`], [`auth`], [`policy`], [`limits`], [`proxy`]. Each
//! returns what the next one needs, down to the [`policy::Grant`] without which [`proxy`] forwards nothing. [`gateway`] calls
//! them in this order. `docs/ARCHITECTURE.md` explains the rooms.

// The walk of a request.
pub mod auth;
pub mod client_ip;
pub mod credentials;
pub mod gateway;
pub mod head;
pub mod limits;
pub mod ownership;
pub mod policy;
pub mod proxy;
pub mod routing;
pub mod server;
pub mod session;

// What the walk stands on.
pub mod audit;
mod breaker;
pub mod code;
mod connection;
pub mod error;
pub mod exchange;
mod fault;
mod file_state;
mod files;
mod flight;
pub mod health;
mod http1;
mod http_client;
mod outage_log;
mod pages;
mod parse_fault;
mod redaction;
mod redis;
mod resource_risks;
pub mod resources;
pub mod settings;
mod stall_budget;
pub mod telemetry;
mod tls;
mod token_bucket;
mod trusted_file;
pub mod under_way;
mod upstream;
mod usage;
pub mod vocabulary;

#[cfg(feature = "bench")]
pub mod benching;
#[cfg(fuzzing)]
pub mod fuzzing;

// What starts it.
mod actor;
pub mod cli;
mod doctor;
pub mod reload;
pub mod startup;

/// The version and the commit that this was built from; the commit is `unknown` outside a checkout.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
pub const GIT_SHA: &str = env!("GATEWAY_GIT_SHA");
