//! Where a person wanted to go before logging in: a path of ours, and nothing else.

use std::sync::LazyLock;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// Where people go who had no aim: MLflow's pages.
const HOME: &str = "/mlflow/";
/// Bytes of a place in a page.
const LONGEST_PLACE: usize = 1024;
/// What needs no encoding in the value of a query.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');

static ANYWHERE: LazyLock<Option<Url>> = LazyLock::new(|| Url::parse("http://gateway.invalid/").ok());

/// A path and query of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination(String);

impl Destination {
    /// Reads it as a browser would; anything that would lead elsewhere is [`HOME`].
    pub(crate) fn of(next: &str) -> Self {
        Self(own_path(next).unwrap_or_else(|| HOME.to_owned()))
    }

    /// One that was sealed, with its place.
    pub(crate) fn as_sealed(next: &str) -> Self {
        let (path, place) = next.split_at(next.find('#').unwrap_or(next.len()));
        Self::of(path).at(place)
    }

    /// With the place in a page of MLflow's (`#/experiments/1`), which only the browser knows.
    pub(crate) fn at(mut self, place: &str) -> Self {
        let is_plain = place.bytes().all(|byte| byte.is_ascii_graphic());
        if place.starts_with('#') && place.len() <= LONGEST_PLACE && is_plain {
            self.0.push_str(place);
        }
        self
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The login page that leads to it.
    pub(crate) fn login(&self) -> String {
        format!("/login?next={}", utf8_percent_encode(&self.0, IN_QUERY))
    }
}

fn own_path(next: &str) -> Option<String> {
    let base = ANYWHERE.as_ref()?;
    let url = base.join(next).ok().filter(|_| next.starts_with('/'))?;
    // `//host` and `/\host` name another server; and so may a path that begins with two slashes once it is resolved.
    let is_ours = url.origin() == base.origin() && !url.path().starts_with("//");
    let leads_in_circles = ["/login", "/logout"].contains(&url.path()) || url.path().starts_with("/login/");
    (is_ours && !leads_in_circles)
        .then(|| url[url::Position::BeforePath..url::Position::AfterQuery].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_goes_to_paths_of_ours_alone() {
        for (next, to) in [
            ("/mlflow/", "/mlflow/"),
            ("/account", "/account"),
            ("/mlflow/get-artifact?path=a&run_uuid=b", "/mlflow/get-artifact?path=a&run_uuid=b"),
            ("/mlflow/?a=%2F%2Fb#c", "/mlflow/?a=%2F%2Fb"),
            ("/mlflow/../account", "/account"),
            ("", HOME),
            ("mlflow/", HOME),
            ("//evil.example/", HOME),
            ("///evil.example/", HOME),
            ("/\\evil.example/", HOME),
            ("\\\\evil.example/", HOME),
            ("/..//evil.example/", HOME),
            ("/%2e%2e//evil.example/", HOME),
            ("/.//evil.example/", HOME),
            ("/\t/evil.example/", HOME),
            ("/\n/evil.example/", HOME),
            (" //evil.example/", HOME),
            ("https://evil.example/", HOME),
            ("https:evil.example", HOME),
            ("javascript:alert(1)", HOME),
            ("data:text/html,x", HOME),
            ("/login?next=/login", HOME),
            ("/logout", HOME),
            ("/login/callback?code=a&state=b", HOME),
            ("/login/1", HOME),
        ] {
            assert_eq!(Destination::of(next).as_str(), to, "{next:?}");
        }
    }

    #[test]
    fn a_place_in_a_page_is_a_fragment_and_nothing_else() {
        let long = format!("#{}", "a".repeat(LONGEST_PLACE));
        for (place, to) in [
            ("#/experiments/1?a=b", "/mlflow/#/experiments/1?a=b"),
            ("", "/mlflow/"),
            ("//evil.example/", "/mlflow/"),
            ("#a b", "/mlflow/"),
            ("#\r\nset-cookie: a", "/mlflow/"),
            ("#\u{e9}", "/mlflow/"),
            (&long, "/mlflow/"),
        ] {
            assert_eq!(Destination::of("/mlflow/").at(place).as_str(), to, "{place}");
        }
    }

    #[test]
    fn a_line_end_reaches_no_header() {
        let aim = Destination::of("/mlflow/?a=\r\nset-cookie: b");
        assert!(!aim.as_str().contains(['\r', '\n']), "{aim:?}");
    }

    #[test]
    fn the_login_page_knows_the_way() {
        assert_eq!(Destination::of("/mlflow/?a=b&c").login(), "/login?next=/mlflow/%3Fa%3Db%26c");
    }
}
