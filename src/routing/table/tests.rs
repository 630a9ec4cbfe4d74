use std::path::Path;

use actix_web::http::Method;

use super::{RouteError, RouteTable};
use crate::{
    routing::{Body, Reach, Rule},
    vocabulary::RouteClass,
};

fn open(text: &str) -> Result<RouteTable, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, text).unwrap();
    RouteTable::open(Some(file.path())).map_err(|error| error.to_string())
}

/// The row of a request, with one row of the operator's.
fn found(row: &str, method: Method, path: &str) -> Rule {
    open(row).unwrap().find(&method, path, None).unwrap().as_ref().clone()
}

#[test]
fn a_file_adds_rows_and_takes_the_place_of_others() {
    let table = open("# mine\n[admin]\nGET /api/2.0/mlflow/runs/get\n[ui]\nGET /my-plugin/{page}\n").unwrap();
    let class = |path: &str| table.find(&Method::GET, path, None).ok().map(|rule| rule.class);
    assert_eq!(class("/api/2.0/mlflow/runs/get"), Some(RouteClass::Admin));
    assert_eq!(class("/ajax-api/2.0/mlflow/runs/get"), Some(RouteClass::Admin));
    assert_eq!(class("/my-plugin/a"), Some(RouteClass::Ui));
    assert_eq!(table.rules().len(), RouteTable::open(None).unwrap().rules().len() + 1);
    assert_eq!(table.replaced().len(), 2);
    assert!(RouteTable::open(Some(Path::new("/nowhere"))).is_err());
}

#[test]
fn a_row_that_cannot_be_meant_is_refused_by_its_line() {
    for (text, problem) in [
        ("GET /a", "line 1: a row before the first [class]"),
        ("[reed]", "line 1: not a class; the classes are read, write"),
        ("[read, direkt]", "line 1: after the class there may be"),
        ("[read]\nGTE /a", "line 2: does not begin with one of the methods"),
        ("[read]\nHEAD /a", "line 2: a row for GET includes HEAD"),
        ("[read]\n/a", "line 2: a row needs a method and a path"),
        ("[read]\nGET a", "line 2: a path begins with a slash"),
        ("[read]\nGET /a?b=c", "line 2: a path must be ASCII as MLflow decodes it"),
        ("[read]\nGET /a/{b", "line 2: a `{` in a path has no `}`"),
        ("[read]\nGET /a/{b}{c}", "line 2: the path cannot be used"),
        ("[read]\nGET /a b", "line 2: unknown word after the path"),
        ("[read]\nGET /a sets=thing", "line 2: unknown word after the path"),
        ("[write]\nPOST /a makes=model", "line 2: unknown word after the path"),
        ("[write]\nPOST /a alters=run", "line 2: unknown word after the path"),
        ("[read]\nGET /a body=xml", "line 2: unknown word after the path"),
        ("[read]\nGET /a artifact=path", "line 2: unknown word after the path"),
        ("[read]\nGET /a sets=trace deletes=trace", "line 2: the same word is there twice"),
        ("[read]\nGET /a body=json body=any", "line 2: the same word is there twice"),
        ("[read]\nPOST /a sets=trace body=any", "line 2: tags require a body that is read as JSON"),
        ("[read]\nGET /a ?b=c", "line 2: a parameter with a value needs a class or a reach"),
        ("[read]\nGET /a ?b=c:drect", "line 2: the word for other values of a parameter is neither"),
        ("[read]\nGET /a ?b ?*", "line 2: `?*` passes all parameters"),
        ("[read]\nGET /a artifact={*}", "line 2: artifact={*} requires a path that ends"),
        ("[read]\nGET /a/{b}/{*c} name={*}", "line 2: name={*} requires a path"),
        ("[read]\n\nGET /a/{b}\nGET /a/{c}", "line 4: this method and path is in line 3 already"),
        ("[read]\nGET /api/a\nGET /ajax-api/a", "line 3: this method and path is in line 2 already"),
        ("[read]\nGET /a/{b}\nGET /a/{*c}", "line 2: the path cannot be told apart from that of line 3"),
        (
            "[read]\nGET /api/3.0/mlflow/mcp-servers/{name}",
            "line 2: the path cannot be told apart from /ajax-api/3.0/mlflow/mcp-servers/{*rest}",
        ),
        (
            "[read]\nPOST /gateway/mine/{a}/invocations",
            "line 2: it would answer some requests of /gateway/{endpoint_name}/mlflow/invocations",
        ),
        ("[read]\nGET /api/{*rest} name={*}", "line 2: /api/2.0/mlflow"),
    ] {
        let error = open(text).unwrap_err();
        assert!(error.contains(problem), "{text}: {error}");
    }
}

