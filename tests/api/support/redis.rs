//! A real redis-server, on a free port, in a folder of its own.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener},
    },
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::PATIENCE;

pub struct Redis {
    pub port: u16,
    process: Child,
    folder: TempDir,
    options: Vec<String>,
}

impl Redis {
    /// Starts a server with further command line options.
    pub fn start(options: &[&str]) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let process = run(port, &folder, &options);
        Self { port, process, folder, options }
    }

    /// A Sentinel that watches a master with a replica, alone, and gives up on it soon.
    pub fn sentinel(name: &str, master: u16) -> Self {
        let sentinel = Self::sentinel_of_one(name, master);
        within_patience("the Sentinel knows a replica", || {
            sentinel.cli(&["sentinel", "replicas", name]).contains("runid")
        });
        sentinel
    }

    /// The same of a master that is alone too.
    pub fn sentinel_of_one(name: &str, master: u16) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor {name} 127.0.0.1 {master} 1\n\
             sentinel down-after-milliseconds {name} 500\nsentinel failover-timeout {name} 2000\n"
        );
        std::fs::write(folder.path().join("sentinel.conf"), config).unwrap();
        let process = Command::new("redis-server")
            .arg(folder.path().join("sentinel.conf"))
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed by `make test`");
        within_patience("the Sentinel answers", || cli(port, &["ping"]).contains("PONG"));
        Self { port, process, folder, options: Vec::new() }
    }

    /// Three masters that are one cluster.
    pub fn cluster() -> Vec<Self> {
        let nodes: Vec<Self> = (0..3).map(|_| Self::start(&["--cluster-enabled", "yes"])).collect();
        let hosts: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(&hosts)
            .args(["--cluster-yes", "--cluster-replicas", "0"])
            .output()
            .unwrap();
        assert!(created.status.success(), "{created:?}");
        for node in &nodes {
            within_patience("the cluster is whole", || {
                node.cli(&["cluster", "info"]).contains("cluster_state:ok")
            });
        }
        nodes
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The URL of a way to it on which each piece takes so long, in each direction.
    pub fn far_away(&self, delay: Duration) -> String {
        let far = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", far.local_addr().unwrap());
        let port = self.port;
        std::thread::spawn(move || {
            for near in far.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
                let ways = [(near.try_clone().unwrap(), server.try_clone().unwrap()), (server, near)];
                for (mut from, mut to) in ways {
                    std::thread::spawn(move || {
                        let mut piece = [0; 4096];
                        while let Ok(bytes @ 1..) = from.read(&mut piece) {
                            std::thread::sleep(delay);
                            if to.write_all(&piece[..bytes]).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        url
    }

    /// All that it holds, as it is saved.
    pub fn dump(&self) -> Vec<u8> {
        assert!(self.cli(&["save"]).contains("OK"));
        std::fs::read(self.folder.path().join("dump.rdb")).unwrap()
    }

    /// What redis-cli prints.
    pub fn cli(&self, arguments: &[&str]) -> String {
        cli(self.port, arguments)
    }

    pub fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again, empty, on the same port.
    pub fn start_again(&mut self) {
        self.process = run(self.port, &self.folder, &self.options);
    }

    /// Lets it do nothing, with its connections open.
    pub fn freeze(&self) {
        Command::new("kill").args(["-STOP", &self.process.id().to_string()]).status().unwrap();
    }

    /// Everything that reaches the server from now on, into a file.
    pub fn monitor(&self) -> Monitor {
        let path = self.folder.path().join("monitor");
        let file = std::fs::File::create(&path).unwrap();
        let process = Command::new("redis-cli")
            .args(["-p", &self.port.to_string(), "monitor"])
            .stdout(file)
            .spawn()
            .unwrap();
        within_patience("the monitor begins", || !std::fs::read_to_string(&path).unwrap().is_empty());
        Monitor { process, path }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub struct Monitor {
    process: Child,
    path: std::path::PathBuf,
}

impl Monitor {
    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nobody takes before redis-server does: below what the kernel gives to connections and to port 0, and claimed
/// for as long as the tests run by the name of an abstract socket. A cluster's own talk has the port 10,000 above.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(10_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(port < 20_000, "no port is free on 127.0.0.1");
        let name = SocketAddr::from_abstract_name(format!("hokusai-gateway-port-{port}")).unwrap();
        let Ok(claim) = UnixListener::bind_addr(&name) else { continue };
        std::mem::forget(claim);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn run(port: u16, folder: &TempDir, options: &[String]) -> Child {
    let process = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(folder.path())
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed by `make test`");
    within_patience("redis-server answers", || {
        let answer = cli(port, &["ping"]);
        ["PONG", "NOAUTH"].iter().any(|word| answer.contains(word))
    });
    process
}

fn within_patience(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What redis-cli prints of a server.
pub fn cli(port: u16, arguments: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
