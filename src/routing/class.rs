//! What kind of thing a route does: what scopes, limits and metrics tell routes apart by.

/// The classes of [MLflow's routes](super::table); their words are those of the table, of scopes and of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteClass {
    Read,
    Write,
    Delete,
    RegistryWrite,
    ArtifactRead,
    ArtifactWrite,
    TraceWrite,
    GatewayInvoke,
    Ui,
    Admin,
}

impl RouteClass {
    pub const ALL: [Self; 10] = [
        Self::Read,
        Self::Write,
        Self::Delete,
        Self::RegistryWrite,
        Self::ArtifactRead,
        Self::ArtifactWrite,
        Self::TraceWrite,
        Self::GatewayInvoke,
        Self::Ui,
        Self::Admin,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::RegistryWrite => "registry_write",
            Self::ArtifactRead => "artifact_read",
            Self::ArtifactWrite => "artifact_write",
            Self::TraceWrite => "trace_write",
            Self::GatewayInvoke => "gateway_invoke",
            Self::Ui => "ui",
            Self::Admin => "admin",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.word() == word)
    }

    /// Whether its bodies are artifacts.
    pub const fn moves_artifacts(self) -> bool {
        matches!(self, Self::ArtifactRead | Self::ArtifactWrite)
    }

    /// Whether nothing is different at MLflow afterwards.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::ArtifactRead | Self::Ui)
    }
}
