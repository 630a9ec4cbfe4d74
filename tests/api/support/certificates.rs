//! Certificates of a test's own, and an authority that issues them; made by openssl.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

const CONFIG: &str = "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = extensions\n\
    [name]\nCN = service.example\n\
    [extensions]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = IP:127.0.0.1\n";

/// Two PEM files.
pub struct Certificate {
    pub path: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// A self-signed one for 127.0.0.1, in a new folder.
    pub fn self_signed(folder: &Path) -> Self {
        std::fs::create_dir(folder).unwrap();
        let (config, path, key) =
            (folder.join("openssl.cnf"), folder.join("certificate.pem"), folder.join("key.pem"));
        std::fs::write(&config, CONFIG).unwrap();
        let made = Command::new("openssl")
            .args("req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2".split(' '))
            .arg("-config")
            .arg(&config)
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&path)
            .output()
            .expect("openssl is installed by `make test`");
        assert!(made.status.success(), "{made:?}");
        Self { path, key }
    }

    pub fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    pub fn key(&self) -> &str {
        self.key.to_str().unwrap()
    }
}

const AUTHORITY: &str = "
[ca]
default_ca = authority
[authority]
new_certs_dir = .
database = index
serial = serial
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
";
const CURVE: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
const RSA: [&str; 2] = ["-newkey", "rsa:2048"];

/// A certificate authority.
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        Self::of_days(60)
    }

    /// One whose certificate ends in so many days.
    pub fn of_days(days: u32) -> Self {
        let authority = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(authority.folder.path().join("index"), "").unwrap();
        fs::write(authority.folder.path().join("serial"), "01\n").unwrap();
        fs::write(authority.folder.path().join("openssl.cnf"), AUTHORITY).unwrap();
        let days = days.to_string();
        let subject = ["-subj", "/CN=an authority of a test", "-days", &days, "-nodes"];
        let files = ["-keyout", "ca-key.pem", "-out", "ca.pem"];
        authority.openssl(&[&["req", "-x509"], &CURVE[..], &subject, &files].concat());
        authority
    }

    /// The file of its certificate.
    pub fn certificate(&self) -> String {
        self.path("ca.pem").to_str().unwrap().to_owned()
    }

    /// A certificate for `name` (as openssl writes it: `IP:127.0.0.1`), until so many days from now.
    pub fn issue(&self, name: &str, days: i64) -> Certificate {
        self.issue_of(&CURVE, name, days)
    }

    /// The same with a key that old ciphers need.
    pub fn issue_rsa(&self, name: &str, days: i64) -> Certificate {
        self.issue_of(&RSA, name, days)
    }

    fn issue_of(&self, kind: &[&str], name: &str, days: i64) -> Certificate {
        let number = fs::read_dir(self.folder.path()).unwrap().count();
        let (certificate, key) = (format!("server-{number}.pem"), format!("key-{number}.pem"));
        let name = format!("subjectAltName={name}");
        let request = ["-nodes", "-subj", "/CN=server", "-addext", &name, "-keyout", &key];
        self.openssl(&[&["req", "-new", "-out", "request.pem"], kind, &request].concat());
        let end = Timestamp::now() + SignedDuration::from_hours(24 * days);
        let date = |moment: Timestamp| moment.strftime("%Y%m%d%H%M%SZ").to_string();
        let (start, end) = (date(end - SignedDuration::from_hours(24 * 60)), date(end));
        let authority = ["-config", "openssl.cnf", "-cert", "ca.pem", "-keyfile", "ca-key.pem"];
        let dates = ["-startdate", &start, "-enddate", &end, "-in", "request.pem", "-out", &certificate];
        self.openssl(&[&["ca", "-batch", "-notext"], &authority[..], &dates].concat());
        Certificate { path: self.path(&certificate), key: self.path(&key) }
    }

    /// An authority that this one vouches for.
    pub fn intermediate(&self) -> Self {
        let below = Self::new();
        let path = |name: &str| below.path(name).to_str().unwrap().to_owned();
        let (key, request, extensions) = (path("ca-key.pem"), path("ca-request.pem"), path("ca.cnf"));
        let subject = ["-subj", "/CN=an intermediate of a test"];
        self.openssl(&[&["req", "-new", "-key", &key, "-out", &request], &subject[..]].concat());
        fs::write(&extensions, "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n").unwrap();
        let signed = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "60"];
        let certificate = path("ca.pem");
        let files = ["-extfile", &extensions, "-in", &request, "-out", &certificate];
        self.openssl(&[&["x509", "-req"], &signed[..], &files].concat());
        below
    }

    /// A certificate for 127.0.0.1 that is an authority's, as `openssl req -x509` makes them.
    pub fn issue_itself(&self) -> Certificate {
        let subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "60"];
        let files = ["-nodes", "-keyout", "own-key.pem", "-out", "own.pem"];
        self.openssl(&[&["req", "-x509"], &CURVE[..], &subject, &files].concat());
        Certificate { path: self.path("own.pem"), key: self.path("own-key.pem") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &[&str]) {
        let done = openssl().current_dir(self.folder.path()).args(arguments).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

fn openssl() -> Command {
    Command::new("openssl")
}

/// The moment at which a certificate ends, in seconds.
pub fn not_after(certificate: &Path) -> f64 {
    let mut command = openssl();
    command.args(["x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in"]).arg(certificate);
    let printed = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let end = printed.trim().strip_prefix("notAfter=").unwrap().replace(' ', "T");
    end.parse::<Timestamp>().unwrap().as_duration().as_secs_f64()
}
