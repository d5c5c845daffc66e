//! Which service a command talks to: options, then the environment, then the `dev.env` of a `muster dev` on this
//! machine. Owns where each value comes from; must not know what is asked.

#![allow(clippy::doc_markdown)] // comments of options are the help's text

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dps_model::connection_string::ConnectionString;

use super::api::control_plane::ResourceId;
use super::api::target::{Credential, Target};
use super::api::{ControlPlane, Failure, ServiceApi};
use super::value::value_or_file;
use crate::config::environment;
use crate::dev::env_file;

const LOGIN: &str = "MUSTER_SERVICE_CONNECTION_STRING";
const SERVICE_HOST: &str = "MUSTER_SERVICE_HOST";
const MANAGEMENT_URL: &str = "MUSTER_MANAGEMENT_URL";
const RESOURCE_ID: &str = "MUSTER_RESOURCE_ID";
const TOKEN: &str = "MUSTER_BEARER_TOKEN";
const CA_FILE: &str = "MUSTER_CA_FILE";
/// Where `muster dev` keeps its things when nobody says where.
const DATA_DIR: &str = "./muster-data";
const AZURE_MANAGEMENT: &str = "https://management.azure.com";

/// Options of every command.
#[derive(clap::Args, Clone, Default)]
#[command(next_help_heading = "Connection")]
pub struct TrustOptions {
    /// Bearer token, or @FILE that holds it [env: MUSTER_BEARER_TOKEN]
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Trust these certificates (PEM) besides the machine's [env: MUSTER_CA_FILE]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Take address, credential and CA from the dev.env of a `muster dev` that runs on this machine [default:
    /// ./muster-data, when nothing else is said]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Where the service API is, and what opens it.
#[derive(clap::Args, Clone, Default)]
#[command(next_help_heading = "Connection")]
pub struct ServiceOptions {
    /// Connection string of a shared access policy, or @FILE that holds it. One on the command line can be read by every
    /// other user of this machine [env: MUSTER_SERVICE_CONNECTION_STRING]
    #[arg(long, short, value_name = "STRING", conflicts_with_all = ["token", "host"])]
    login: Option<String>,
    /// Host of the service API, with its port where it is not 443; used with --token [env: MUSTER_SERVICE_HOST]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    #[command(flatten)]
    trust: TrustOptions,
}

/// Where the control plane is, and what opens it.
#[derive(clap::Args, Clone, Default)]
#[command(next_help_heading = "Connection")]
pub struct ControlOptions {
    /// Base URL of the control plane [env: MUSTER_MANAGEMENT_URL]
    #[arg(long, value_name = "URL")]
    management_url: Option<String>,
    /// ARM id of the provisioning service; the three options below say its parts [env: MUSTER_RESOURCE_ID]
    #[arg(long, value_name = "ID")]
    resource_id: Option<String>,
    /// Subscription of the provisioning service
    #[arg(long, value_name = "ID")]
    subscription: Option<String>,
    /// Resource group of the provisioning service
    #[arg(long, short = 'g', value_name = "NAME")]
    pub resource_group: Option<String>,
    #[command(flatten)]
    trust: TrustOptions,
}

/// The provisioning service that a command looks into.
#[derive(clap::Args, Clone, Default)]
#[command(next_help_heading = "Connection")]
pub struct InstanceOptions {
    /// Name of the provisioning service [default: from the resource id]
    #[arg(long, value_name = "NAME")]
    dps_name: Option<String>,
    #[command(flatten)]
    control: ControlOptions,
}

impl TrustOptions {
    /// The `muster dev` that is meant, with its bearer token.
    pub fn dev_server(&self) -> Result<Target, Failure> {
        let sources = Sources::new(self);
        let (token, named) = sources.token()?;
        let Some(url) = sources.beside(&named, MANAGEMENT_URL) else {
            return Err(sources.nothing("say --data-dir of a running `muster dev`"));
        };
        let ca = sources.ca(named.ends_with("dev.env"))?;
        Ok(Target { base: base_url(&url)?, credential: Credential::Bearer(token), ca, named })
    }
}

impl ServiceOptions {
    /// The client of the service API that is meant.
    pub fn open(&self) -> Result<ServiceApi, Failure> {
        ServiceApi::new(self.target(&Sources::new(&self.trust))?)
    }

