//! The methods of a path, for `Allow` (RFC 9110 §10.2.1).

use std::fmt;

use actix_web::http::Method;

/// The methods of rows. HEAD is GET without a body (RFC 9110 §9.3.2).
pub(super) const OF_ROWS: [Method; 5] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// A set of [methods](OF_ROWS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods(u8);

impl Methods {
    /// The methods of read-only routes.
    pub const READS: Self = Self(1);

    /// The methods for which `has` is true, by their position in [`OF_ROWS`]; `None` if there are none.
    pub(super) fn where_true(has: impl Fn(usize) -> bool) -> Option<Self> {
        let set = (0..OF_ROWS.len()).filter(|&at| has(at)).fold(0, |set, at| set | 1 << at);
        (set != 0).then_some(Self(set))
    }
}

/// The value of the header.
impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (at, method) in OF_ROWS.iter().enumerate().filter(|(at, _)| self.0 & 1 << at != 0) {
            write!(f, "{separator}{method}{}", if at == 0 { ", HEAD" } else { "" })?;
            separator = ", ";
        }
        Ok(())
    }
}

/// The position of a method in [`OF_ROWS`].
pub(super) fn position(method: &Method) -> Option<usize> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    OF_ROWS.iter().position(|known| known == method)
}

#[cfg(test)]
mod tests;