#[test]
fn a_row_keeps_what_it_does_not_say_of_the_one_whose_place_it_takes() {
    let tags = "PATCH /api/2.0/mlflow/traces/{id}/tags";
    let path = "/api/2.0/mlflow/traces/t-1/tags";
    let kept = found(&format!("[write]\n{tags}"), Method::PATCH, path);
    assert_eq!((kept.class, kept.body, kept.words().as_str()), (RouteClass::Write, Body::Json, "sets=trace"));
    let dropped = found(&format!("[write]\n{tags} tags=none body=any"), Method::PATCH, path);
    assert_eq!(dropped.words(), "");
    // Also where it is narrower.
    let narrower = found("[write]\nPATCH /api/2.0/mlflow/traces/t-1/tags", Method::PATCH, path);
    assert_eq!(narrower.words(), "sets=trace");
    let narrower = found(
        "[write]\nDELETE /api/2.0/mlflow-artifacts/artifacts/models/{*rest}",
        Method::DELETE,
        "/api/2.0/mlflow-artifacts/artifacts/models/a",
    );
    assert_eq!(narrower.words(), "body=json artifact={*}");

    let presigned = "GET /model-versions/get-artifact";
    let kept = open(&format!("[read]\n{presigned}")).unwrap();
    let judged = |table: &RouteTable, query: &str| {
        let rule = table.find(&Method::GET, "/model-versions/get-artifact", Some(query));
        rule.map(|rule| (rule.class, rule.reach))
    };
    assert_eq!(judged(&kept, "name=a&presigned=false"), Ok((RouteClass::Read, Reach::Workspace)));
    assert_eq!(judged(&kept, "presigned=true"), Ok((RouteClass::Read, Reach::PastGateway)));
    assert_eq!(judged(&kept, "other=1"), Err(RouteError::UnknownParameter));
    let dropped = open(&format!("[read]\n{presigned} ?*")).unwrap();
    assert_eq!(judged(&dropped, "presigned=true&other=1"), Ok((RouteClass::Read, Reach::Workspace)));

    let webhooks = "GET /api/2.0/mlflow/webhooks";
    for (section, reach) in [("read", Reach::EveryWorkspace), ("read, workspace", Reach::Workspace)] {
        let rule = found(&format!("[{section}]\n{webhooks}"), Method::GET, "/api/2.0/mlflow/webhooks");
        assert_eq!((rule.class, rule.reach), (RouteClass::Read, reach));
    }
    let stricter =
        found("[admin]\nPOST /api/2.0/mlflow/runs/create", Method::POST, "/api/2.0/mlflow/runs/create");
    assert_eq!(stricter.body, Body::Json);
}

#[test]
fn a_row_of_ones_own_says_what_mlflows_can() {
    let row = "[registry_write, direct]\nPUT /api/3.0/mlflow/plugin/{*name}   ?a ?b=no:admin body=form artifact={*}";
    let table = open(row).unwrap();
    let path = "/ajax-api/3.0/mlflow/plugin/x";
    let rule = table.find(&Method::PUT, path, Some("a=1&b=no")).unwrap();
    assert_eq!(rule.words(), "?a ?b=no:admin body=form artifact={*}");
    assert_eq!((rule.reach, rule.moves_artifacts()), (Reach::PastGateway, true));
    assert_eq!(table.find(&Method::PUT, path, Some("b=yes")).unwrap().class, RouteClass::Admin);
    assert!(table.names().iter().any(|name| name == "/api/3.0/mlflow/plugin/"));
    let rule = found("[read]\nGET /plugin/list artifact=run?file", Method::GET, "/plugin/list");
    assert_eq!(rule.words(), "artifact=run?file");
    let rule = found("[write]\nPOST /plugin/tags creates=model", Method::POST, "/plugin/tags");
    assert_eq!(rule.words(), "creates=model");
    let row = "[write]\nPOST /plugin/runs stamps=run makes=run alters=dataset";
    let rule = found(row, Method::POST, "/plugin/runs");
    assert_eq!(rule.words(), "stamps=run makes=run alters=dataset");
}

#[test]
fn a_row_keeps_the_checks_of_its_path_also_in_another_version_of_the_api() {
    for (row, path, words) in [
        ("POST /api/2.0/mlflow/runs/log-batch", "/api/2.0/mlflow/runs/log-batch", "checks=models"),
        ("POST /api/9.0/mlflow/runs/log-batch", "/ajax-api/9.0/mlflow/runs/log-batch", "checks=models"),
        ("PUT /api/2.0/mlflow/runs/log-metric", "/api/2.0/mlflow/runs/log-metric", "checks=models"),
        (
            "POST /api/9.0/mlflow/runs/log-batch checks=source",
            "/api/9.0/mlflow/runs/log-batch",
            "checks=source",
        ),
        ("GET /api/9.0/mlflow/server-info", "/api/9.0/mlflow/server-info", "answer=server_info"),
        ("POST /api/9.0/mlflow/runs/log-text", "/api/9.0/mlflow/runs/log-text", ""),
    ] {
        let method = row.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(found(&format!("[write]\n{row}"), method, path).words(), words, "{row}");
    }
}

/// What it names is the whole path behind the store, or a part of a name would be judged as a name of its own.
#[test]
fn a_narrower_row_below_the_store_names_the_same_artifacts() {
    let named = |row: &str, path: &str| {
        let table = open(row).unwrap();
        let rule = table.find(&Method::DELETE, path, None).unwrap();
        let named = crate::routing::artifact::named(rule, false, path, None)
            .map(|path| path.unwrap().as_str().to_owned());
        named.collect::<Vec<_>>()
    };
    let store = "/api/2.0/mlflow-artifacts";
    for (row, path, expected) in [
        ("artifacts/workspaces/{*rest}", "artifacts/workspaces/team-b/1", &["workspaces/team-b/1"][..]),
        (
            "artifacts/workspaces/{*rest} artifact={*}",
            "artifacts/workspaces/team-b/1",
            &["workspaces/team-b/1"],
        ),
        ("artifacts/workspaces", "artifacts/workspaces", &["workspaces"]),
        ("artifacts/{*all}", "artifacts/a/b", &["a/b"]),
        ("artifacts/a/{*rest} artifact=none", "artifacts/a/b", &[]),
        // Below the store a row says nothing of artifacts, and they are judged all the same.
        ("zip/{*what}", "zip/a/b", &["a/b"]),
        ("zip/{kind}/{*what}", "zip/x/a/b", &["a/b"]),
        ("zip/{*what} artifact=none", "zip/a/b", &[]),
    ] {
        let row = format!("[delete]\nDELETE {store}/{row}");
        assert_eq!(named(&row, &format!("{store}/{path}")), expected, "{row}");
    }
}
