//! Reads MLflow's answer to a create as it passes.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    web::Bytes,
};

use super::Shared;
use crate::ownership::Lesson;

/// A body on its way to the client, and the beginning of what has passed.
pub(super) struct Overheard {
    body: BoxBody,
    lesson: Lesson,
    passed: Vec<u8>,
    answered: Instant,
    shared: Arc<Shared>,
}

impl Overheard {
    pub(super) fn new(body: BoxBody, lesson: Lesson, shared: Arc<Shared>) -> Self {
        Self { body, lesson, passed: Vec::new(), answered: Instant::now(), shared }
    }
}

impl MessageBody for Overheard {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let next = ready!(Pin::new(&mut self.body).poll_next(cx));
        match &next {
            Some(Ok(chunk)) => {
                let room = Lesson::MAX - self.passed.len();
                self.passed.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Some(Err(_)) => {}
            None => self.shared.ownership.learn(&self.lesson, &self.passed, self.answered),
        }
        Poll::Ready(next)
    }
}
