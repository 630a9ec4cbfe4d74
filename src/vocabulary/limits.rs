//! The limits of a key.

words! {
    /// The `limit` of metrics.
    pub enum LimitLabel {
        /// Requests in an hour, of reads or of changes.
        Requests = "requests",
        /// New experiments, runs and models in an hour.
        Creates = "creates",
        /// Requests at once.
        Concurrent = "concurrent",
        /// Transfers of artifacts at once.
        ConcurrentArtifacts = "concurrent_artifacts",
        /// Bytes of artifacts in an hour.
        ArtifactBytes = "artifact_bytes",
    }
}