    fn target(&self, sources: &Sources) -> Result<Target, Failure> {
        if let Some(text) = &self.login {
            return by_policy(&value_or_file(text)?, "the connection string of --login", sources.ca(false)?);
        }
        // A token from the environment alone says nothing of the service API: dev.env has one beside its string.
        if self.trust.token.is_some() || self.host.is_some() {
            let (token, named) = sources.token()?;
            let host = self.host.clone().or_else(|| sources.beside(&named, SERVICE_HOST));
            let host = host.ok_or_else(|| Failure::Usage("say --host beside --token".to_owned()))?;
            let base = format!("https://{}", host.trim_end_matches('/').trim_start_matches("https://"));
            return Ok(Target { base, credential: Credential::Bearer(token), ca: sources.ca(false)?, named });
        }
        let Some((text, named)) = sources.find(LOGIN) else {
            return Err(sources.nothing(
                "say --login CONNECTION_STRING or --login @FILE, --host and --token, or --data-dir of a running \
                 `muster dev`",
            ));
        };
        by_policy(&text, &named, sources.ca(named.ends_with("dev.env"))?)
    }
}

impl InstanceOptions {
    /// The client of the control plane, for the provisioning service that is meant.
    pub fn open(&self) -> Result<ControlPlane, Failure> {
        self.control.open(self.dps_name.as_deref())
    }
}

impl ControlOptions {
    /// The client of the control plane, for the provisioning service of that name.
    pub fn open(&self, name: Option<&str>) -> Result<ControlPlane, Failure> {
        let sources = Sources::new(&self.trust);
        let (target, id) = self.target(&sources, name)?;
        ControlPlane::new(target, id)
    }

    fn target(&self, sources: &Sources, name: Option<&str>) -> Result<(Target, ResourceId), Failure> {
        let (token, named) = sources.token()?;
        let id = self.resource_id.clone().or_else(|| sources.beside(&named, RESOURCE_ID));
        let mut id = id.as_deref().map(ResourceId::parse).transpose()?.unwrap_or_default();
        for (part, said) in [
            (&mut id.subscription, self.subscription.as_deref()),
            (&mut id.resource_group, self.resource_group.as_deref()),
            (&mut id.name, name),
        ] {
            if let Some(said) = said {
                *part = Some(said.to_owned());
            }
        }
        let url = self.management_url.clone().or_else(|| sources.beside(&named, MANAGEMENT_URL));
        let base = base_url(url.as_deref().unwrap_or(AZURE_MANAGEMENT))?;
        let ca = sources.ca(named.ends_with("dev.env"))?;
        Ok((Target { base, credential: Credential::Bearer(token), ca, named }, id))
    }
}

fn by_policy(text: &str, named: &str, ca: Option<Vec<u8>>) -> Result<Target, Failure> {
    let policy =
        ConnectionString::parse(text).map_err(|error| Failure::Usage(format!("{named}: {error}")))?;
    let base = format!("https://{}", policy.host);
    Ok(Target { base, credential: Credential::Policy(policy), ca, named: named.to_owned() })
}

/// A token travels over TLS, or stays on this machine.
pub fn base_url(text: &str) -> Result<String, Failure> {
    let url = reqwest::Url::parse(text)
        .map_err(|error| Failure::Usage(format!("{text} is no URL of a service: {error}")))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback());
    match url.scheme() {
        "https" => Ok(text.trim_end_matches('/').to_owned()),
        "http" if is_here => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err(Failure::Usage(format!("{text}: a service is asked over https, else its token is read"))),
    }
}

/// Where values come from, in order: the data directory when it was said, the environment, and the usual data directory.
pub struct Sources<'a> {
    options: &'a TrustOptions,
    environment: fn(&str) -> Option<String>,
    /// The usual data directory.
    usual: PathBuf,
}

impl<'a> Sources<'a> {
    pub fn new(options: &'a TrustOptions) -> Self {
        Self { options, environment: environment::variable, usual: DATA_DIR.into() }
    }

