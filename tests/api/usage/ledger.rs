//! An auth service that keeps book of what it is told, as docs/KEYS.md asks of it: a batch counts once, however often it comes.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
};

use serde_json::Value;

use crate::support::{
    Server, eventually,
    server::{Answer, Recorded},
};

/// Requests, by key and status.
pub type Totals = BTreeMap<(String, u16), u64>;

#[derive(Clone, Default)]
pub struct Book {
    batches: Arc<Mutex<BTreeMap<String, Value>>>,
    /// Key, status, endpoint, time of each.
    singles: Arc<Mutex<Vec<Value>>>,
    /// Statuses of the two calls; 0: 200.
    batch_status: Arc<AtomicU16>,
    single_status: Arc<AtomicU16>,
    /// A batch came again with other sums.
    has_changed: Arc<AtomicBool>,
    /// The ids of batches in the order of their coming, empty ones apart.
    calls: Arc<Mutex<Vec<String>>>,
}

/// The running service.
pub struct Ledger {
    pub book: Book,
    pub server: Server,
}

impl Book {
    pub async fn open(&self) -> Ledger {
        self.open_at(([127, 0, 0, 1], 0).into()).await
    }

    /// Starts the service again where it was.
    pub async fn open_at(&self, address: SocketAddr) -> Ledger {
        let book = self.clone();
        let server = Server::start_at(address, move |request| book.answer(request)).await;
        Ledger { book: self.clone(), server }
    }

    pub fn answer_batches(&self, status: u16) {
        self.batch_status.store(status, Ordering::SeqCst);
    }

    pub fn answer_singles(&self, status: u16) {
        self.single_status.store(status, Ordering::SeqCst);
    }

    pub fn answer(&self, request: &Recorded) -> Answer {
        let Some(key) = request.target().strip_prefix("/api/v1/usage") else {
            // A key's id is the key without its beginning.
            let key = request.header("authorization").unwrap().trim_start_matches("Bearer key-of-");
            return Answer::ok(&format!(r#"{{"is_valid": true, "user_id": "u", "key_id": "{key}"}}"#));
        };
        let mut body: Value = serde_json::from_slice(&request.body).unwrap();
        let status = if key.is_empty() { &self.batch_status } else { &self.single_status };
        let status = status.load(Ordering::SeqCst);
        match status {
            0 => {}
            301 => return Answer::bytes("HTTP/1.1 301 X\r\nlocation: /\r\ncontent-length: 0\r\n\r\n"),
            status => return Answer::json(status, "{}"),
        }
        if let Some(key) = key.strip_prefix('/') {
            body["key_id"] = key.into();
            self.singles.lock().unwrap().push(body);
        } else {
            let id = body["batch_id"].as_str().unwrap().to_owned();
            if !body["entries"].as_array().unwrap().is_empty() {
                self.calls.lock().unwrap().push(id.clone());
            }
            let known = self.batches.lock().unwrap().insert(id, body.clone());
            if known.is_some_and(|known| known != body) {
                self.has_changed.store(true, Ordering::SeqCst);
            }
        }
        Answer::ok("{}")
    }

    /// The batches that came, empty ones apart.
    pub fn batches(&self) -> Vec<Value> {
        let batches = self.batches.lock().unwrap();
        batches.values().filter(|batch| batch["entries"] != Value::Array(Vec::new())).cloned().collect()
    }

    pub fn singles(&self) -> Vec<Value> {
        self.singles.lock().unwrap().clone()
    }

    /// The ids of batches in the order of their coming, those that came again too.
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    pub fn totals(&self) -> Totals {
        assert!(!self.has_changed.load(Ordering::SeqCst), "a batch came again with other sums");
        let mut totals = Totals::new();
        let of = |of: &Value| {
            let status = of["status_code"].as_u64().unwrap() as u16;
            (of["key_id"].as_str().unwrap().to_owned(), status)
        };
        for entry in self.batches().iter().flat_map(|batch| batch["entries"].as_array().unwrap()) {
            *totals.entry(of(entry)).or_default() += entry["count"].as_u64().unwrap();
        }
        for single in self.singles() {
            *totals.entry(of(&single)).or_default() += 1;
        }
        totals
    }

    pub fn total(&self) -> u64 {
        self.totals().values().sum()
    }

    /// Waits until so many requests are in the book, and no more.
    pub async fn until(&self, requests: u64) {
        let what = format!("{requests} requests are told of");
        eventually(&what, async || self.total() >= requests).await;
        assert_eq!(self.total(), requests, "{:?}", self.totals());
    }
}
