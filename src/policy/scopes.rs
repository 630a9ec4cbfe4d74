//! The route classes of each scope.

use crate::{
    settings::{Policy, Promotion, Scope},
    vocabulary::RouteClass,
};

/// A set of route classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Classes(u16);

impl Classes {
    fn of(classes: &[RouteClass]) -> Self {
        Self(classes.iter().fold(0, |set, class| set | 1 << *class as u16))
    }

    pub(super) fn contains(self, class: RouteClass) -> bool {
        self.0 & 1 << class as u16 != 0
    }

    fn and(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }
}

pub(super) fn allowed_by(scope: Scope, promotion: Promotion) -> Classes {
    use RouteClass as Class;
    let classes = Classes::of(match scope {
        Scope::Read => &[Class::Read, Class::ArtifactRead, Class::Ui],
        Scope::Write => &[Class::Write, Class::RegistryWrite, Class::ArtifactWrite, Class::TraceWrite],
        Scope::Delete => &[Class::Delete],
        Scope::Admin => &Class::ALL,
        Scope::RegistryWrite => &[Class::RegistryWrite],
        Scope::Promote => &[Class::RegistryPromote],
        Scope::ArtifactRead => &[Class::ArtifactRead],
        Scope::ArtifactWrite => &[Class::ArtifactWrite],
        Scope::TraceWrite => &[Class::TraceWrite],
        Scope::GatewayInvoke => &[Class::GatewayInvoke],
        Scope::Ui => &[Class::Ui],
    });
    match (scope, promotion) {
        (Scope::Write, Promotion::Write) => classes.and(Classes::of(&[Class::RegistryPromote])),
        _ => classes,
    }
}

/// The scopes that allow a class, the narrowest first.
pub fn that_allow(class: RouteClass, promotion: Promotion) -> Vec<Scope> {
    let allowed = |scope: &Scope| allowed_by(*scope, promotion);
    let mut scopes: Vec<Scope> =
        Scope::ALL.into_iter().filter(|scope| allowed(scope).contains(class)).collect();
    scopes.sort_by_key(|scope| allowed(scope).0.count_ones());
    scopes
}

