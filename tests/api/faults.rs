//! An upstream that breaks HTTP, and clients that vanish: nothing half is ever passed on as whole.

mod responses;
mod uploads;
mod waiting;

const SEARCH: &str = "/api/mlflow/api/2.0/mlflow/experiments/search";
