//! Parses the text of a setting.

use std::{
    net::{IpAddr, SocketAddr},
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

/// A type that a setting can have.
pub(super) trait FromText: Sized {
    /// The form to write, with an example.
    const FORM: &'static str;

    /// # Errors
    /// What is wrong with `text`. The text is not shown: it may be a misplaced secret.
    fn from_text(text: &str) -> Result<Self, &'static str>;
}

impl FromText for String {
    const FORM: &'static str = "a text";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        Ok(text.to_owned())
    }
}

impl FromText for SecretString {
    const FORM: &'static str = "a secret, or the path of its file under the same name with _file";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        Ok(text.to_owned().into())
    }
}

impl FromText for PathBuf {
    const FORM: &'static str = "a path";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        Ok(text.into())
    }
}

/// Implements [`FromText`] for types that the standard library parses: the form to write, and what is wrong with another text.
macro_rules! parsed {
    ($($type:ty: $form:literal, $wrong:literal;)+) => {$(
        impl FromText for $type {
            const FORM: &'static str = $form;

            fn from_text(text: &str) -> Result<Self, &'static str> {
                text.parse().map_err(|_| $wrong)
            }
        }
    )+};
}

parsed! {
    bool: "true or false", "is neither true nor false";
    usize: "a whole number", "is not a whole number";
    NonZeroU32: "a whole number, 1 or more", "is not a whole number of 1 or more";
    NonZeroUsize: "a whole number, 1 or more", "is not a whole number of 1 or more";
}

impl FromText for SocketAddr {
    const FORM: &'static str = "an IP address and a port, such as 0.0.0.0:8001 or [::]:8001";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        text.parse().map_err(|_| {
            let port = |text: &str| text.parse::<u16>().is_ok();
            match text.rsplit_once(':') {
                _ if text.parse::<IpAddr>().is_ok() => "is an IP address without a port",
                None if port(text) => "is a port without an IP address",
                Some(("", last)) if port(last) => "is a port without an IP address",
                Some((host, last)) if port(last) && host.contains(':') => {
                    "is an IPv6 address and a port without brackets"
                }
                Some((host, last)) if port(last) && host.parse::<IpAddr>().is_err() => {
                    "has a host name, which is not looked up here; an IP address is expected"
                }
                _ => "is not an IP address with a port",
            }
        })
    }
}

impl FromText for IpNet {
    const FORM: &'static str = "networks, such as 10.0.0.0/8 or 192.0.2.7";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        text.parse()
            .or_else(|_| text.parse::<IpAddr>().map(Self::from))
            .map_err(|_| "is not a network in CIDR notation")
    }
}

impl FromText for Duration {
    const FORM: &'static str = "a duration above zero, such as 250ms, 2s or 10m";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        match humantime::parse_duration(text) {
            Ok(duration) if duration.is_zero() => Err("must be above zero"),
            Ok(duration) => Ok(duration),
            Err(_) => Err("is not a duration"),
        }
    }
}

/// A number of bytes: no other setting has this type.
impl FromText for NonZeroU64 {
    const FORM: &'static str = "a number of bytes above zero, such as 1000000, 500MiB or 2TiB";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("", 0)];
        let sized = units.iter().find_map(|(unit, shift)| {
            let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            Self::new(number.checked_mul(1 << shift)?)
        });
        sized.ok_or("is not a number of bytes above zero")
    }
}

/// A duration that may be zero, which turns a feature off.
pub(super) struct OrZero(pub(super) Duration);

impl FromText for OrZero {
    const FORM: &'static str = "a duration such as 250ms, 2s or 10m, or 0s";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        humantime::parse_duration(text).map(Self).map_err(|_| "is not a duration")
    }
}

impl FromText for Url {
    const FORM: &'static str = "an address with its scheme, such as http://127.0.0.1:5000";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        let url = Self::parse(text).map_err(|_| "is not a URL")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("has a scheme other than http and https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("contains credentials, which would end up in logs");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("has a query or a fragment");
        }
        Ok(url)
    }
}

/// An enum whose variants are written as one word each.
macro_rules! words {
    (
        $(#[$about:meta])*
        $visibility:vis enum $name:ident { $($(#[$note:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visibility enum $name { $($(#[$note])* $variant,)+ }

        impl $name {
            $visibility const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            $visibility const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl $crate::settings::value::FromText for $name {
            const FORM: &'static str = concat!("one of: ", $($word, " "),+);

            fn from_text(text: &str) -> Result<Self, &'static str> {
                Self::ALL.into_iter().find(|known| known.word() == text).ok_or("is not one of the known words")
            }
        }
    };
}
pub(super) use words;

/// A section of its settings. All are read before one that cannot be used ends it, so that every problem is noted.
macro_rules! section {
    (Self { $($field:ident: $value:expr),+ $(,)? }) => {{
        $(let $field = $value;)+
        Ok(Self { $($field: $field?),+ })
    }};
}
pub(super) use section;
