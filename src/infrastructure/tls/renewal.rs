//! A certificate whose files are replaced while the server runs.
//!
//! The files are looked at now and then, and whenever somebody says so. What is in them is shown to
//! whoever connects from then on; connections that are there keep what they began with.
//!
//! Invariant: only a certificate with its own key is ever shown; while the files hold none, as between the
//! replacing of one and of the other, the one before is.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Identity, TlsError, from_files};
use crate::application::ports::clock::Clock;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_mins(1);

/// By what a file is known to be another one than before: when it was changed, its length, its number.
type Stamp = Option<(i64, i64, u64, u64)>;

/// The files of a certificate, and what of them is shown.
pub struct Renewal {
    files: Files,
    shown: watch::Sender<Arc<ServerConfig>>,
    fingerprint: String,
    /// As the files were when they were read; unknown at first, as they may have changed meanwhile.
    seen: Option<[Stamp; 2]>,
    /// What was wrong with them then.
    trouble: Option<String>,
}

#[derive(Clone)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

impl Files {
    fn stamps(&self) -> [Stamp; 2] {
        let stamp = |file: &Path| {
            let about = fs::metadata(file).ok()?;
            Some((about.mtime(), about.mtime_nsec(), about.len(), about.ino()))
        };
        [stamp(&self.cert), stamp(&self.key)]
    }
}

impl Renewal {
    /// Of these files, which hold this certificate; and what is to be shown at any time.
    #[must_use]
    pub fn new(
        cert: PathBuf,
        key: PathBuf,
        Identity { config, fingerprint }: Identity,
    ) -> (Self, watch::Receiver<Arc<ServerConfig>>) {
        let (shown, receiver) = watch::channel(config);
        let files = Files { cert, key };
        (Self { files, shown, fingerprint, seen: None, trouble: None }, receiver)
    }

    /// Looks at the files now and then, and when it is `asked`, until cancelled; tells the SHA-256 of
    /// each other certificate that is shown from then on.
    pub async fn run(
        mut self,
        clock: Arc<dyn Clock>,
        asked: Arc<Notify>,
        stop: CancellationToken,
        tell: impl Fn(&str) + Send,
    ) {
        loop {
            let is_asked = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = asked.notified() => true,
                () = clock.sleep(LOOK) => false,
            };
            if let Some(fingerprint) = self.look(is_asked).await {
                tell(&fingerprint);
            }
        }
    }

    /// Shows what the files hold, if they have changed or somebody asks; the SHA-256 of another
    /// certificate than before.
    async fn look(&mut self, is_asked: bool) -> Option<String> {
        let (files, seen) = (self.files.clone(), self.seen);
        let is_due = is_asked || self.trouble.is_some();
        // A file may lie where reading takes its time.
        let read = tokio::task::spawn_blocking(move || {
            let stamps = files.stamps();
            let is_same = seen == Some(stamps) && !is_due;
            (!is_same).then(|| (stamps, from_files(&files.cert, &files.key)))
        });
        let (stamps, found) = read.await.ok()??;
        self.seen = Some(stamps);
        match found {
            Ok(identity) => self.show(identity, is_asked),
            Err(error) => {
                self.refuse(&error, is_asked);
                None
            }
        }
    }

    fn show(&mut self, identity: Identity, is_asked: bool) -> Option<String> {
        let Identity { config, fingerprint } = identity;
        let (had_trouble, cert) = (self.trouble.take().is_some(), self.files.cert.display());
        if fingerprint == self.fingerprint && !is_asked && !had_trouble {
            return None;
        }
        self.shown.send_replace(config);
        if fingerprint == self.fingerprint {
            tracing::info!(
                "{cert} was read again; it is the same certificate, SHA-256 {fingerprint}"
            );
            return None;
        }
        tracing::info!("{cert} is shown to whoever connects from now on, SHA-256 {fingerprint}");
        self.fingerprint.clone_from(&fingerprint);
        Some(fingerprint)
    }

    fn refuse(&mut self, error: &TlsError, is_asked: bool) {
        let trouble = error.to_string();
        if is_asked || self.trouble.as_ref() != Some(&trouble) {
            let fingerprint = &self.fingerprint;
            tracing::warn!(
                "{trouble}: the certificate before is shown meanwhile, SHA-256 {fingerprint}; put a \
                 certificate and its own key into the two files"
            );
        }
        self.trouble = Some(trouble);
    }
}

#[cfg(test)]
mod tests {
    use super::super::made;
    use super::*;
    use crate::domain::time::Timestamp;

    /// A pair of files with a certificate of their own.
    fn pair(dir: &Path) -> (PathBuf, PathBuf, String) {
        let made = made(dir, &[], Timestamp::from_millis(1_790_000_000_000)).expect("made");
        (dir.join("self-signed.pem"), dir.join("self-signed.key"), made.identity.fingerprint)
    }

    #[tokio::test]
    async fn files_that_were_replaced_are_noticed_and_broken_ones_change_nothing() {
        let dirs = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
        let [(cert, key, first), (cert2, key2, second), (_, foreign, _)] =
            [0, 1, 2].map(|at| pair(dirs[at].path()));
        let known = from_files(&cert, &key).expect("a certificate");
        let (mut renewal, listener) = Renewal::new(cert.clone(), key.clone(), known);
        let began = Arc::clone(&listener.borrow());
        assert_eq!(renewal.look(false).await, None);
        assert_eq!(renewal.look(true).await, None, "the same certificate is no news");

        let before = Arc::clone(&listener.borrow());
        assert!(!Arc::ptr_eq(&began, &before), "yet it was read");
        fs::copy(&foreign, &key).expect("replaced");
        assert_eq!(renewal.look(false).await, None);
        assert!(renewal.trouble.as_ref().is_some_and(|text| text.contains("its key")));
        assert!(Arc::ptr_eq(&before, &listener.borrow()), "the one before is shown");

        // One file after the other, as a program that renews certificates does it.
        fs::copy(&cert2, &cert).expect("replaced");
        assert_eq!(renewal.look(false).await, None);
        fs::copy(&key2, &key).expect("replaced");
        assert_eq!(renewal.look(false).await, Some(second.clone()));
        assert!(!Arc::ptr_eq(&before, &listener.borrow()) && renewal.trouble.is_none());
        let now = Arc::clone(&listener.borrow());
        assert_eq!(renewal.look(false).await, None);
        assert!(Arc::ptr_eq(&now, &listener.borrow()), "untouched files are not read again");

        fs::remove_file(&cert).expect("removed");
        assert_eq!(renewal.look(false).await, None);
        assert!(renewal.trouble.as_ref().is_some_and(|text| text.contains("cannot be read")));
        fs::copy(&cert2, &cert).expect("put back");
        assert_eq!((renewal.look(false).await, renewal.trouble.clone()), (None, None));
        assert_ne!(first, second);
    }
}
