//! The folder of a run.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::application::ports::driver::DriverError;
use crate::domain::session::attempt::ErrorType;

/// Removes the home of an agent that is gone for good; links in it are removed, not followed.
pub(super) async fn remove_home(home: PathBuf) -> Result<(), DriverError> {
    match tokio::fs::remove_dir_all(&home).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => {
            let why = format!("{} cannot be removed: {error}", home.display());
            Err(DriverError::new(ErrorType::Internal, why))
        }
    }
}

/// The directory as `who` will name it.
pub(super) async fn directory(workdir: &Path, who: &str) -> Result<String, DriverError> {
    let wrong = |why: String| DriverError::new(ErrorType::WorkspaceError, why);
    let shown = workdir.display();
    let path = tokio::fs::canonicalize(workdir)
        .await
        .map_err(|error| wrong(format!("the working directory {shown} cannot be used: {error}")))?;
    if path != workdir {
        return Err(wrong(format!(
            "{shown} is, or lies behind, a link; it was none when it was looked at"
        )));
    }
    let is_directory = tokio::fs::metadata(&path).await.is_ok_and(|found| found.is_dir());
    match path.into_os_string().into_string() {
        Ok(path) if is_directory => Ok(path),
        Ok(path) => Err(wrong(format!("{path} is not a directory"))),
        Err(_) => Err(wrong(format!("the path {shown} is not UTF-8, which {who} needs"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_home_goes_with_all_that_is_in_it_and_nothing_beside_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let (home, beside) = (dir.path().join("home"), dir.path().join("beside"));
        for folder in [home.join("deep/er"), beside.clone()] {
            std::fs::create_dir_all(&folder).expect("made");
            std::fs::write(folder.join("kept"), "x").expect("written");
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(&beside, home.join("link")).expect("a link");
        remove_home(home.clone()).await.expect("removed");
        assert!(!home.exists() && beside.join("kept").exists());
        remove_home(home).await.expect("nothing is left to remove");
    }
}
