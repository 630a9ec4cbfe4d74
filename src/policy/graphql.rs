//! The type of the operation that a GraphQL document would run.

use apollo_parser::{
    Parser,
    cst::{Definition, OperationDefinition},
};

/// Far more than MLflow's UI sends or MLflow accepts (mlflow/server/graphql/graphql_no_batching.py).
const MAX_TOKENS: usize = 10_000;
const MAX_DEPTH: usize = 100;

/// Whether the operation is a query: the one with this name, else the only one (GraphQL §6.1, `GetOperation`).
///
/// # Errors
/// No operation would run, or it is unclear which; the end of a sentence that begins with "the GraphQL document".
pub(super) fn only_reads(document: &str, operation_name: Option<&str>) -> Result<bool, &'static str> {
    let tree = Parser::new(document).recursion_limit(MAX_DEPTH).token_limit(MAX_TOKENS).parse();
    if tree.errors().next().is_some() {
        return Err("cannot be parsed");
    }
    let operations = tree.document().definitions().filter_map(|definition| match definition {
        Definition::OperationDefinition(operation) => Some(operation),
        _ => None,
    });
    let mut candidates = operations.filter(|operation| {
        operation_name.is_none_or(|wanted| operation.name().is_some_and(|name| name.text() == wanted))
    });
    match (candidates.next(), candidates.next()) {
        (Some(operation), None) => Ok(is_query(&operation)),
        (None, _) => Err("does not have the operation that is asked for"),
        (Some(_), Some(_)) => Err("has more than one operation that could be meant"),
    }
}

/// An operation without a type is a query (GraphQL §2.3).
fn is_query(operation: &OperationDefinition) -> bool {
    operation.operation_type().is_none_or(|kind| kind.query_token().is_some())
}

#[cfg(test)]
mod tests {
    use super::only_reads;

    #[test]
    fn an_operation_is_told_by_its_own_word() {
        for (document, name, reads) in [
            ("{ a }", None, true),
            ("query { a }", None, true),
            ("query A { a }", Some("A"), true),
            ("mutation { a }", None, false),
            ("subscription { a }", None, false),
            ("query A { a } mutation B { b }", Some("A"), true),
            ("query A { a } mutation B { b }", Some("B"), false),
            ("query mutation { mutation(query: \"mutation { a }\") }", None, true),
            ("mutation query { query }", None, false),
            ("fragment F on T { a } mutation { ...F }", None, false),
            ("# mutation { a }\nquery { a }", None, true),
            ("# query { a }\rmutation { a }", None, false),
            ("# \u{2028} mutation { a }\n{ a }", None, true),
            ("{ a(b: \"\"\" mutation \\\"\"\" { \"\"\") }", None, true),
            ("\u{feff}mutation { a }", None, false),
            (",,mutation,{a}", None, false),
        ] {
            assert_eq!(only_reads(document, name), Ok(reads), "{document:?}");
        }
    }

    #[test]
    fn a_document_in_which_nobody_can_tell_is_refused() {
        for (document, name) in [
            ("", None),
            ("{ a", None),
            ("query { a } }", None),
            ("{ a } { b }", None),
            ("query A { a } mutation B { b }", None),
            ("query A { a } mutation A { b }", Some("A")),
            ("query A { a }", Some("B")),
            ("query { a }", Some("")),
            ("fragment F on T { a }", None),
            ("mutation { a(b: \") }", None),
            (&"{a".repeat(10_000), None),
            (&format!("{{{}}}", "a ".repeat(20_000)), None),
        ] {
            assert!(only_reads(document, name).is_err(), "{:?}", &document[..document.len().min(60)]);
        }
    }
}
