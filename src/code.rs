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
    UnknownSetting "HG-S01" "a setting that there is not";
    MissingSetting "HG-S02" "a setting that is required, and not set";
    BadValue "HG-S03" "a value that cannot be used";
    ContradictingSettings "HG-S04" "settings that contradict each other";
    UnreadableSettings "HG-S05" "settings that cannot be read at all";
    SetTwice "HG-S06" "a setting that is set in two places";
    CredentialsInTheClear "HG-S07" "keys or passwords travel in the clear";
    Unprotected "HG-S08" "a protection that is off, or open to everybody";
    PeriodsDoNotFit "HG-S09" "periods that do not fit each other";
    NoEffect "HG-S10" "a setting that is used for nothing";
    PepperNotShared "HG-S11" "instances that cannot read each other's verdicts";
    BadRoutesFile "HG-S12" "a file of routes that cannot be used";
    LooserRoute "HG-S13" "a route that asks less than the gateway's own table does";

    UnreadableFile "HG-F01" "a file that cannot be read";
    UntrustedFile "HG-F02" "a file that others may write or replace";
    ExposedSecret "HG-F03" "a secret that others may read";
    NoFolder "HG-F04" "a folder that is not there";

    MlflowNameUnknown "HG-M01" "the name of MLflow's server does not resolve";
    MlflowUnreachable "HG-M02" "MLflow cannot be connected to";
    MlflowSilent "HG-M03" "MLflow takes connections and does not answer";
    MlflowUnwell "HG-M04" "MLflow answers with an error";
    HostRefused "HG-M05" "MLflow refuses the Host that the gateway sends";
    MlflowWantsCredentials "HG-M06" "MLflow wants credentials of its own";
    ApiNotFound "HG-M07" "MLflow's API is not where it is asked for";
    MlflowRedirects "HG-M08" "MLflow's address redirects";
    Loop "HG-M09" "MLflow's address leads back to a gateway";
    MlflowSlow "HG-M10" "MLflow does not answer in time";
    ArtifactsUnavailable "HG-M11" "MLflow does not serve artifacts";
    ArtifactsElsewhere "HG-M12" "MLflow sends clients past the gateway for artifacts";
    MlflowEjected "HG-M13" "a server of MLflow's gets no requests";
    NotLookedAtYet "HG-M14" "MLflow has not been looked at yet";
    MlflowProtocol "HG-M15" "MLflow breaks off, or answers in no way that can be passed on";
    MlflowBusy "HG-M16" "more requests than MLflow takes";
    MlflowDisagrees "HG-M17" "MLflow does not say again what it was told";
    StoreTakesNoWrites "HG-M18" "MLflow's artifact store takes no writes";
    StoreFails "HG-M19" "MLflow's artifact store gives nothing back, or deletes nothing";
    MlflowFrontLimitsBodies "HG-M20" "a proxy before MLflow limits the size of bodies";

    AuthNameUnknown "HG-A01" "the name of the auth service does not resolve";
    AuthUnreachable "HG-A02" "the auth service cannot be connected to";
    AuthUnwell "HG-A03" "the auth service fails, or does not answer in time";
    ServiceIdDiffers "HG-A04" "the auth service knows keys under another service id";
    AuthRedirects "HG-A05" "the auth service's address redirects";
    BareRefusals "HG-A06" "the auth service refuses keys without saying so";
    NotAuthService "HG-A07" "something else answers in the auth service's place";
    AuthAcceptsAnything "HG-A08" "the auth service accepts what is no key";
    AuthBusy "HG-A09" "more keys are to be asked about than the auth service may be";

    RedisNameUnknown "HG-R01" "the name of Redis does not resolve";
    RedisUnreachable "HG-R02" "Redis cannot be connected to";
    RedisSlow "HG-R03" "Redis is too slow to be of use";
    RedisPassword "HG-R04" "Redis refuses the password, or wants one";
    RedisAcl "HG-R05" "Redis does not let the gateway do what it does";
    RedisReplica "HG-R06" "Redis is a replica";
    RedisFull "HG-R07" "Redis is full";
    SentinelMaster "HG-R08" "Sentinel knows no such master";
    RedisKind "HG-R09" "what answers is no Redis, or one of another kind";
    RevocationsUnheard "HG-R10" "revocations of other instances are not heard";
    RevocationUntold "HG-R11" "a revocation did not reach the other instances";
    RedisTakesNoWrites "HG-R12" "Redis takes no writes for now";

    KeyRejected "HG-K01" "a key is not valid";
    KeyMayNot "HG-K02" "a key may not do this";
    KeyLimitUsedUp "HG-K03" "a key's limit is used up";
    BadKeyFile "HG-K04" "a key file that cannot be used";
    NobodyLetIn "HG-K05" "no key is in force";
    KeyFileNotReloaded "HG-K06" "a changed key file is not in force";
    UnknownScope "HG-K07" "a key has a scope that there is not";
    LastUsesNotKept "HG-K08" "it is not kept when keys were last used";

    CertificateExpired "HG-T01" "a certificate has expired";
    CertificateNotYetValid "HG-T02" "a certificate is not valid yet";
    CertificateForOthers "HG-T03" "a certificate is for another name";
    AuthorityUnknown "HG-T04" "nobody that is trusted vouches for a certificate";
    BadCertificate "HG-T05" "a certificate that no server can have";
    NoTls "HG-T06" "no TLS where it is expected";
    TlsExpected "HG-T07" "TLS where none is expected";
    ClientCertificateWanted "HG-T08" "a server wants to be shown a certificate";
    BadPem "HG-T09" "a certificate or key that cannot be used";
    CertificateNotReloaded "HG-T10" "a renewed certificate is not in force";
    NoAuthorities "HG-T11" "this machine has no certificate authorities";
    NoPair "HG-T12" "a certificate and a key that are no pair";
    CertificateEndsSoon "HG-T13" "a certificate of the settings ends soon";
    ClientCertificateRefused "HG-T14" "a server refuses the certificate that it is shown";
    OldTls "HG-T15" "a server that speaks only old versions of TLS";
    NoCommonCipher "HG-T16" "no cipher in common with a server";

    GatewayNameUnknown "HG-E01" "the gateway's public name does not resolve";
    GatewayUnreachable "HG-E02" "the gateway's public address cannot be connected to";
    GatewaySilent "HG-E03" "the gateway's public address does not answer";
    NotTheGateway "HG-E04" "something else answers in the gateway's place";
    PastTheGateway "HG-E05" "MLflow is reached past the gateway";
    CredentialsChanged "HG-E06" "something on the way changes credentials";
    RequestsChanged "HG-E07" "something on the way changes requests";
    FrontRedirects "HG-E08" "the public address redirects";
    FrontLimitsBodies "HG-E09" "a proxy on the way limits the size of bodies";
    NoHealthyGateway "HG-E10" "the load balancer has no healthy gateway";
    PlainHttp "HG-E11" "the public address takes keys in the clear";
    OtherVersion "HG-E12" "another commit is running than is expected";
    MetricsPublic "HG-E13" "the metrics are public";
    BodiesChanged "HG-E14" "something on the way changes bodies, or answers by itself";
    SlowLine "HG-E15" "the line is too slow for artifacts";
    LimitsUntold "HG-E16" "limits are not told";
    BodiesHeldBack "HG-E17" "something on the way holds bodies back";
    LeftBehind "HG-E18" "doctor has left something behind";
    Shadowed "HG-E19" "a rule of the load balancer takes a path of the gateway's";
    BodyTooLarge "HG-E20" "an upload is larger than the gateway takes";
    BalancersAddress "HG-E21" "the gateway takes a load balancer for all of its clients";

    CannotListen "HG-P01" "an address cannot be listened on";
    TooFewFiles "HG-P02" "too few files may be open";
    ActorDied "HG-P03" "a part of the gateway has died";
    Draining "HG-P04" "the gateway is stopping";
    Defect "HG-P05" "a defect of the gateway";
    GatewayEnded "HG-P06" "the gateway has ended";
    SettingsNotReloaded "HG-P07" "changed settings are not in force";
    RestartNeeded "HG-P08" "changed settings wait for a restart";
    PortForbidden "HG-P09" "a port that this process may not have";
    NotOurAddress "HG-P10" "an address that is not this machine's";
    TransfersCut "HG-P11" "transfers were cut when the gateway stopped";
    ClocksApart "HG-P12" "two clocks that are apart";

    AuditFailing "HG-U01" "audit records cannot be written";
    AuditNotRotated "HG-U02" "the audit file cannot be put aside";
    AuditCutShort "HG-U03" "the last audit records were not written";
    AuditOff "HG-U04" "nothing is recorded of who changed what";
    UsageUnreported "HG-U05" "usage was not reported";

    CollectorNameUnknown "HG-L01" "the name of the collector does not resolve";
    CollectorUnreachable "HG-L02" "the collector cannot be connected to";
    SpansRefused "HG-L03" "the collector takes no spans";
    LogUnchanged "HG-L04" "the log, or what is logged, cannot be had as it is set";
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
