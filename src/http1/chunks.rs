//! How a chunked body is read (RFC 9112 §7.1), byte for byte as actix-http reads it (its h1/chunked.rs).

/// How far a chunked body has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Chunks {
    /// The first digit of a chunk's size.
    #[default]
    SizeFirst,
    Size(u64),
    /// Behind the size: spaces, or an extension.
    Spaces(u64),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    /// Behind the last chunk: the end, or a trailer.
    EndCr,
    EndLf,
    Trailer,
    TrailerLf,
    Over,
    /// What actix-http refuses, and with it all that follows.
    Broken,
}

impl Chunks {
    /// Reads on. How many of these bytes are the body's, if its end is among them.
    pub(crate) fn end_in(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if let Self::Data(left) = *self {
                let here = left.min((bytes.len() - at) as u64);
                *self = if here == left { Self::DataCr } else { Self::Data(left - here) };
                at += here as usize;
                continue;
            }
            *self = self.after(bytes[at]);
            at += 1;
            if self.is_over() {
                return Some(at);
            }
        }
        None
    }

    /// Whether the end was among what was read.
    pub(crate) fn is_over(self) -> bool {
        self == Self::Over
    }

    fn after(self, byte: u8) -> Self {
        let digit = char::from(byte).to_digit(16).map(u64::from);
        match (self, byte) {
            (Self::SizeFirst, _) => digit.map_or(Self::Broken, Self::Size),
            (Self::Size(size) | Self::Spaces(size), b'\t' | b' ') => Self::Spaces(size),
            (Self::Size(size) | Self::Spaces(size), b';') => Self::Extension(size),
            (Self::Size(size) | Self::Spaces(size) | Self::Extension(size), b'\r') => Self::SizeLf(size),
            (Self::Size(size), _) => match (digit, size.checked_mul(16)) {
                (Some(digit), Some(size)) => Self::Size(size + digit),
                _ => Self::Broken,
            },
            (Self::Extension(size), byte) if byte == b'\t' || !byte.is_ascii_control() => {
                Self::Extension(size)
            }
            (Self::SizeLf(0), b'\n') | (Self::TrailerLf, b'\n') => Self::EndCr,
            (Self::SizeLf(size), b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::SizeFirst,
            (Self::EndLf, b'\n') => Self::Over,
            (Self::EndCr, b'\r') => Self::EndLf,
            (Self::EndCr, _) => Self::Trailer,
            (Self::Trailer, b'\r') => Self::TrailerLf,
            (Self::Trailer, _) => Self::Trailer,
            _ => Self::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_where_actix_ends_it_however_it_is_cut() {
        for (body, behind) in [
            ("0\r\n\r\n", "GET"),
            ("2\r\nhi\r\n0\r\n\r\n", "0\r\n\r\n"),
            ("A;x=\"y\"\r\n0\r\n\r\n12345\r\n0 \r\n\r\n", "HEAD"),
            ("2 \t\r\n\r\n\r\n00\r\nx: y\r\nz: \nw\r\n\r\n", "POST"),
        ] {
            let whole = format!("{body}{behind}");
            assert_eq!(Chunks::default().end_in(whole.as_bytes()), Some(body.len()), "{whole:?}");
            for cut in 1..body.len() {
                let mut chunks = Chunks::default();
                assert_eq!(chunks.end_in(&whole.as_bytes()[..cut]), None, "{whole:?} at {cut}");
                let end = chunks.end_in(&whole.as_bytes()[cut..]);
                assert_eq!(end, Some(body.len() - cut), "{whole:?} at {cut}");
            }
        }
    }

    #[test]
    fn what_actix_refuses_has_no_end() {
        for body in [
            "\r\n\r\n",
            "g\r\n",
            "2\nhi\r\n0\r\n\r\n",
            "2\r\nhi0\r\n\r\n",
            "10000000000000000\r\n",
            "0\r\n\rx",
        ] {
            let mut chunks = Chunks::default();
            assert_eq!(chunks.end_in(body.as_bytes()), None, "{body:?}");
            assert_eq!(chunks.end_in(b"0\r\n\r\n"), None, "{body:?}");
        }
    }
}
