//! Creates, changes and deletes instances: one conditional write each, then the view. A deletion says first that it has
//! begun, so that one that a crash interrupts is ended after the restart.

use std::sync::Arc;

use dps_model::etag::IfMatch;
use dps_model::instance::{Instance, InstanceState};
use dps_model::{Error, ErrorCode, Etag, limits};

use super::{Instances, record};
use crate::ports::{Collection, Page, Precondition, Refusal, Store, StoreError, Write};

/// A changed instance.
pub struct Change {
    /// As it is now.
    pub instance: Arc<Instance>,
    /// The version before; none when it was made.
    pub previous: Option<Etag>,
}

/// What belongs to an instance and goes with it.
const OWNED: [Collection; 4] = [
    Collection::Enrollments,
    Collection::EnrollmentGroups,
    Collection::CertificateClaims,
    Collection::Registrations,
];

/// Creates the instance, or brings the one of its name up to date.
pub(super) async fn ensure(
    store: &dyn Store,
    wanted: Instance,
    renew: impl FnOnce(&mut Instance, Instance) + Send,
) -> Result<(), Error> {
    let id = record::id(&wanted.name);
    let kept = store.get(Collection::Instances, "", &id).await?;
    let (mut instance, precondition) = if let Some(document) = kept {
        let mut kept = record::read(&document)?;
        renew(&mut kept, wanted);
        (kept, Precondition::Matches(document.etag))
    } else {
        // One of that name may have been deleted while its last requests were under way.
        purge_rows(store, wanted.rows()).await?;
        (wanted, Precondition::Absent)
    };
    instance.etag = Etag::fresh();
    store.write(vec![record::write(&instance, precondition)?]).await?;
    Ok(())
}

impl Instances {
    /// Adds an instance; name and id scope must be new on this server.
    /// Errors: `InstanceExists`.
    pub async fn create(&self, mut instance: Instance) -> Result<Change, Error> {
        let _in_order = self.changing.lock().await;
        if self.by_scope(instance.id_scope.as_str()).is_some() {
            return Err(Error::new(ErrorCode::InstanceExists).because("the id scope is another instance's"));
        }
        instance.etag = Etag::fresh();
        instance.rows = Some(format!("{}#{}", record::id(&instance.name), instance.etag));
        let written = self.store.write(vec![record::write(&instance, Precondition::Absent)?]).await;
        written.map_err(|error| match error.refusal() {
            Some(_) => Error::new(ErrorCode::InstanceExists),
            None => error.into(),
        })?;
        Ok(Change { instance: self.written(instance).await, previous: None })
    }

