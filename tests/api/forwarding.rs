//! What reaches MLflow, and what comes back.

mod callers;
mod requests;
mod responses;

const SEARCH: &str = "/api/mlflow/api/2.0/mlflow/experiments/search";
