//! Keys that were made at random are told once, in a file beside the store. Must not know why they were made.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::IdScope;
use dps_model::instance::AccessPolicy;

use crate::server::data_dir::DataDir;

/// An instance with policies whose keys were made.
pub struct Announcement<'a> {
    /// Its name.
    pub instance: &'a str,
    /// What devices name it by.
    pub id_scope: &'a IdScope,
    /// Host that its service API is called by, with a port that is not 443.
    pub host: &'a str,
    /// The policies.
    pub policies: Vec<&'a AccessPolicy>,
}

impl Announcement<'_> {
    /// Writes the file, mode 0600; a shell can source it, as `dev.env` can be.
    pub fn write(&self, directory: &DataDir) -> anyhow::Result<()> {
        let Self { instance, id_scope, host, policies } = self;
        let mut text = format!(
            "# Keys of {instance} that were made at random. They are told here and nowhere else: keep what you need, \
             then remove this file.\nMUSTER_ID_SCOPE={id_scope}\n"
        );
        for (index, policy) in policies.iter().enumerate() {
            let key = STANDARD.encode(policy.primary.expose());
            let name = if index == 0 { String::new() } else { format!("_{}", index + 1) };
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "MUSTER_SERVICE_CONNECTION_STRING{name}='HostName={host};SharedAccessKeyName={};SharedAccessKey={key}'",
                policy.name
            );
        }
        let name = format!("{instance}.env");
        directory.write(&name, &text)?;
        let file = directory.file(&name);
        tracing::info!(instance, file = %file.display(), "keys were made; they are told in this file alone");
        Ok(())
    }
}
