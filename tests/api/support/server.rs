//! A server that records every request byte for byte and answers with given bytes: the faults that real servers
//! do not make, and the proof of what reached them.

mod answer;
mod recorded;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::net::{TcpListener, TcpStream};

use super::eventually;
pub use answer::Answer;
use answer::answer;
pub use recorded::Recorded;
use recorded::{body, head};

type Script = Arc<dyn Fn(&Recorded) -> Answer + Send + Sync>;

/// A running server; it ends with its runtime.
pub struct Server {
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<Recorded>>>,
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    tasks: Arc<Mutex<Vec<actix_rt::task::JoinHandle<()>>>>,
}

impl Server {
    /// Starts a server that answers each request as `script` says; the gateway's own API call as MLflow does.
    pub async fn start(script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_asked(
            move |request| {
                if request.is_api_look() { Answer::ok("{}") } else { script(request) }
            },
        )
        .await
    }

    /// The same, where `script` answers the gateway's own API call too.
    pub async fn start_asked(script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), script).await
    }

    /// The same at an address, as of a server that was killed.
    pub async fn start_at(
        address: SocketAddr,
        script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static,
    ) -> Self {
        if address.port() != 0 {
            // One that was killed is gone a moment later.
            eventually("the address is free", async || TcpListener::bind(address).await.is_ok()).await;
        }
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (script, records): (Script, _) = (Arc::new(script), Arc::clone(&log));
        let counts = (Arc::clone(&begun), Arc::clone(&ended));
        let tasks = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::clone(&tasks);
        let accepting = actix_rt::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let (script, records) = (Arc::clone(&script), Arc::clone(&records));
                let serving = actix_rt::spawn(serve(stream, connection, script, records, counts.clone()));
                connections.lock().unwrap().push(serving);
                connection += 1;
            }
        });
        tasks.lock().unwrap().push(accepting);
        Self { address, log, begun, ended, tasks }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Dies: its port and every connection are closed.
    pub fn kill(&self) {
        self.tasks.lock().unwrap().iter().for_each(actix_rt::task::JoinHandle::abort);
    }

    /// Everything that came so far, health probes apart.
    pub fn requests(&self) -> Vec<Recorded> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|request| !request.is_probe()).cloned().collect()
    }

    /// The validations that an auth service was asked for, usage reports apart.
    pub fn validations(&self) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|request| request.target().ends_with("/validate"));
        requests
    }

    /// The only request that came.
    pub fn request(&self) -> Recorded {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// Waits until the head of a request has come, whatever becomes of its body.
    pub async fn until_begun(&self) {
        eventually("a request comes", async || self.begun() > 0).await;
    }

    /// How many requests have begun to arrive, health probes apart.
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// How many endless bodies nobody takes any more.
    pub fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    /// Waits until a request has come that `wanted` accepts.
    pub async fn until(&self, wanted: impl Fn(&Recorded) -> bool) -> Recorded {
        let found = || self.requests().into_iter().find(&wanted);
        eventually("the wanted request comes", async || found().is_some()).await;
        found().unwrap()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: Script,
    log: Arc<Mutex<Vec<Recorded>>>,
    (begun, ended): (Arc<AtomicUsize>, Arc<AtomicUsize>),
) {
    let mut buffer = Vec::new();
    while let Some(mut request) = head(&mut stream, &mut buffer, connection).await {
        begun.fetch_add(usize::from(!request.is_probe()), Ordering::Relaxed);
        let complete = body(&mut stream, &mut buffer, &mut request).await.is_some();
        request.complete = complete;
        log.lock().unwrap().push(request.clone());
        if !complete || !answer(&mut stream, script(&request), &ended).await {
            return;
        }
    }
}
