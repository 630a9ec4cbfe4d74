//! The gateway as a process of its own, as an operator runs it.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Lines, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc,
};

/// The binary, in a folder and with no environment but a free port for the metrics: many run at once.
pub fn command(folder: &Path) -> Command {
    program(folder, env!("CARGO_BIN_EXE_hokusai-gateway"))
}

/// The same of a program that runs it.
pub fn program(folder: &Path, name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(folder).env_clear().env("HOKUSAI__METRICS__BIND", "127.0.0.1:0");
    // Nothing in a folder of this machine's.
    command.env("HOKUSAI__AUTH__SERVICE__USAGE_SPOOL", "memory");
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command
}

/// A running `serve`, with one worker on a free port; its log is in the folder's file `log`.
pub struct Process {
    pub address: SocketAddr,
    /// Where the metrics are, unless they are off.
    pub metrics_address: Option<SocketAddr>,
    child: Child,
    /// Its output, where nobody reads on.
    unread: Option<Output>,
}

type Output = Lines<BufReader<ChildStdout>>;

/// The addresses in the line that says where it listens: its own, and that of the metrics.
fn addresses_in(line: &str) -> Option<(SocketAddr, Option<SocketAddr>)> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let address = |name: &str| line[name].as_str()?.parse().ok();
    Some((address("address")?, address("metrics_address")))
}

impl Process {
    pub fn serve(folder: &Path, settings: &[(&str, &str)]) -> Self {
        Self::serve_with(folder, &[], settings)
    }

    pub fn serve_with(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut command = command(folder);
        command.arg("serve").args(arguments);
        Self::start(command, folder, settings)
    }

    /// One whose files may not grow beyond so many bytes, as on a full disk: what does not fit is written in part.
    pub fn serve_with_little_room(folder: &Path, bytes: u64, settings: &[(&str, &str)]) -> Self {
        let mut command = program(folder, "sh");
        let serve = "trap '' XFSZ; exec prlimit --fsize=\"$0\":unlimited \"$1\" serve";
        command.args(["-c", serve, &bytes.to_string(), env!("CARGO_BIN_EXE_hokusai-gateway")]);
        Self::start(command, folder, settings)
    }

    /// Its files may grow.
    pub fn give_room(&self) {
        let pid = self.child.id().to_string();
        let given = Command::new("prlimit").args(["--fsize=unlimited", "--pid", &pid]).status().unwrap();
        assert!(given.success());
    }

    /// One whose output nobody reads from the moment that it listens.
    pub fn serve_unread(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = command(folder);
        command.arg("serve");
        let (child, mut lines) = Self::spawn(command, settings);
        let (address, metrics_address) =
            lines.by_ref().find_map(|line| addresses_in(&line.unwrap())).unwrap();
        Self { address, metrics_address, child, unread: Some(lines) }
    }

    fn start(command: Command, folder: &Path, settings: &[(&str, &str)]) -> Self {
        let (child, lines) = Self::spawn(command, settings);
        let mut log = File::create(folder.join("log")).unwrap();
        let (listening, addresses) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                writeln!(log, "{line}").unwrap();
                if let Some(addresses) = addresses_in(&line) {
                    let _ = listening.send(addresses);
                }
            }
        });
        let (address, metrics_address) = addresses.recv().expect("it listens");
        Self { address, metrics_address, child, unread: None }
    }

    fn spawn(mut command: Command, settings: &[(&str, &str)]) -> (Child, Output) {
        let mut child = command
            .env("HOKUSAI__SERVER__BIND", "127.0.0.1:0")
            .env("HOKUSAI__SERVER__WORKERS", "1")
            .env("HOKUSAI__SERVER__SETTLE_TIME", "0s")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines)
    }

    /// The next line of an output that nobody has read so far.
    pub fn next_line(&mut self) -> String {
        self.unread.as_mut().and_then(Iterator::next).unwrap().unwrap()
    }

    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    pub fn hang_up(&self) {
        self.signal("-HUP");
    }

    pub fn kill(&self) {
        self.signal("-KILL");
    }

    fn signal(&self, signal: &str) {
        Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
    }

    /// How many of its threads have this name.
    pub fn threads(&self, name: &str) -> usize {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().flatten();
        let names = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
        names.filter(|of_thread| of_thread.trim_end() == name).count()
    }

    /// The most memory that it has had so far, in bytes.
    pub fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
