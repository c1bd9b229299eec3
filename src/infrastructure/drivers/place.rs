//! The folder of a run.

use std::path::Path;

use crate::application::ports::driver::DriverError;
use crate::domain::session::attempt::ErrorType;

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
