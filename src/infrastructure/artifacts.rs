//! Artifacts as files: `<root>/<tenant>/<session>/<SHA-256>`.
//!
//! Invariant: under its name a file is complete and durable; what an agent calls it is no part of where it
//! lies.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::application::ports::artifacts::{ArtifactError, ArtifactFiles, Kept};
use crate::domain::canonical::{hex, sha256};
use crate::domain::eap::result::Encoding;
use crate::domain::ids::{SessionId, TenantId};

/// Tells files apart that are being written.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// Artifacts below one folder.
#[derive(Debug, Clone)]
pub struct ArtifactFolder {
    root: PathBuf,
}

impl ArtifactFolder {
    /// Below this folder, which need not be there yet.
    #[must_use]
    pub const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn folder(&self, (tenant, session): (TenantId, SessionId)) -> PathBuf {
        self.root.join(tenant.to_string()).join(session.to_string())
    }
}

/// Runs file work where it may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArtifactError> + Send + 'static,
) -> Result<T, ArtifactError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(failed(error)))
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> ArtifactError {
    ArtifactError::Failed(Box::new(error))
}

fn write(folder: &Path, bytes: &[u8]) -> std::io::Result<Kept> {
    let (hash, size) = (sha256(bytes), u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    let path = folder.join(hex(&hash));
    if path.exists() {
        return Ok(Kept { sha256: hash, size });
    }
    fs::create_dir_all(folder)?;
    // Two may bring the same at once.
    let number = WRITES.fetch_add(1, Ordering::Relaxed);
    let fresh = path.with_extension(format!("{}-{number}", std::process::id()));
    let written = fs::File::create_new(&fresh).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    });
    if written.is_err() {
        drop(fs::remove_file(&fresh));
    }
    written?;
    // The file, its folder and the folders above it are to survive a power cut.
    for folder in path.ancestors().skip(1).take(3) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(Kept { sha256: hash, size })
}

#[async_trait]
impl ArtifactFiles for ArtifactFolder {
    async fn keep(
        &self,
        of: (TenantId, SessionId),
        content: &str,
        encoding: Encoding,
    ) -> Result<Kept, ArtifactError> {
        let bytes = match encoding {
            Encoding::Utf8 => content.as_bytes().to_vec(),
            Encoding::Base64 => {
                STANDARD.decode(content.trim()).map_err(|_| ArtifactError::Misspelled)?
            }
        };
        let folder = self.folder(of);
        blocking(move || write(&folder, &bytes).map_err(failed)).await
    }

    async fn read(
        &self,
        of: (TenantId, SessionId),
        hash: [u8; 32],
    ) -> Result<Vec<u8>, ArtifactError> {
        let path = self.folder(of).join(hex(&hash));
        blocking(move || match fs::read(path) {
            Ok(bytes) if sha256(&bytes) == hash => Ok(bytes),
            Ok(_) => Err(ArtifactError::Gone),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(ArtifactError::Gone),
            Err(error) => Err(failed(error)),
        })
        .await
    }

    async fn remove(&self, of: (TenantId, SessionId)) -> Result<(), ArtifactError> {
        let folder = self.folder(of);
        blocking(move || match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(error)),
            Ok(()) | Err(_) => Ok(()),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn files_are_kept_by_hash_and_each_session_has_its_own() {
        let root = tempfile::tempdir().expect("a folder");
        let files = ArtifactFolder::new(root.path().join("artifacts"));
        let one = (TenantId::BOOTSTRAP, SessionId::new(Uuid::from_u128(1)));
        let other = (TenantId::BOOTSTRAP, SessionId::new(Uuid::from_u128(2)));
        let kept = files.keep(one, "three apples", Encoding::Utf8).await.expect("kept");
        assert_eq!((kept.size, kept.sha256), (12, sha256(b"three apples")));
        let again = files.keep(one, "dGhyZWUgYXBwbGVz", Encoding::Base64).await.expect("kept");
        assert_eq!(again, kept, "the same bytes, however they are spelled");
        assert_eq!(files.read(one, kept.sha256).await.expect("read"), b"three apples");
        assert!(matches!(files.read(other, kept.sha256).await, Err(ArtifactError::Gone)));
        let wrong = files.keep(one, "no base64!", Encoding::Base64).await;
        assert!(matches!(wrong, Err(ArtifactError::Misspelled)));
        let path = files.folder(one).join(hex(&kept.sha256));
        fs::write(&path, "four apples").expect("written");
        assert!(matches!(files.read(one, kept.sha256).await, Err(ArtifactError::Gone)), "bent");
        files.remove(one).await.expect("removed");
        assert!(!path.exists());
        files.remove(one).await.expect("again");
    }
}
