use std::sync::Arc;

use proptest::prelude::*;

use super::{BookError, SettingsBook};
use crate::Routes as _;
use crate::logs::Category;
use crate::metrics::fixtures::{Break, MemoryState};
use crate::settings::fixtures::{RESOURCE, STORAGE, STREAM, silent, to_storage};
use crate::settings::rules::{Destinations, Refusal};
use crate::settings::setting::{DEFAULT_SETTING, LogChoice, Setting};

async fn open(state: &Arc<MemoryState>) -> SettingsBook {
    SettingsBook::open(Arc::clone(state) as _, silent()).await.unwrap()
}

fn names(book: &SettingsBook) -> Vec<String> {
    book.list(RESOURCE).into_iter().map(|setting| setting.name).collect()
}

#[tokio::test]
async fn default_is_in_force_until_a_setting_is_made_or_it_is_deleted() {
    let state = Arc::new(MemoryState::default());
    let book = open(&state).await;
    let (device, service) = (Category::DeviceOperations, Category::ServiceOperations);
    let kept = |book: &SettingsBook| {
        [device, service].map(|category| book.to_workspace(&crate::settings::fixtures::log(category, 1)))
    };
    assert_eq!((names(&book), kept(&book)), (vec![DEFAULT_SETTING.to_owned()], [true, true]));

    // A setting of one's own to the workspace is no conflict with what nobody made.
    let own = Setting { name: "own".into(), ..book.get(RESOURCE, "MUSTER-default").unwrap() };
    book.put(RESOURCE, own.clone()).await.unwrap();
    assert_eq!((names(&book), kept(&book)), (vec!["own".to_owned()], [true, true]));
    assert!(book.delete(&RESOURCE.to_uppercase(), "OWN").await.unwrap().is_some());
    assert_eq!((names(&book), kept(&book)), (vec![], [false, false]));
    assert_eq!(book.delete(RESOURCE, "own").await.unwrap(), None);

    let other = RESOURCE.replace("dps", "other");
    assert_eq!(book.list(&other).len(), 1);
    book.delete(&other, DEFAULT_SETTING).await.unwrap().unwrap();
    let again = open(&state).await;
    assert_eq!((names(&again), again.list(&other)), (vec![], vec![]));
}

#[tokio::test]
async fn settings_are_there_after_a_restart_and_replaced_in_any_case() {
    let state = Arc::new(MemoryState::default());
    let book = open(&state).await;
    let made = book.put(RESOURCE, to_storage("One", "DeviceOperations")).await.unwrap();
    assert_eq!(made.previous, None);
    let next = book.put(RESOURCE, to_storage("one", "ServiceOperations")).await.unwrap();
    assert_eq!(next.previous, Some(made.etag));
    book.put(RESOURCE, to_storage("two", "DeviceOperations")).await.unwrap();
    for book in [&book, &open(&state).await] {
        assert_eq!(names(book), ["one", "two"]);
        let effect = book.effect(&RESOURCE.to_uppercase());
        let takes: Vec<_> = effect
            .outlets
            .iter()
            .map(|outlet| Category::ALL.map(|category| outlet.takes(category)))
            .collect();
        assert_eq!(takes, [[false, true], [true, false]]);
        assert!(book.leaves_the_server() && !effect.to_workspace(Category::DeviceOperations));
    }
    let conflict = book.put(RESOURCE, to_storage("three", "DeviceOperations")).await.unwrap_err();
    assert!(matches!(conflict, BookError::Refused(Refusal::Conflict { .. })), "{conflict}");
}

#[tokio::test]
async fn failed_write_changes_nothing_and_one_that_was_done_is_taken_over() {
    let state = Arc::new(MemoryState::default());
    let book = open(&state).await;
    state.break_next(Break::Before);
    assert!(matches!(
        book.put(RESOURCE, to_storage("a", "DeviceOperations")).await,
        Err(BookError::State(_))
    ));
    assert_eq!(names(&book), [DEFAULT_SETTING]);
    state.break_next(Break::After);
    assert!(book.put(RESOURCE, to_storage("a", "DeviceOperations")).await.is_err());
    assert_eq!(names(&book), ["a"]);
    book.put(RESOURCE, to_storage("a", "ServiceOperations")).await.unwrap();
}

#[tokio::test]
async fn destination_that_is_gone_leaves_the_setting_and_takes_nothing() {
    let state = Arc::new(MemoryState::default());
    open(&state).await.put(RESOURCE, to_storage("a", "DeviceOperations")).await.unwrap();
    let bare = SettingsBook::open(Arc::clone(&state) as _, Destinations::default()).await.unwrap();
    assert_eq!(bare.get(RESOURCE, "a").unwrap().storage_account_id.as_deref(), Some(STORAGE));
    assert!(!bare.leaves_the_server());
    assert_eq!(bare.list("/somewhere/else"), vec![]);
}

#[tokio::test]
async fn settings_of_a_resource_that_is_gone_are_forgotten() {
    let state = Arc::new(MemoryState::default());
    let book = open(&state).await;
    let other = RESOURCE.replace("dps", "other");
    for id in [RESOURCE, &other] {
        book.put(id, to_storage("a", "DeviceOperations")).await.unwrap();
    }
    let exists = |id: &str| id.eq_ignore_ascii_case(RESOURCE);
    assert_eq!(book.forget(exists).await.unwrap(), 1);
    assert_eq!(book.forget(exists).await.unwrap(), 0);
    for book in [&book, &open(&state).await] {
        assert_eq!((names(book), book.list(&other)[0].name.as_str()), (vec!["a".into()], DEFAULT_SETTING));
    }
}

