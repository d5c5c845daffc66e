//! The provisioning services of this server: read on every request from a view in memory, changed seldom.
//! Owns the view and how it follows the store; must not know who asks or who may change what.

mod access_key;
mod certificates;
mod edit;
mod lifecycle;
mod record;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dps_model::instance::{Instance, InstanceState};
use dps_model::{Error, limits};

pub use access_key::access_key;
pub use certificates::{CaCertificates, CertificateChange};
pub use edit::Change;
pub use lifecycle::Lifecycle;

use crate::ports::{Collection, Page, Store};

/// All provisioning services of this server.
pub struct Instances {
    store: Arc<dyn Store>,
    /// Document id of the one that answers where none is named.
    default: String,
    view: ArcSwap<View>,
    /// Host names that are an instance's own, in lower case, with its document id.
    hosts: ArcSwap<HashMap<String, String>>,
    /// One change at a time keeps the view in the order of the writes.
    changing: tokio::sync::Mutex<()>,
}

struct View {
    default: Arc<Instance>,
    by_scope: HashMap<String, Arc<Instance>>,
    by_name: HashMap<String, Arc<Instance>>,
    by_rows: HashMap<String, Arc<Instance>>,
}

impl Instances {
    /// Loads all instances. `default` answers for every host name that names no other; it is created when absent.
    /// When it is there, `renew` brings the kept one up to date with it.
    pub async fn open(
        store: Arc<dyn Store>,
        default: Instance,
        renew: impl FnOnce(&mut Instance, Instance) + Send,
    ) -> Result<Self, Error> {
        edit::ensure(store.as_ref(), default.clone(), renew).await?;
        let id = record::id(&default.name);
        let loaded = load(store.as_ref(), &id).await?;
        let view =
            loaded.ok_or_else(|| Error::internal("the default instance is missing after its write"))?;
        Ok(Self {
            store,
            default: id,
            view: ArcSwap::from_pointee(view),
            hosts: ArcSwap::default(),
            changing: tokio::sync::Mutex::default(),
        })
    }

    /// The instance of that id scope.
    pub fn by_scope(&self, id_scope: &str) -> Option<Arc<Instance>> {
        self.view.load().by_scope.get(&id_scope.to_ascii_lowercase()).cloned()
    }

    /// The instance whose own the host is, else the one that its first label names, else the default one.
    pub fn by_host(&self, host: &str) -> Arc<Instance> {
        let view = self.view.load();
        let host = host.to_ascii_lowercase();
        let label = host.split_once('.').map_or("", |(label, _)| label);
        let hosts = self.hosts.load();
        let owner = hosts.get(&host).and_then(|id| view.by_name.get(id));
        Arc::clone(owner.or_else(|| view.by_name.get(label)).unwrap_or(&view.default))
    }

    /// Gives instances host names of their own, by name of the instance; they replace those given before.
    pub fn name_hosts(&self, hosts: impl IntoIterator<Item = (String, String)>) {
        let hosts = hosts.into_iter().map(|(host, name)| (host.to_ascii_lowercase(), record::id(&name)));
        self.hosts.store(Arc::new(hosts.collect()));
    }

    /// The instance of that name.
    pub fn by_name(&self, name: &str) -> Option<Arc<Instance>> {
        self.view.load().by_name.get(&record::id(name)).cloned()
    }

    /// The instance that has the rows of that key.
    pub fn by_rows(&self, rows: &str) -> Option<Arc<Instance>> {
        self.view.load().by_rows.get(rows).cloned()
    }

    /// The instance that answers where none is named.
    pub fn default_instance(&self) -> Arc<Instance> {
        Arc::clone(&self.view.load().default)
    }

    /// Every instance that answers, in the order of names.
    pub fn all(&self) -> Vec<Arc<Instance>> {
        let mut all: Vec<_> = self.view.load().by_name.values().cloned().collect();
        all.sort_by_key(|instance| record::id(&instance.name));
        all
    }

    /// The store that the instances live in.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Makes the view what the store holds, changes by other nodes included.
    pub async fn refresh(&self) -> Result<(), Error> {
        let _in_order = self.changing.lock().await;
        self.reload().await
    }

    /// Shows a change that is written: what comes after it may fail.
    fn show(&self, changed: &Arc<Instance>) {
        let mut instances: Vec<_> = self.view.load().by_name.values().cloned().collect();
        instances.retain(|instance| instance.rows() != changed.rows());
        instances.push(Arc::clone(changed));
        if let Some(view) = View::of(instances, &self.default) {
            self.view.store(Arc::new(view));
        }
    }

    async fn reload(&self) -> Result<(), Error> {
        if let Some(view) = load(self.store.as_ref(), &self.default).await? {
            self.view.store(Arc::new(view));
        }
        Ok(())
    }
}

/// The view of what is stored; none without the default instance. An instance that is being deleted answers nobody.
async fn load(store: &dyn Store, default: &str) -> Result<Option<View>, Error> {
    let mut instances = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = Page {
            collection: Collection::Instances,
            instance: "",
            owner: None,
            after: after.as_deref(),
            limit: limits::MAX_PAGE,
        };
        let documents = store.page(page).await?;
        let Some(last) = documents.last() else { break };
        let next = last.id.clone();
        for document in &documents {
            instances.push(Arc::new(record::read(document)?));
        }
        after = Some(next);
    }
    Ok(View::of(instances, default))
}

impl View {
    /// Of these instances; none without the default one.
    fn of(mut instances: Vec<Arc<Instance>>, default: &str) -> Option<Self> {
        instances.retain(|instance| instance.resource.state != InstanceState::Deleting);
        let by = |key: fn(&Instance) -> String| {
            instances.iter().map(|instance| (key(instance), Arc::clone(instance))).collect::<HashMap<_, _>>()
        };
        let by_name = by(|instance| record::id(&instance.name));
        let default = by_name.get(default).cloned()?;
        let by_rows = by(|instance| instance.rows().to_owned());
        Some(Self { default, by_scope: by(|instance| instance.id_scope.key()), by_name, by_rows })
    }
}
