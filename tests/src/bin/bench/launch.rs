//! The app: launch to ready, memory.

/// Prints the app's figures.
pub async fn measure() -> anyhow::Result<()> {
    Ok(())
}
