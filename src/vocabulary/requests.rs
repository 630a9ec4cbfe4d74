//! What a request asks for: its route's class and its method.

use actix_web::http::Method;
use serde::{Serialize, Serializer};

words! {
    /// The classes of MLflow's routes, by which scopes, limits and metrics tell them apart.
    pub enum RouteClass {
        Read = "read",
        Write = "write",
        Delete = "delete",
        RegistryWrite = "registry_write",
        RegistryPromote = "registry_promote",
        ArtifactRead = "artifact_read",
        ArtifactWrite = "artifact_write",
        TraceWrite = "trace_write",
        GatewayInvoke = "gateway_invoke",
        Ui = "ui",
        Admin = "admin",
    }
}

impl RouteClass {
    /// Whether its bodies are artifacts.
    pub const fn moves_artifacts(self) -> bool {
        matches!(self, Self::ArtifactRead | Self::ArtifactWrite)
    }

    /// Whether nothing is different at MLflow afterwards.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::ArtifactRead | Self::Ui)
    }
}

/// The `route` of lines, metrics and records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteLabel {
    Class(RouteClass),
    /// The gateway answers it by itself, without a key.
    Open,
    /// No route was found.
    Unknown,
}

impl RouteLabel {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Class(class) => class.word(),
            Self::Open => "open",
            Self::Unknown => "unknown",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Open, Self::Unknown]
            .into_iter()
            .find(|label| label.word() == word)
            .or_else(|| RouteClass::from_word(word).map(Self::Class))
    }

    pub const fn is_read(self) -> bool {
        match self {
            Self::Class(class) => class.is_read(),
            Self::Open => true,
            Self::Unknown => false,
        }
    }
}

impl From<RouteClass> for RouteLabel {
    fn from(class: RouteClass) -> Self {
        Self::Class(class)
    }
}

impl Serialize for RouteLabel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

words! {
    /// The `method` of metrics, spans and records: one label for all methods that MLflow does not use.
    pub enum MethodLabel {
        Get = "GET",
        Head = "HEAD",
        Post = "POST",
        Put = "PUT",
        Patch = "PATCH",
        Delete = "DELETE",
        Options = "OPTIONS",
        Other = "other",
    }
}

impl From<&Method> for MethodLabel {
    fn from(method: &Method) -> Self {
        Self::from_word(method.as_str()).unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_found_by_its_word() {
        let classes = RouteClass::ALL.map(RouteLabel::Class);
        for label in classes.into_iter().chain([RouteLabel::Open, RouteLabel::Unknown]) {
            assert_eq!(RouteLabel::from_word(label.word()), Some(label));
        }
        assert_eq!(RouteLabel::from_word("nothing"), None);
    }

    #[test]
    fn a_method_that_mlflow_does_not_use_has_the_label_of_all_others() {
        for label in MethodLabel::ALL {
            let method = Method::from_bytes(label.word().as_bytes()).unwrap();
            assert_eq!(MethodLabel::from(&method), label);
        }
        assert_eq!(MethodLabel::from(&Method::TRACE), MethodLabel::Other);
    }
}
