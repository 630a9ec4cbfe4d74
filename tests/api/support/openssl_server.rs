//! A TLS server that is not of our own making: what it says where it refuses a client is another's.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use super::certificates::Certificate;

/// An `openssl s_server`, which answers with a page.
pub struct TlsServer {
    process: Child,
    pub url: String,
}

impl TlsServer {
    pub fn start(certificate: &Certificate, options: &[&str]) -> Self {
        let mut process = Command::new("openssl")
            .args([
                "s_server",
                "-www",
                "-accept",
                "127.0.0.1:0",
                "-cert",
                certificate.path(),
                "-key",
                certificate.key(),
            ])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned));
        // What it says later is read, so that it is never stopped by it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url: format!("https://{}", address.expect("it listens")) }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
