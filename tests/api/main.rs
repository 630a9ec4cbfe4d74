//! The gateway on real sockets, between a client, an upstream and an auth service that record what reaches them.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test binary has no outside, and fails by panics"
)]

mod support;

mod access;
mod actix_http;
mod alarms;
mod at_once;
mod audit;
mod audit_flood;
mod audit_full;
mod audit_owners;
mod auth_service;
mod browser;
mod bundle;
mod caching;
mod canary;
mod certificates;
mod check;
mod closed_pipes;
mod codes;
mod credentials;
mod dependencies;
mod direct;
mod docs;
mod doctor;
mod doctor_at_gateways;
mod egress;
mod errors;
mod explain;
mod explain_owners;
mod faults;
mod fenced_keys;
mod fences;
mod forwarding;
mod get_bodies;
mod health;
mod hostile;
mod http10;
mod idle;
mod issuers;
mod key_file;
mod keys;
mod last_use;
mod layout;
mod limits;
mod logs;
mod long_answers;
mod memory;
mod metrics;
mod mlflow_refuses;
mod operations;
mod own_address;
mod own_limits;
mod owned_bodies;
mod owners;
mod ownership;
mod pasted_keys;
mod permissions;
mod probe_auth_service;
mod probe_mlflow;
mod probe_redis;
mod promotion;
mod redis;
mod refusals;
mod refused_everywhere;
mod request_ids;
mod revoke;
mod routes;
mod secrets;
mod sign_on;
mod targets;
mod tls_inbound;
mod tls_outbound;
mod traces;
mod turns;
mod untold_names;
mod upstreams;
mod usage;
mod verdicts;
mod workspaces;
mod wrong_causes;