    /// A value, and what it was taken from.
    fn find(&self, key: &str) -> Option<(String, String)> {
        if let Some(folder) = &self.options.data_dir {
            return from_dev_env(folder, key);
        }
        match (self.environment)(key) {
            Some(text) => Some((text, format!("the environment's {key}"))),
            None => from_dev_env(&self.usual, key),
        }
    }

    /// Where a credential goes. A dev.env that nobody named says so only for the credential that is written in it:
    /// whoever made this directory must not choose who hears a token that was meant for another service.
    pub fn beside(&self, credential: &str, key: &str) -> Option<String> {
        let (text, named) = self.find(key)?;
        let unasked = self.options.data_dir.is_none() && named.ends_with("dev.env");
        (!unasked || named == credential).then_some(text)
    }

    pub fn token(&self) -> Result<(String, String), Failure> {
        if let Some(text) = &self.options.token {
            return Ok((value_or_file(text)?.trim().to_owned(), "--token".to_owned()));
        }
        let found = self.find(TOKEN);
        found.ok_or_else(|| {
            self.nothing("say --token TOKEN or --token @FILE, or --data-dir of a running `muster dev`")
        })
    }

    /// Certificates to trust: what was said, else those beside the dev.env that the credential is from, else the
    /// environment's.
    pub fn ca(&self, of_dev_env: bool) -> Result<Option<Vec<u8>>, Failure> {
        let folder = self.options.data_dir.clone().unwrap_or_else(|| self.usual.clone());
        let path = match &self.options.ca_file {
            Some(path) => Some(path.clone()),
            None if of_dev_env || self.options.data_dir.is_some() => Some(folder.join("ca.pem")),
            None => (self.environment)(CA_FILE).map(PathBuf::from),
        };
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
        };
        Ok(path.as_ref().map(read).transpose()?)
    }

    fn nothing(&self, what: &str) -> Failure {
        let missing = match &self.options.data_dir {
            Some(folder) => {
                format!(
                    "there is no {}: is `muster dev` running? It removes the file when it stops",
                    dev_env(folder).display()
                )
            }
            None => "no service is named".to_owned(),
        };
        Failure::Usage(format!("{missing}; {what}"))
    }
}

fn dev_env(folder: &Path) -> PathBuf {
    folder.join("dev.env")
}

