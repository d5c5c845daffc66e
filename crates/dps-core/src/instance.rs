//! The provisioning services of this server: loaded once, read on every request, changed seldom.
//! Owns the view in memory and its documents; must not know who asks.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::connection_string::ConnectionString;
use dps_model::enrollment::AllocationPolicy;
use dps_model::hub::LinkedHub;
use dps_model::instance::{AccessPolicy, Instance, Right};
use dps_model::{Error, Etag, HubName, IdScope, Secret};
use serde::{Deserialize, Serialize};

use crate::ports::{Collection, Document, Page, Precondition, Store, Write};

/// All provisioning services of this server.
pub struct Instances {
    store: Arc<dyn Store>,
    view: ArcSwap<View>,
}

struct View {
    default: Arc<Instance>,
    by_scope: HashMap<String, Arc<Instance>>,
    by_name: HashMap<String, Arc<Instance>>,
}

impl Instances {
    /// Loads all instances. `default` answers for every host name that names no other; it is created when absent and
    /// its linked hubs, resource id and location are brought up to date when present (keys and scope stay).
    pub async fn open(store: Arc<dyn Store>, default: Instance) -> Result<Self, Error> {
        let name = default.name.to_ascii_lowercase();
        let current = store.get(Collection::Instances, "", &name).await?;
        let default = match current.as_ref().map(read).transpose()? {
            Some(kept) => Instance {
                linked_hubs: default.linked_hubs,
                resource_id: default.resource_id,
                location: default.location,
                ..kept
            },
            None => default,
        };
        store.write(vec![write(&default, current.map(|document| document.etag))?]).await?;
        let mut instances = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = Page {
                collection: Collection::Instances,
                instance: "",
                owner: None,
                after: after.as_deref(),
                limit: dps_model::limits::MAX_PAGE,
            };
            let documents = store.page(page).await?;
            let Some(last) = documents.last() else { break };
            let next = last.id.clone();
            for document in &documents {
                instances.push(Arc::new(read(document)?));
            }
            after = Some(next);
        }
        let by = |key: fn(&Instance) -> String| {
            instances.iter().map(|instance| (key(instance), Arc::clone(instance))).collect::<HashMap<_, _>>()
        };
        let by_name = by(|instance| instance.name.to_ascii_lowercase());
        let default = by_name.get(&name).cloned().unwrap_or_else(|| Arc::new(default));
        let view = View { default, by_scope: by(|instance| instance.id_scope.key()), by_name };
        Ok(Self { store, view: ArcSwap::from_pointee(view) })
    }

    /// The instance of that id scope.
    pub fn by_scope(&self, id_scope: &str) -> Option<Arc<Instance>> {
        self.view.load().by_scope.get(&id_scope.to_ascii_lowercase()).cloned()
    }

    /// The instance that the first label of the host names, else the default one.
    pub fn by_host(&self, host: &str) -> Arc<Instance> {
        let view = self.view.load();
        let label = host.split_once('.').map_or("", |(label, _)| label).to_ascii_lowercase();
        Arc::clone(view.by_name.get(&label).unwrap_or(&view.default))
    }

    /// The instance of that name.
    pub fn by_name(&self, name: &str) -> Option<Arc<Instance>> {
        self.view.load().by_name.get(&name.to_ascii_lowercase()).cloned()
    }

    /// The instance that answers where none is named.
    pub fn default_instance(&self) -> Arc<Instance> {
        Arc::clone(&self.view.load().default)
    }

    /// The store that the instances live in.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    name: String,
    id_scope: IdScope,
    allocation_policy: AllocationPolicy,
    linked_hubs: Vec<HubBody>,
    access_policies: Vec<PolicyBody>,
    resource_id: String,
    location: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HubBody {
    name: HubName,
    allocation_weight: u32,
    apply_allocation_policy: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PolicyBody {
    name: String,
    rights: Vec<Right>,
}

/// Secrets in the order of the body's hubs and policies.
#[derive(Serialize, Deserialize)]
struct Sealed {
    connections: Vec<String>,
    keys: Vec<(String, String)>,
}

fn write(instance: &Instance, expected: Option<Etag>) -> Result<Write, Error> {
    let body = Body {
        name: instance.name.clone(),
        id_scope: instance.id_scope.clone(),
        allocation_policy: instance.allocation_policy,
        linked_hubs: instance
            .linked_hubs
            .iter()
            .map(|hub| HubBody {
                name: hub.name.clone(),
                allocation_weight: hub.allocation_weight,
                apply_allocation_policy: hub.apply_allocation_policy,
            })
            .collect(),
        access_policies: instance
            .access_policies
            .iter()
            .map(|policy| PolicyBody { name: policy.name.clone(), rights: policy.rights.clone() })
            .collect(),
        resource_id: instance.resource_id.clone(),
        location: instance.location.clone(),
    };
    let encode = |key: &Secret| STANDARD.encode(key.expose());
    let sealed = Sealed {
        connections: instance.linked_hubs.iter().map(|hub| hub.connection.expose()).collect(),
        keys: instance
            .access_policies
            .iter()
            .map(|policy| (encode(&policy.primary), encode(&policy.secondary)))
            .collect(),
    };
    let document = Document {
        id: instance.name.to_ascii_lowercase(),
        etag: Etag::fresh(),
        body: serde_json::to_string(&body).map_err(Error::internal)?,
        sealed: Some(Secret::new(serde_json::to_vec(&sealed).map_err(Error::internal)?)),
        owner: None,
        due: None,
        lookups: vec![format!("scope:{}", instance.id_scope.key())],
    };
    Ok(Write::Put {
        collection: Collection::Instances,
        instance: String::new(),
        document,
        precondition: expected.map_or(Precondition::Absent, Precondition::Matches),
    })
}

fn read(document: &Document) -> Result<Instance, Error> {
    let damaged = || Error::internal(format!("instance {} is damaged", document.id));
    let body: Body = serde_json::from_str(&document.body).map_err(|_| damaged())?;
    let sealed = document.sealed.as_ref().ok_or_else(damaged)?;
    let sealed: Sealed = serde_json::from_slice(sealed.expose()).map_err(|_| damaged())?;
    let linked_hubs = body.linked_hubs.into_iter().zip(sealed.connections).map(|(hub, connection)| {
        Ok(LinkedHub {
            name: hub.name,
            connection: ConnectionString::parse(&connection).map_err(|_| damaged())?,
            allocation_weight: hub.allocation_weight,
            apply_allocation_policy: hub.apply_allocation_policy,
        })
    });
    let key = |text: String| STANDARD.decode(text).map(Secret::new).map_err(|_| damaged());
    let access_policies =
        body.access_policies.into_iter().zip(sealed.keys).map(|(policy, (primary, secondary))| {
            Ok(AccessPolicy {
                name: policy.name,
                primary: key(primary)?,
                secondary: key(secondary)?,
                rights: policy.rights,
            })
        });
    Ok(Instance {
        name: body.name,
        id_scope: body.id_scope,
        allocation_policy: body.allocation_policy,
        linked_hubs: linked_hubs.collect::<Result<_, Error>>()?,
        access_policies: access_policies.collect::<Result<_, Error>>()?,
        resource_id: body.resource_id,
        location: body.location,
    })
}