    /// Changes an instance: `change` gets the stored one and may be called again when another node writes in between.
    /// Name, id scope and the key of its rows stay what they are. One that has taken the name of `known` since is
    /// another one, whom nobody has been asked about: it is not found.
    /// Errors: `InstanceNotFound`, `EtagMismatch`, and what `change` refuses with.
    pub async fn change(
        &self,
        known: &Instance,
        if_match: Option<&IfMatch>,
        mut change: impl FnMut(&mut Instance) -> Result<(), Error> + Send,
    ) -> Result<Change, Error> {
        let _in_order = self.changing.lock().await;
        for _ in 0..limits::INSTANCE_WRITE_ATTEMPTS {
            let kept =
                self.stored(&known.name).await?.filter(|kept| is_same(kept, known)).ok_or_else(not_found)?;
            if let Some(IfMatch::Tag(tag)) = if_match
                && *tag != kept.etag
            {
                return Err(Error::new(ErrorCode::EtagMismatch));
            }
            let mut changed = kept.clone();
            change(&mut changed)?;
            (changed.name, changed.id_scope, changed.rows) = (kept.name, kept.id_scope, kept.rows);
            changed.etag = Etag::fresh();
            let write = record::write(&changed, Precondition::Matches(kept.etag.clone()))?;
            match self.store.write(vec![write]).await {
                Ok(()) => {
                    return Ok(Change { instance: self.written(changed).await, previous: Some(kept.etag) });
                }
                Err(error) if error.refusal().is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::new(ErrorCode::EtagMismatch).because("others change the instance all the time"))
    }

    /// An instance that was written is shown, and so is what other nodes have changed, where that can be read.
    async fn written(&self, instance: Instance) -> Arc<Instance> {
        let instance = Arc::new(instance);
        self.show(&instance);
        if let Err(error) = self.reload().await {
            tracing::error!(%error, "the provisioning services cannot be read again; changes of other nodes are not seen");
        }
        instance
    }

    /// Takes an instance out of service: from now on it answers nobody. `purge` removes what it leaves.
    /// Errors: `InstanceNotFound`, `EtagMismatch`; `InstanceIsDefault` for the one that answers where none is named.
    pub async fn begin_deletion(
        &self,
        known: &Instance,
        if_match: Option<&IfMatch>,
    ) -> Result<Change, Error> {
        if record::id(&known.name) == self.default {
            return Err(Error::new(ErrorCode::InstanceIsDefault));
        }
        let begun = |instance: &mut Instance| {
            instance.resource.state = InstanceState::Deleting;
            Ok(())
        };
        self.change(known, if_match, begun).await
    }

    /// Removes the rows of an instance whose deletion has begun, and then the instance; does nothing to any other.
    pub async fn purge(&self, name: &str) -> Result<(), Error> {
        let Some(doomed) = self.stored_in_any_state(name).await? else { return Ok(()) };
        if doomed.resource.state != InstanceState::Deleting {
            return Ok(());
        }
        purge_rows(self.store.as_ref(), doomed.rows()).await?;
        let delete = Write::Delete {
            collection: Collection::Instances,
            instance: String::new(),
            id: record::id(name),
            precondition: Precondition::Matches(doomed.etag),
        };
        match self.store.write(vec![delete]).await {
            // Another node was faster.
            Err(error) if matches!(error.refusal(), Some(Refusal::Missing | Refusal::Mismatch)) => Ok(()),
            other => other.map_err(StoreError::into),
        }
    }

    /// Ends deletions that were begun before this process was.
    pub async fn resume_deletions(&self) -> Result<(), Error> {
        let mut after: Option<String> = None;
        loop {
            let page = page(Collection::Instances, "", after.as_deref());
            let documents = self.store.page(page).await?;
            let Some(last) = documents.last() else { return Ok(()) };
            let next = last.id.clone();
            for document in &documents {
                self.purge(&document.id).await?;
            }
            after = Some(next);
        }
    }

    /// Is the name taken, be it by one that is being deleted?
    pub async fn is_stored(&self, name: &str) -> Result<bool, Error> {
        Ok(self.stored_in_any_state(name).await?.is_some())
    }

    /// The instance of that name while it is being deleted.
    pub async fn leaving(&self, name: &str) -> Result<Option<Instance>, Error> {
        let found = self.stored_in_any_state(name).await?;
        Ok(found.filter(|instance| instance.resource.state == InstanceState::Deleting))
    }

    /// What the store holds, which may be newer than the view; none of one that is being deleted.
    async fn stored(&self, name: &str) -> Result<Option<Instance>, Error> {
        let found = self.stored_in_any_state(name).await?;
        Ok(found.filter(|instance| instance.resource.state != InstanceState::Deleting))
    }

    async fn stored_in_any_state(&self, name: &str) -> Result<Option<Instance>, Error> {
        let document = self.store.get(Collection::Instances, "", &record::id(name)).await?;
        document.as_ref().map(record::read).transpose()
    }
}

async fn purge_rows(store: &dyn Store, rows: &str) -> Result<(), Error> {
    for collection in OWNED {
        while purge_page(store, collection, rows).await? {}
    }
    Ok(())
}

/// One page of an instance's rows; false when there was none.
async fn purge_page(store: &dyn Store, collection: Collection, rows: &str) -> Result<bool, Error> {
    let documents = store.page(page(collection, rows, None)).await?;
    let delete = |id: String| Write::Delete {
        collection,
        instance: rows.to_owned(),
        id,
        precondition: Precondition::None,
    };
    let found = !documents.is_empty();
    store.write(documents.into_iter().map(|document| delete(document.id)).collect()).await?;
    Ok(found)
}

fn page<'a>(collection: Collection, instance: &'a str, after: Option<&'a str>) -> Page<'a> {
    Page { collection, instance, owner: None, after, limit: limits::MAX_PAGE }
}

/// The same creation of an instance, not only the same name.
fn is_same(one: &Instance, other: &Instance) -> bool {
    one.rows() == other.rows() && one.id_scope.key() == other.id_scope.key()
}

fn not_found() -> Error {
    Error::new(ErrorCode::InstanceNotFound)
}