/// The classes that a key with these scopes may use. Unknown scopes allow nothing.
pub(super) fn allowed_to(scopes: Option<&[String]>, policy: &Policy) -> Classes {
    let one = |scope| allowed_by(scope, policy.promotion);
    let all =
        |scopes: &[Scope]| scopes.iter().fold(Classes::default(), |classes, scope| classes.and(one(*scope)));
    let Some(scopes) = scopes else { return all(&policy.default_scopes) };
    scopes.iter().fold(Classes::default(), |classes, word| {
        // An alias comes first, so that an operator can narrow a word.
        let meant = match policy.aliases.get(word) {
            Some(scopes) => all(scopes),
            None => Scope::from_word(word).map(one).unwrap_or_default(),
        };
        classes.and(meant)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn policy(settings: &[(&str, &str)]) -> Policy {
        let mlflow = ("HOKUSAI__MLFLOW__URL", "http://mlflow");
        let pairs = settings.iter().copied().chain([mlflow]);
        Settings::load(None, pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap().policy
    }

    /// The words of the classes that a key with these scopes has.
    fn allowed(scopes: Option<&[&str]>, policy: &Policy) -> Vec<&'static str> {
        let scopes: Option<Vec<String>> =
            scopes.map(|scopes| scopes.iter().map(|&word| word.to_owned()).collect());
        let classes = allowed_to(scopes.as_deref(), policy);
        RouteClass::ALL.into_iter().filter(|class| classes.contains(*class)).map(RouteClass::word).collect()
    }

    #[test]
    fn each_scope_allows_what_the_documentation_says() {
        let policy = policy(&[]);
        let all = RouteClass::ALL.map(RouteClass::word);
        for (scope, classes) in [
            ("mlflow:read", &["read", "artifact_read", "ui"][..]),
            (
                "mlflow:write",
                &["write", "registry_write", "registry_promote", "artifact_write", "trace_write"],
            ),
            ("mlflow:delete", &["delete"]),
            ("mlflow:admin", &all),
            ("mlflow:registry_write", &["registry_write"]),
            ("mlflow:promote", &["registry_promote"]),
            ("mlflow:artifact_read", &["artifact_read"]),
            ("mlflow:artifact_write", &["artifact_write"]),
            ("mlflow:trace_write", &["trace_write"]),
            ("mlflow:gateway_invoke", &["gateway_invoke"]),
            ("mlflow:ui", &["ui"]),
            ("admin", &all),
            ("MLFLOW:READ", &[]),
            ("mlflow:*", &[]),
            ("", &[]),
        ] {
            assert_eq!(allowed(Some(&[scope]), &policy), classes, "{scope}");
        }
    }

    #[test]
    fn where_promotion_is_separate_only_its_own_scope_and_an_administrators_include_it() {
        let separate = policy(&[("HOKUSAI__POLICY__PROMOTION", "separate")]);
        for scope in Scope::ALL {
            let before = allowed(Some(&[scope.word()]), &policy(&[]));
            let mut expected = before.clone();
            expected.retain(|class| *class != "registry_promote" || scope != Scope::Write);
            assert_eq!(allowed(Some(&[scope.word()]), &separate), expected, "{}", scope.word());
            assert_eq!(expected != before, scope == Scope::Write, "{}", scope.word());
        }
        for held in [None, Some(&["full_access"][..]), Some(&["model:write"])] {
            assert!(!allowed(held, &separate).contains(&"registry_promote"), "{held:?}");
        }
    }

    #[test]
    fn scopes_add_up() {
        let both = allowed(Some(&["mlflow:ui", "unknown", "mlflow:delete"]), &policy(&[]));
        assert_eq!(both, ["delete", "ui"]);
    }

    #[test]
    fn a_key_without_scopes_has_the_default_ones_and_an_empty_list_has_none() {
        let by_default = [
            "read",
            "write",
            "registry_write",
            "registry_promote",
            "artifact_read",
            "artifact_write",
            "trace_write",
            "ui",
        ];
        assert_eq!(allowed(None, &policy(&[])), by_default);
        assert_eq!(allowed(Some(&[]), &policy(&[])), [""; 0]);
        assert_eq!(allowed(None, &policy(&[("HOKUSAI__POLICY__DEFAULT_SCOPES", "mlflow:ui")])), ["ui"]);
    }

    #[test]
    fn an_alias_may_be_made_and_narrowed() {
        let mut policy = policy(&[("HOKUSAI__POLICY__ALIASES__ADMIN", "mlflow:ui,mlflow:delete")]);
        assert_eq!(allowed(Some(&["admin"]), &policy), ["delete", "ui"]);
        policy.aliases.insert("mlflow:write".to_owned(), vec![Scope::TraceWrite]);
        assert_eq!(allowed(Some(&["mlflow:write"]), &policy), ["trace_write"]);
    }

    #[test]
    fn the_scopes_of_a_class_are_told_narrowest_first() {
        use Promotion::{Separate, Write};
        for (class, promotion, expected) in [
            (
                RouteClass::RegistryWrite,
                Write,
                &["mlflow:registry_write", "mlflow:write", "mlflow:admin"][..],
            ),
            (RouteClass::RegistryPromote, Write, &["mlflow:promote", "mlflow:write", "mlflow:admin"]),
            (RouteClass::RegistryPromote, Separate, &["mlflow:promote", "mlflow:admin"]),
            (RouteClass::Admin, Write, &["mlflow:admin"]),
        ] {
            let words: Vec<_> = that_allow(class, promotion).into_iter().map(Scope::word).collect();
            assert_eq!(words, expected, "{class:?} {promotion:?}");
        }
    }
}