fn from_dev_env(folder: &Path, key: &str) -> Option<(String, String)> {
    let path = dev_env(folder);
    let text = std::fs::read_to_string(&path).ok()?;
    let mut pairs: HashMap<String, String> = env_file::pairs(&text)?;
    Some((pairs.remove(key)?, path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRING: &str = "HostName=a.example:8443;SharedAccessKeyName=owner;SharedAccessKey=YWJjZA==";

    fn sources(options: &TrustOptions) -> Sources<'_> {
        let environment = |key: &str| match key {
            LOGIN => Some(STRING.replace("a.example", "b.example")),
            TOKEN => Some("environment-token".to_owned()),
            RESOURCE_ID => Some("/subscriptions/s/resourceGroups/g".to_owned()),
            _ => None,
        };
        Sources { options, environment, usual: "/nowhere".into() }
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let text = STRING.replace("a.example", "c.example");
        std::fs::write(
            folder.path().join("dev.env"),
            format!("{LOGIN}='{text}'\n{TOKEN}=dev-token\n{MANAGEMENT_URL}=https://c.example:8443\n"),
        )
        .unwrap();
        std::fs::write(folder.path().join("ca.pem"), "pem").unwrap();
        folder
    }

    #[test]
    fn service_is_the_options_then_the_directorys_then_the_environments() {
        let login = ServiceOptions { login: Some(STRING.into()), ..ServiceOptions::default() };
        let target = login.target(&sources(&login.trust)).ok().unwrap();
        assert_eq!((target.base.as_str(), &target.ca), ("https://a.example:8443", &None));
        assert!(target.authorization_is("SharedAccessSignature sr=a.example&"));

        let plain = ServiceOptions::default();
        let target = plain.target(&sources(&plain.trust)).ok().unwrap();
        assert_eq!(target.base, "https://b.example:8443");
        assert_eq!(target.named, format!("the environment's {LOGIN}"));

        let folder = folder();
        let trust = TrustOptions { data_dir: Some(folder.path().into()), ..TrustOptions::default() };
        let said = ServiceOptions { trust, ..ServiceOptions::default() };
        let target = said.target(&sources(&said.trust)).ok().unwrap();
        assert_eq!((target.base.as_str(), target.ca), ("https://c.example:8443", Some(b"pem".to_vec())));
        assert!(target.named.ends_with("dev.env"), "{}", target.named);
    }

    #[test]
    fn service_with_a_token_needs_a_host() {
        let trust = TrustOptions { token: Some("t".into()), ..TrustOptions::default() };
        let mut options = ServiceOptions { trust, ..ServiceOptions::default() };
        assert_eq!(options.target(&sources(&options.trust)).err().unwrap().exit_status(), 2);
        options.host = Some("a.example".into());
        let target = options.target(&sources(&options.trust)).ok().unwrap();
        assert_eq!(
            (target.base.as_str(), target.authorization().as_str()),
            ("https://a.example", "Bearer t")
        );
    }

    #[test]
    fn control_plane_takes_parts_of_the_id_from_options() {
        let options = ControlOptions { resource_group: Some("other".into()), ..ControlOptions::default() };
        let (target, id) = options.target(&sources(&options.trust), Some("n")).ok().unwrap();
        let parts = [id.subscription, id.resource_group, id.name];
        assert_eq!(parts, [Some("s".to_owned()), Some("other".to_owned()), Some("n".to_owned())]);
        assert_eq!(target.base, AZURE_MANAGEMENT);
        assert_eq!(target.authorization(), "Bearer environment-token");

        let folder = folder();
        let trust = TrustOptions { data_dir: Some(folder.path().into()), ..TrustOptions::default() };
        let options = ControlOptions { trust, ..ControlOptions::default() };
        let (target, _) = options.target(&sources(&options.trust), None).ok().unwrap();
        assert_eq!(
            (target.base.as_str(), target.authorization().as_str()),
            ("https://c.example:8443", "Bearer dev-token")
        );
    }

    #[test]
    fn token_from_elsewhere_does_not_go_where_an_unasked_directory_says() {
        let folder = folder();
        let options = ControlOptions::default();
        let here = |options| Sources { usual: folder.path().into(), ..sources(options) };
        let (target, _) = options.target(&here(&options.trust), None).ok().unwrap();
        assert_eq!(
            (target.base.as_str(), target.authorization().as_str()),
            (AZURE_MANAGEMENT, "Bearer environment-token")
        );
        let without = Sources { environment: |_| None, ..here(&options.trust) };
        let (target, _) = options.target(&without, None).ok().unwrap();
        assert_eq!(
            (target.base.as_str(), target.authorization().as_str()),
            ("https://c.example:8443", "Bearer dev-token")
        );
        std::fs::write(folder.path().join("dev.env"), format!("{SERVICE_HOST}=c.example\n")).unwrap();
        let trust = TrustOptions { token: Some("t".into()), ..TrustOptions::default() };
        let options = ServiceOptions { trust, ..ServiceOptions::default() };
        assert_eq!(options.target(&here(&options.trust)).err().unwrap().exit_status(), 2);
    }

    #[test]
    fn token_is_not_sent_in_clear_text() {
        for good in ["https://a.example/", "http://127.0.0.1:5", "http://[::1]:5", "http://localhost:5/"] {
            assert!(base_url(good).is_ok_and(|url| !url.ends_with('/')), "{good}");
        }
        for bad in ["http://a.example", "ftp://localhost", "a.example"] {
            assert_eq!(base_url(bad).err().unwrap().exit_status(), 2, "{bad}");
        }
    }

    #[test]
    fn missing_server_is_named_with_its_directory() {
        let empty = tempfile::tempdir().unwrap();
        let trust = TrustOptions { data_dir: Some(empty.path().into()), ..TrustOptions::default() };
        let options = ServiceOptions { trust, ..ServiceOptions::default() };
        let text = options.target(&sources(&options.trust)).err().unwrap().to_string();
        assert!(text.contains("dev.env: is `muster dev` running?") && text.contains("--login"), "{text}");
    }

    impl Target {
        fn authorization_is(&self, start: &str) -> bool {
            self.authorization().starts_with(start)
        }
    }
}
