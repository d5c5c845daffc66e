//! Name constraints of a CA (RFC 5280 §4.2.1.10) and the names they bind. Owns the comparison of each form of name;
//! must not know paths.

use x509_parser::extensions::{GeneralName, GeneralSubtree, NameConstraints};

use super::certificate::ParsedCertificate;
use super::name;

/// A name that constraints may speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Dns(String),
    Email(String),
    Uri(String),
    Ip(Vec<u8>),
}

/// One subtree.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subtree {
    Directory(Vec<Vec<u8>>),
    Dns(String),
    Email(String),
    Uri(String),
    /// Address, then mask.
    Ip(Vec<u8>),
}

/// The subtrees below a CA.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Constraints {
    permitted: Vec<Subtree>,
    excluded: Vec<Subtree>,
}

impl Constraints {
    /// `None` when a form of name is constrained that is not understood.
    pub(crate) fn read(extension: &NameConstraints<'_>) -> Option<Self> {
        let subtrees = |list: &Option<Vec<GeneralSubtree<'_>>>| {
            list.iter().flatten().map(|subtree| Subtree::read(&subtree.base)).collect::<Option<Vec<_>>>()
        };
        Some(Self {
            permitted: subtrees(&extension.permitted_subtrees)?,
            excluded: subtrees(&extension.excluded_subtrees)?,
        })
    }

    /// The first name of the certificate that these constraints forbid.
    pub(crate) fn forbidden(&self, certificate: &ParsedCertificate) -> Option<String> {
        let subject = &certificate.subject_rdns;
        if !subject.is_empty() && self.forbids(|subtree| subtree.holds_directory(subject)) {
            return Some(certificate.info.subject_name.clone());
        }
        let names = &certificate.extensions.alternative_names;
        names.iter().find(|name| self.forbids(|subtree| subtree.holds(name))).map(Name::text)
    }

    /// `holds` says `None` of a subtree of another form.
    fn forbids(&self, holds: impl Fn(&Subtree) -> Option<bool>) -> bool {
        let mut permitted = self.permitted.iter().filter_map(&holds).peekable();
        let outside = permitted.peek().is_some() && !permitted.any(|inside| inside);
        outside || self.excluded.iter().filter_map(&holds).any(|inside| inside)
    }
}

impl Subtree {
    fn read(base: &GeneralName<'_>) -> Option<Self> {
        match base {
            GeneralName::DirectoryName(name) => Some(Self::Directory(name::rdns(name))),
            GeneralName::DNSName(name) => Some(Self::Dns(name.to_ascii_lowercase())),
            GeneralName::RFC822Name(name) => Some(Self::Email(name.to_ascii_lowercase())),
            GeneralName::URI(name) => Some(Self::Uri(name.to_ascii_lowercase())),
            GeneralName::IPAddress(bytes) if matches!(bytes.len(), 8 | 32) => Some(Self::Ip(bytes.to_vec())),
            _ => None,
        }
    }

    fn holds_directory(&self, subject: &[Vec<u8>]) -> Option<bool> {
        match self {
            Self::Directory(base) => Some(subject.starts_with(base)),
            _ => None,
        }
    }

    fn holds(&self, name: &Name) -> Option<bool> {
        match (self, name) {
            (Self::Dns(base), Name::Dns(host)) => Some(host_below(host, base)),
            (Self::Uri(base), Name::Uri(uri)) => Some(uri_host(uri).is_some_and(|host| host_in(host, base))),
            (Self::Email(base), Name::Email(address)) => Some(email_in(address, base)),
            (Self::Ip(base), Name::Ip(address)) => Some(address_in(address, base)),
            _ => None,
        }
    }
}

/// A DNS base holds itself and every host below it; an empty one holds all.
fn host_below(host: &str, base: &str) -> bool {
    let base = base.trim_start_matches('.');
    base.is_empty() || host == base || host.strip_suffix(base).is_some_and(|head| head.ends_with('.'))
}

/// In URIs and mail addresses a base is one host, or with a leading dot every host below it.
fn host_in(host: &str, base: &str) -> bool {
    if base.starts_with('.') { host.len() > base.len() && host.ends_with(base) } else { host == base }
}

fn uri_host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    Some(host.split(':').next().unwrap_or(host))
}

fn email_in(address: &str, base: &str) -> bool {
    if base.contains('@') {
        return address == base;
    }
    address.rsplit_once('@').is_some_and(|(_, host)| host_in(host, base))
}

fn address_in(address: &[u8], base: &[u8]) -> bool {
    let Some((network, mask)) = base.split_at_checked(address.len()) else { return false };
    mask.len() == address.len()
        && address.iter().zip(network).zip(mask).all(|((byte, network), mask)| byte & mask == network & mask)
}

impl Name {
    /// The form of a subject alternative name that constraints may speak of.
    pub(crate) fn read(name: &GeneralName<'_>) -> Option<Self> {
        match name {
            GeneralName::DNSName(name) => Some(Self::Dns(name.to_ascii_lowercase())),
            GeneralName::RFC822Name(name) => Some(Self::Email(name.to_ascii_lowercase())),
            GeneralName::URI(name) => Some(Self::Uri(name.to_ascii_lowercase())),
            GeneralName::IPAddress(bytes) => Some(Self::Ip(bytes.to_vec())),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Dns(text) | Self::Email(text) | Self::Uri(text) => text.clone(),
            Self::Ip(bytes) => hex::encode(bytes),
        }
    }
}
