//! `/`, and the mounts of MLflow without the slash at their end.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, LOCATION, VARY},
};
use serde_json::json;

use crate::{VERSION, session::browser};

/// What the answers below depend on.
const VARYING: &str = "Accept, Sec-Fetch-Mode";

/// `GET /`: a person goes to MLflow's pages; a program learns what this is.
pub async fn home(request: HttpRequest) -> HttpResponse {
    if browser::opens(request.head()).is_some() {
        return HttpResponse::Found()
            .insert_header((LOCATION, "/mlflow/"))
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((VARY, VARYING))
            .finish();
    }
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).insert_header((VARY, VARYING)).json(json!({
        "name": "hokusai-gateway",
        "version": VERSION,
        "message": "an API-key gateway in front of MLflow: set MLFLOW_TRACKING_URI to this address and /api/mlflow, and \
                    MLFLOW_TRACKING_TOKEN to your API key",
        "tracking_uri": "/api/mlflow",
        "ui": "/mlflow/",
        "account": "/account",
        "health": "/health",
    }))
}

/// `GET /mlflow` and `/api/mlflow`, which MLflow's client prints as a link: the page's relative addresses need the slash.
pub async fn with_slash(request: HttpRequest) -> HttpResponse {
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, format!("{}/{query}", request.path())))
        .insert_header((VARY, VARYING))
        .finish()
}