#[tokio::test]
async fn damaged_document_counts_as_no_settings() {
    let state = Arc::new(MemoryState::default());
    open(&state).await.put(RESOURCE, to_storage("a", "DeviceOperations")).await.unwrap();
    state.damage();
    let book = open(&state).await;
    assert_eq!(names(&book), Vec::<String>::new());
    book.put(RESOURCE, to_storage("b", "DeviceOperations")).await.unwrap();
    assert_eq!(names(&open(&state).await), ["b"]);
}

#[tokio::test]
async fn row_of_a_service_that_is_gone_is_kept_where_there_is_a_workspace() {
    let state = Arc::new(MemoryState::default());
    let mut log = crate::settings::fixtures::log(Category::DeviceOperations, 1);
    log.resource_id = String::new();
    assert!(open(&state).await.to_workspace(&log));
    let bare = SettingsBook::open(state as _, Destinations::default()).await.unwrap();
    assert!(!bare.to_workspace(&log));
}

/// A change of a setting of one of a few names.
#[derive(Clone, Debug)]
enum Step {
    Put { name: u8, storage: bool, stream: Option<u8>, categories: [bool; 2] },
    Delete { name: u8 },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let put = (0..8_u8, any::<bool>(), proptest::option::of(0..3_u8), any::<[bool; 2]>())
        .prop_map(|(name, storage, stream, categories)| Step::Put { name, storage, stream, categories });
    let delete = (0..8_u8).prop_map(|name| Step::Delete { name });
    proptest::collection::vec(prop_oneof![6 => put, 2 => delete, 1 => Just(Step::Restart)], 1..40)
}

fn wanted(name: u8, storage: bool, stream: Option<u8>, categories: [bool; 2]) -> Setting {
    let choice = |(category, enabled): (Category, bool)| LogChoice {
        category: Some(category.name().into()),
        enabled,
        ..LogChoice::default()
    };
    Setting {
        name: format!("s{name}"),
        storage_account_id: storage.then(|| STORAGE.into()),
        event_hub_authorization_rule_id: stream.map(|_| STREAM.into()),
        event_hub_name: stream.map(|hub| format!("hub-{hub}")),
        logs: Category::ALL.into_iter().zip(categories).map(choice).collect(),
        ..Setting::default()
    }
}

/// Where a setting sends which category.
fn sends(setting: &Setting) -> Vec<(String, Category)> {
    let stream = setting.event_hub_name.clone();
    let places = setting.storage_account_id.iter().cloned().chain(stream);
    let of = |place: String| {
        let sent = Category::ALL.into_iter().filter(|category| setting.sends(*category));
        sent.map(move |category| (place.clone(), category)).collect::<Vec<_>>()
    };
    places.flat_map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Beside a list that is checked by hand: what is taken and what is refused, now and after restarts.
    #[test]
    fn book_is_what_a_list_would_be(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let state = Arc::new(MemoryState::default());
            let mut book = open(&state).await;
            let mut list: Option<Vec<Setting>> = None;
            for step in steps {
                match step {
                    Step::Put { name, storage, stream, categories } => {
                        let setting = wanted(name, storage, stream, categories);
                        let own = list.clone().unwrap_or_default();
                        let others: Vec<&Setting> =
                            own.iter().filter(|other| other.name != setting.name).collect();
                        let free = others
                            .iter()
                            .all(|other| sends(other).iter().all(|sent| !sends(&setting).contains(sent)));
                        let fits = (storage || stream.is_some()) && others.len() < 5 && free;
                        let put = book.put(RESOURCE, setting.clone()).await;
                        assert_eq!(put.is_ok(), fits, "{setting:?} beside {own:?}: {put:?}");
                        if fits {
                            let mut own = own;
                            match own.iter_mut().find(|other| other.name == setting.name) {
                                Some(there) => *there = setting,
                                None => own.push(setting),
                            }
                            list = Some(own);
                        }
                    }
                    Step::Delete { name } => {
                        let name = format!("s{name}");
                        let there = list.iter().flatten().any(|setting| setting.name == name);
                        assert_eq!(book.delete(RESOURCE, &name).await.unwrap().is_some(), there);
                        if let Some(list) = &mut list {
                            list.retain(|setting| setting.name != name);
                        }
                    }
                    Step::Restart => book = open(&state).await,
                }
                match &list {
                    Some(list) => assert_eq!(&book.list(RESOURCE), list),
                    None => assert_eq!(names(&book), [DEFAULT_SETTING]),
                }
                let outlets: usize = list.iter().flatten().map(destinations_of).sum();
                assert_eq!(book.effect(&RESOURCE.to_uppercase()).outlets.len(), outlets);
                assert_eq!(book.leaves_the_server(), outlets > 0);
            }
        });
    }
}

fn destinations_of(setting: &Setting) -> usize {
    usize::from(setting.storage_account_id.is_some())
        + usize::from(setting.event_hub_authorization_rule_id.is_some())
}
