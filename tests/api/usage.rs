//! What the auth service is told of the use of its keys.

mod batches;
mod each;
mod ledger;
mod restarts;
mod spool;
mod totals;
