//! Who may do what on a development server: its own token everything, and what the identity providers of its options say.
//! Must not know what is called.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use dps_access::{AccessControl, HttpKeys, IdentityProvider, KeyFetch};
use dps_model::Secret;
use dps_model::limits::MAX_IDENTITY_PROVIDERS;

/// Shared access signatures, the server's own token, and the tokens of these providers. Their keys may come over plain
/// HTTP from this machine.
pub fn access(token: Secret, files: &[PathBuf], tls: rustls::ClientConfig) -> anyhow::Result<AccessControl> {
    anyhow::ensure!(
        files.len() <= MAX_IDENTITY_PROVIDERS,
        "--identity-provider: at most {MAX_IDENTITY_PROVIDERS} providers"
    );
    let providers = files.iter().map(|file| read(file)).collect::<anyhow::Result<_>>()?;
    let keys: Arc<dyn KeyFetch> = Arc::new(HttpKeys::new(tls, true)?);
    Ok(AccessControl::new(providers, &keys).with_management_token(token))
}

fn read(file: &Path) -> anyhow::Result<IdentityProvider> {
    let named = || format!("--identity-provider {}", file.display());
    let text = std::fs::read_to_string(file).with_context(named)?;
    let provider: IdentityProvider = toml::from_str(&text).with_context(named)?;
    provider.check(true).with_context(named)?;
    Ok(provider)
}

#[cfg(test)]
mod tests {
    #[test]
    fn provider_that_cannot_be_named_with_its_file_and_member() {
        let directory = tempfile::tempdir().unwrap();
        for (text, told) in [
            ("issuer = 'http://10.0.0.1'", "issuer"),
            ("issuer = 'https://login.test'\nroles = []", "roles"),
            ("issuer = 'https://login.test'\n[[role_assignments]]\nclaim = 'a'", "missing field"),
        ] {
            let file = directory.path().join("provider.toml");
            std::fs::write(&file, text).unwrap();
            let error = format!("{:#}", super::read(&file).unwrap_err());
            assert!(error.starts_with("--identity-provider ") && error.contains(told), "{error}");
        }
        assert!(super::read(&directory.path().join("absent")).is_err());
    }
}
