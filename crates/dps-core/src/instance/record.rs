//! Instances as documents: settings in the body, keys and connection strings in the sealed part. Must not know who
//! changes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::certificate_authority::CaCertificate;
use dps_model::connection_string::ConnectionString;
use dps_model::enrollment::AllocationPolicy;
use dps_model::hub::LinkedHub;
use dps_model::instance::{AccessPolicy, Instance, Resource, Right};
use dps_model::network::NetworkAccess;
use dps_model::{Error, HubName, IdScope, Secret};
use serde::{Deserialize, Serialize};

use crate::ports::{Collection, Document, Precondition, Write};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    name: String,
    id_scope: IdScope,
    allocation_policy: AllocationPolicy,
    linked_hubs: Vec<HubBody>,
    access_policies: Vec<PolicyBody>,
    #[serde(default)]
    certificates: Vec<CaCertificate>,
    #[serde(default)]
    network: NetworkAccess,
    #[serde(default)]
    disable_local_auth: bool,
    resource_id: String,
    location: String,
    #[serde(default)]
    resource: Resource,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HubBody {
    name: HubName,
    allocation_weight: u32,
    apply_allocation_policy: bool,
    #[serde(default)]
    location: String,
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

/// The id of an instance's document.
pub fn id(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// The write that stores an instance under the etag it has.
pub fn write(instance: &Instance, precondition: Precondition) -> Result<Write, Error> {
    let hub = |hub: &LinkedHub| HubBody {
        name: hub.name.clone(),
        allocation_weight: hub.allocation_weight,
        apply_allocation_policy: hub.apply_allocation_policy,
        location: hub.location.clone(),
    };
    let policy =
        |policy: &AccessPolicy| PolicyBody { name: policy.name.clone(), rights: policy.rights.clone() };
    let body = Body {
        name: instance.name.clone(),
        id_scope: instance.id_scope.clone(),
        allocation_policy: instance.allocation_policy,
        linked_hubs: instance.linked_hubs.iter().map(hub).collect(),
        access_policies: instance.access_policies.iter().map(policy).collect(),
        certificates: instance.certificates.clone(),
        network: instance.network.clone(),
        disable_local_auth: instance.disable_local_auth,
        resource_id: instance.resource_id.clone(),
        location: instance.location.clone(),
        resource: instance.resource.clone(),
        rows: instance.rows.clone(),
    };
    let encode = |key: &Secret| STANDARD.encode(key.expose());
    let keys = |policy: &AccessPolicy| (encode(&policy.primary), encode(&policy.secondary));
    let sealed = Sealed {
        connections: instance.linked_hubs.iter().map(|hub| hub.connection.expose()).collect(),
        keys: instance.access_policies.iter().map(keys).collect(),
    };
    let document = Document {
        id: id(&instance.name),
        etag: instance.etag.clone(),
        body: serde_json::to_string(&body).map_err(Error::internal)?,
        sealed: Some(Secret::new(serde_json::to_vec(&sealed).map_err(Error::internal)?)),
        owner: None,
        due: None,
        lookups: vec![format!("scope:{}", instance.id_scope.key())],
    };
    Ok(Write::Put { collection: Collection::Instances, instance: String::new(), document, precondition })
}

/// Reads an instance.
pub fn read(document: &Document) -> Result<Instance, Error> {
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
            location: hub.location,
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
        certificates: body.certificates,
        network: body.network,
        disable_local_auth: body.disable_local_auth,
        resource_id: body.resource_id,
        location: body.location,
        resource: body.resource,
        rows: body.rows,
        etag: document.etag.clone(),
    })
}
