//! The forms of `redis.url`: one server, Sentinel, or a cluster; each with or without TLS.

/// A parsed Redis URL. It has no Debug, because it holds a password.
pub(crate) struct RedisUrl<'a> {
    pub(crate) kind: RedisKind<'a>,
    pub(crate) tls: bool,
    /// `user:password`, percent-encoded as in the URL.
    pub(crate) userinfo: Option<&'a str>,
    /// `host:port`, with the default port if there was none.
    pub(crate) nodes: Vec<String>,
    pub(crate) database: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RedisKind<'a> {
    Single,
    /// The name of the master that the Sentinels watch.
    Sentinel(&'a str),
    Cluster,
}

/// The forms, for messages.
pub(super) const FORMS: &str = "redis://[user[:password]@]host[:port][/database], redis+sentinel://…host,host/master[/database] \
                                or redis+cluster://…host,host, each also with rediss";

impl<'a> RedisUrl<'a> {
    /// `None` if it has none of the forms.
    pub(crate) fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (scheme, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return None,
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        let (kind, database, port) = match kind {
            "" => (RedisKind::Single, path, 6379),
            "cluster" if path.is_empty() => (RedisKind::Cluster, path, 6379),
            "sentinel" => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                (RedisKind::Sentinel(Some(master).filter(|master| !master.is_empty())?), database, 26379)
            }
            _ => return None,
        };
        let nodes: Vec<String> = hosts.split(',').map(|host| with_port(host, port)).collect::<Option<_>>()?;
        let usable = (kind != RedisKind::Single || nodes.len() == 1)
            && database.bytes().all(|byte| byte.is_ascii_digit());
        usable.then_some(Self { kind, tls, userinfo, nodes, database })
    }

    /// The URL of a node for the Redis client.
    pub(crate) fn node(&self, node: &str, with_userinfo: bool) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let userinfo =
            self.userinfo.filter(|_| with_userinfo).map_or_else(String::new, |info| format!("{info}@"));
        let database = if self.kind == RedisKind::Single { self.database } else { "" };
        format!("{scheme}://{userinfo}{node}/{database}")
    }
}

fn with_port(host: &str, port: u16) -> Option<String> {
    // The colons of an IPv6 address stand before its bracket.
    let after_address = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
    match after_address.rsplit_once(':') {
        _ if host.is_empty() || host.starts_with(':') => None,
        Some((_, given)) => given.parse::<u16>().is_ok().then(|| host.to_owned()),
        None => Some(format!("{host}:{port}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Option<(RedisKind<'_>, bool, Vec<String>, &str)> {
        RedisUrl::parse(url).map(|url| (url.kind, url.tls, url.nodes, url.database))
    }

    #[test]
    fn each_form_is_understood() {
        let nodes = |nodes: &[&str]| nodes.iter().map(|node| (*node).to_owned()).collect::<Vec<_>>();
        for (url, kind, tls, hosts, database) in [
            ("redis://cache", RedisKind::Single, false, &["cache:6379"][..], ""),
            ("rediss://user:p%40ss@cache:7000/2", RedisKind::Single, true, &["cache:7000"], "2"),
            ("redis://[::1]", RedisKind::Single, false, &["[::1]:6379"], ""),
            ("redis://[::1]:7000", RedisKind::Single, false, &["[::1]:7000"], ""),
            (
                "redis+sentinel://a,b:5000/main",
                RedisKind::Sentinel("main"),
                false,
                &["a:26379", "b:5000"],
                "",
            ),
            ("rediss+sentinel://:pw@a/main/3", RedisKind::Sentinel("main"), true, &["a:26379"], "3"),
            ("redis+cluster://a,b,c:7002", RedisKind::Cluster, false, &["a:6379", "b:6379", "c:7002"], ""),
        ] {
            assert_eq!(parsed(url), Some((kind, tls, nodes(hosts), database)), "{url}");
        }
    }

    #[test]
    fn what_has_none_of_the_forms_is_refused() {
        for url in [
            "cache:6379",
            "http://cache",
            "redis://",
            "redis://:6379",
            "redis://a,b",
            "redis://a:port",
            "redis://a/db",
            "redis+sentinel://a",
            "redis+sentinel://a/",
            "redis+cluster://a/0",
            "redis+other://a",
        ] {
            assert!(RedisUrl::parse(url).is_none(), "{url}");
        }
    }

    #[test]
    fn a_node_carries_what_it_needs() {
        let single = RedisUrl::parse("rediss://user:pw@cache/2").unwrap();
        assert_eq!(single.node(&single.nodes[0], true), "rediss://user:pw@cache:6379/2");
        let sentinel = RedisUrl::parse("redis+sentinel://user:pw@a/main/2").unwrap();
        assert_eq!(sentinel.node(&sentinel.nodes[0], false), "redis://a:26379/");
    }
}
