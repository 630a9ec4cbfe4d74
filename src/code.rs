//! The stable codes of messages for operators: of `check`, `doctor`, `/ready`, `/health/mlflow` and the log.
//!
//! One code for each cause that has one fix, and not for each sentence. The letter is whom it concerns: `S` settings, `F`
//! files on disk, `M` MLflow, `A` the auth service, `R` Redis, `K` keys, `T` TLS and certificates, `E` the edge (load
//! balancer, DNS, what is seen from outside), `P` the process, `U` audit and usage, `L` logs and telemetry.
//!
//! Runbooks and alarms name them: a code is never renumbered, and one that nothing says any more is not used again. New ones
//! stand at the end of their letter. docs/TROUBLESHOOTING.md explains each (tests/api/codes.rs).

use std::fmt;

/// Where codes are explained.
pub const EXPLAINED_IN: &str = "docs/TROUBLESHOOTING.md#codes";

macro_rules! codes {
    ($($name:ident $text:literal $title:literal;)+) => {
        /// A cause that a message has.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)+
        }

        impl Code {
            /// Every code, by letter and number.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as it is written: `HG-M07`.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// The cause in a few words, as docs/TROUBLESHOOTING.md has it.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)+
                }
            }
        }
    };
}

codes! {
    UnknownSetting "HG-S01" "an unknown setting";
    MissingSetting "HG-S02" "a required setting is missing";
    InvalidValue "HG-S03" "an invalid value";
    ConflictingSettings "HG-S04" "settings that conflict";
    UnreadableSettings "HG-S05" "settings that cannot be parsed";
    DuplicateSetting "HG-S06" "a setting that is set twice";
    PlaintextCredentials "HG-S07" "credentials are sent in plaintext";
    Unprotected "HG-S08" "a protection that is disabled, or open to everybody";
    MismatchedPeriods "HG-S09" "timeouts that do not fit each other";
    NoEffect "HG-S10" "a setting that has no effect";
    PepperNotShared "HG-S11" "instances that do not share the pepper";
    InvalidRoutesFile "HG-S12" "an invalid file of routes";
    LooserRoute "HG-S13" "a route with weaker checks than the gateway's own table";
    RenamedSetting "HG-S14" "a setting under an earlier name";

    UnreadableFile "HG-F01" "a file that cannot be read";
    UntrustedFile "HG-F02" "a file that others may write or replace";
    ExposedSecret "HG-F03" "a secret that others can read";
    MissingDirectory "HG-F04" "a directory that does not exist";

    MlflowNameUnknown "HG-M01" "the host name of MLflow does not resolve";
    MlflowUnreachable "HG-M02" "cannot connect to MLflow";
    MlflowSilent "HG-M03" "MLflow accepts connections and does not answer";
    MlflowError "HG-M04" "MLflow answers with an error";
    HostRefused "HG-M05" "MLflow rejects the Host header";
    MlflowRequiresCredentials "HG-M06" "MLflow requires credentials of its own";
    ApiNotFound "HG-M07" "MLflow's API is not found at this address";
    MlflowRedirects "HG-M08" "MLflow's address redirects";
    Loop "HG-M09" "a forwarding loop: MLflow's address leads back to a gateway";
    MlflowSlow "HG-M10" "MLflow does not answer in time";
    ArtifactsUnavailable "HG-M11" "MLflow does not serve artifacts";
    DirectArtifacts "HG-M12" "MLflow sends clients past the gateway for artifacts";
    MlflowEjected "HG-M13" "an MLflow server is ejected, and gets no requests";
    NotProbedYet "HG-M14" "MLflow has not been probed yet";
    MlflowProtocol "HG-M15" "MLflow breaks off, or sends a response that is not valid HTTP";
    MlflowBusy "HG-M16" "too many concurrent requests to MLflow";
    MlflowInconsistent "HG-M17" "MLflow does not return what was written";
    StoreRejectsWrites "HG-M18" "MLflow's artifact store rejects writes";
    StoreFails "HG-M19" "MLflow's artifact store fails to read or to delete";
    MlflowProxyBodyLimit "HG-M20" "a proxy in front of MLflow limits the size of bodies";
    OwnersUnknown "HG-M21" "MLflow does not say whose things are";

    AuthNameUnknown "HG-A01" "the host name of the auth service does not resolve";
    AuthUnreachable "HG-A02" "cannot connect to the auth service";
    AuthServiceFailing "HG-A03" "the auth service fails, or does not answer in time";
    ServiceIdMismatch "HG-A04" "the auth service has keys under another service id";
    AuthRedirects "HG-A05" "the auth service's address redirects";
    BareRefusals "HG-A06" "the auth service refuses keys without a reason";
    NotAuthService "HG-A07" "another server answers in the auth service's place";
    AuthAcceptsAnything "HG-A08" "the auth service accepts an invalid key";
    AuthBusy "HG-A09" "too many concurrent calls to the auth service";
    IssuerUnreachable "HG-A10" "the keys of an issuer cannot be read";
    IssuerMismatch "HG-A11" "an issuer has another name than auth.issuers says";
    IssuerWithoutKeys "HG-A12" "an issuer publishes no usable keys";

    RedisNameUnknown "HG-R01" "the host name of Redis does not resolve";
    RedisUnreachable "HG-R02" "cannot connect to Redis";
    RedisSlow "HG-R03" "Redis is too slow";
    RedisPassword "HG-R04" "Redis refuses the password, or requires one";
    RedisAcl "HG-R05" "Redis's ACL denies a command or a key";
    RedisReplica "HG-R06" "Redis is a replica";
    RedisFull "HG-R07" "Redis is out of memory";
    SentinelMaster "HG-R08" "Sentinel does not know the master";
    RedisKind "HG-R09" "not Redis, or another kind of Redis";
    RevocationsNotReceived "HG-R10" "revocations of other instances are not received";
    RevocationNotPublished "HG-R11" "a revocation did not reach the other instances";
    RedisRejectsWrites "HG-R12" "Redis rejects writes for now";

    KeyRejected "HG-K01" "an invalid API key";
    PermissionDenied "HG-K02" "an API key without the permission";
    RateLimited "HG-K03" "an API key has reached its limit";
    InvalidKeyFile "HG-K04" "an invalid key file";
    NoActiveKey "HG-K05" "no key is active";
    KeyFileNotReloaded "HG-K06" "key file reload failed; keeping the previous keys";
    UnknownScope "HG-K07" "a key with an unknown scope";
    LastUsedNotSaved "HG-K08" "the last use of keys cannot be saved";
    SessionsNotShared "HG-K09" "people who log in at one instance are not logged in at the others";

    CertificateExpired "HG-T01" "a certificate has expired";
    CertificateNotYetValid "HG-T02" "a certificate is not valid yet";
    CertificateNameMismatch "HG-T03" "a certificate is for another host name";
    UnknownIssuer "HG-T04" "a certificate is not signed by a trusted CA";
    InvalidCertificate "HG-T05" "a certificate that is not a server's";
    NoTls "HG-T06" "the server does not speak TLS";
    TlsExpected "HG-T07" "the server expects TLS";
    ClientCertificateRequired "HG-T08" "a server requires a client certificate";
    InvalidPem "HG-T09" "an invalid certificate or key file (PEM)";
    CertificateNotReloaded "HG-T10" "certificate reload failed; keeping the previous one";
    NoRootCertificates "HG-T11" "this machine has no CA certificates";
    KeyMismatch "HG-T12" "a certificate and a private key that do not match";
    CertificateExpiresSoon "HG-T13" "a certificate of the settings expires soon";
    ClientCertificateRejected "HG-T14" "a server rejects the client certificate";
    OldTls "HG-T15" "a server that supports only old versions of TLS";
    NoCommonCipher "HG-T16" "no common cipher suite with a server";

    GatewayNameUnknown "HG-E01" "the gateway's public host name does not resolve";
    GatewayUnreachable "HG-E02" "cannot connect to the gateway's public address";
    GatewaySilent "HG-E03" "the gateway's public address does not answer";
    NotTheGateway "HG-E04" "another server answers in the gateway's place";
    GatewayBypass "HG-E05" "MLflow can be reached past the gateway";
    CredentialsChanged "HG-E06" "a proxy on the way changes credentials";
    RequestsChanged "HG-E07" "a proxy on the way changes requests";
    PublicAddressRedirects "HG-E08" "the public address redirects";
    ProxyBodyLimit "HG-E09" "a proxy on the way limits the size of bodies";
    NoHealthyGateway "HG-E10" "the load balancer has no healthy gateway";
    PlainHttp "HG-E11" "the public address accepts keys over plain HTTP";
    VersionMismatch "HG-E12" "another commit is running than is expected";
    MetricsPublic "HG-E13" "the metrics are public";
    BodiesChanged "HG-E14" "a proxy on the way changes bodies, or answers by itself";
    SlowConnection "HG-E15" "the connection is too slow for artifacts";
    RateLimitHeadersMissing "HG-E16" "the rate limit headers are missing";
    ProxyBuffering "HG-E17" "a proxy on the way buffers bodies";
    NotCleanedUp "HG-E18" "doctor could not delete what it created";
    ShadowedPath "HG-E19" "a rule of the load balancer shadows a path of the gateway";
    BodyTooLarge "HG-E20" "an upload is larger than the gateway accepts";
    UntrustedProxy "HG-E21" "the load balancer is not a trusted proxy: its address counts as the client's";
    OwnPageRefused "HG-E22" "MLflow's page is refused at the public address";

    CannotListen "HG-P01" "cannot listen on an address";
    OpenFileLimit "HG-P02" "the limit of open files is too low";
    ActorDied "HG-P03" "a part of the gateway has died";
    Draining "HG-P04" "the gateway is shutting down";
    Defect "HG-P05" "a defect of the gateway";
    GatewayEnded "HG-P06" "the gateway has stopped after an error";
    SettingsNotReloaded "HG-P07" "settings reload failed; keeping the previous ones";
    RestartNeeded "HG-P08" "changed settings need a restart";
    PortForbidden "HG-P09" "no permission for a port";
    AddressNotAvailable "HG-P10" "an address that this machine does not have";
    TransfersAborted "HG-P11" "transfers were aborted at the shutdown";
    ClockSkew "HG-P12" "the clocks of two machines differ";

    AuditFailing "HG-U01" "audit records cannot be written";
    AuditNotRotated "HG-U02" "the audit file cannot be rotated";
    AuditCutShort "HG-U03" "the last audit records were not written";
    AuditOff "HG-U04" "the audit stream is off";
    UsageUnreported "HG-U05" "usage was not reported";
    UsageInSingles "HG-U06" "the auth service takes no usage in batches";
    UsageSpoolFailing "HG-U07" "the usage spool cannot be written";
    UsageSpoolDamaged "HG-U08" "a file of the usage spool cannot be used";

    CollectorNameUnknown "HG-L01" "the host name of the trace collector does not resolve";
    CollectorUnreachable "HG-L02" "cannot connect to the trace collector";
    SpansRefused "HG-L03" "the trace collector rejects spans";
    LogFilterNotSet "HG-L04" "the log, or its filter, cannot be set up";
}

impl Code {
    /// The code that somebody else's message has, as an older or newer gateway's answer.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|code| code.text() == text).copied()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}
