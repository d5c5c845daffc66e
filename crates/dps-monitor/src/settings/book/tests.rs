use std::sync::Arc;

use super::{BookError, SettingsBook};
use crate::Routes as _;
use crate::logs::Category;
use crate::metrics::fixtures::{Break, MemoryState};
use crate::settings::fixtures::{RESOURCE, STORAGE, silent, to_storage};
use crate::settings::rules::{Destinations, Refusal};
use crate::settings::setting::{DEFAULT_SETTING, Setting};

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
