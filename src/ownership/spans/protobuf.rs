//! Spans in protobuf (opentelemetry/proto/collector/trace/v1/trace_service.proto).

use std::str;

use super::{Spans, Unreadable};

const MALFORMED: Unreadable = "is not protobuf that can be read in one way only";

/// The numbers of fields.
mod number {
    pub(super) const RESOURCE_SPANS: u32 = 1;
    pub(super) const RESOURCE: u32 = 1;
    pub(super) const SCOPE_SPANS: u32 = 2;
    pub(super) const SPANS: u32 = 2;
    pub(super) const TRACE_ID: u32 = 1;
    pub(super) const ATTRIBUTES_OF_SPAN: u32 = 9;
    pub(super) const ATTRIBUTES_OF_RESOURCE: u32 = 1;
    pub(super) const KEY: u32 = 1;
}

pub(super) fn read(body: &[u8], spans: &mut Spans) -> Result<(), Unreadable> {
    each(body, number::RESOURCE_SPANS, &mut |resource_spans| {
        each(resource_spans, number::RESOURCE, &mut |resource| {
            each(resource, number::ATTRIBUTES_OF_RESOURCE, &mut |attribute| {
                spans.add_resource_attribute(key(attribute)?);
                Ok(())
            })
        })?;
        each(resource_spans, number::SCOPE_SPANS, &mut |scope_spans| {
            each(scope_spans, number::SPANS, &mut |span| {
                spans.add_trace(last(span, number::TRACE_ID)?.try_into().ok())?;
                each(span, number::ATTRIBUTES_OF_SPAN, &mut |attribute| {
                    spans.add_attribute(key(attribute)?);
                    Ok(())
                })
            })
        })
    })
}

fn key(attribute: &[u8]) -> Result<&str, Unreadable> {
    str::from_utf8(last(attribute, number::KEY)?).map_err(|_| MALFORMED)
}

/// The value of a field that is not repeated: the last counts.
fn last(message: &[u8], number: u32) -> Result<&[u8], Unreadable> {
    let mut found: &[u8] = &[];
    for field in Fields(message) {
        let field = field?;
        if field.number == number {
            found = field.bytes.ok_or(MALFORMED)?;
        }
    }
    Ok(found)
}

/// Visits every field of a number. Parts of one message that stand apart are one to readers of protobuf, so they are all visited.
fn each<'a>(
    message: &'a [u8],
    number: u32,
    visit: &mut dyn FnMut(&'a [u8]) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    for field in Fields(message) {
        let field = field?;
        if field.number == number {
            visit(field.bytes.ok_or(MALFORMED)?)?;
        }
    }
    Ok(())
}

struct Field<'a> {
    number: u32,
    /// `None`: a number.
    bytes: Option<&'a [u8]>,
}

/// The fields of a message; what is left of it.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or(MALFORMED);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    /// Groups are refused: no exporter writes any.
    fn field(&mut self) -> Option<Field<'a>> {
        let tag = u32::try_from(self.varint()?).ok()?;
        let number = tag >> 3;
        let bytes = match tag & 7 {
            0 => {
                self.varint()?;
                None
            }
            1 => self.take(8).map(|_| None)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Some(self.take(length)?)
            }
            5 => self.take(4).map(|_| None)?,
            _ => return None,
        };
        (number > 0).then_some(Field { number, bytes })
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for at in 0..10 {
            let byte = *self.take(1)?.first()?;
            // The tenth byte has room for one bit.
            if at == 9 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}
