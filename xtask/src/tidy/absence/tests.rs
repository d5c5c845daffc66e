use super::*;

fn rules(path: &str, source: &str) -> Vec<&'static str> {
    check_file(&RustFile::new(path, source)).iter().map(|finding| finding.rule).collect()
}

#[track_caller]
fn passes(path: &str, source: &str) {
    assert_eq!(rules(path, source), Vec::<&str>::new(), "{source}");
}

#[track_caller]
fn fails(rule: &str, path: &str, source: &str) {
    assert_eq!(rules(path, source), [rule], "{source}");
}

#[test]
fn wire_words_in_the_core_fail_and_elsewhere_pass() {
    for source in
        ["use http::Method;", "fn f(s: StatusCode) {}", "let topic = 1;", "f(\"$dps/registrations/res/\")"]
    {
        fails("no-wire-in-core", "crates/dps-core/src/a.rs", source);
        fails("no-wire-in-core", "crates/dps-attestation/src/a.rs", source);
        passes("crates/dps-device-api/src/a.rs", source);
    }
    passes(
        "crates/dps-core/src/a.rs",
        "// no http or topic here\nfn status() -> RegistrationStatus { linked_hub() }",
    );
}

#[test]
fn database_outside_the_store_fails() {
    fails("no-sql-outside-store", "crates/dps-core/src/a.rs", "use rusqlite::Connection;");
    fails("no-sql-outside-store", "crates/muster/src/a.rs", "f(\"DELETE FROM enrollment WHERE id = 1\")");
    fails("no-sql-outside-store", "crates/muster/src/a.rs", "f(\"SELECT id FROM operation\")");
    fails("no-sql-outside-store", "crates/muster/src/a.rs", "f(\"UPDATE operation SET a = 1\")");
    passes("crates/dps-store/src/sqlite/a.rs", "use rusqlite::Connection; f(\"DELETE FROM enrollment\")");
}

#[test]
fn query_language_of_azure_is_not_sql() {
    passes("crates/dps-service-api/src/a.rs", "f(\"SELECT * FROM enrollments\"); g(\"SELECT *\")");
}

#[test]
fn branch_on_the_backend_fails_and_a_url_passes() {
    fails("no-if-postgres", "crates/dps-store/src/a.rs", "if self.is_postgres() { a() }");
    fails("no-if-postgres", "crates/dps-store/src/a.rs", "if let Backend::Postgres(p) = b { a() }");
    passes("crates/dps-store/src/a.rs", "if url.starts_with(\"postgres:\") { a() }");
}

#[test]
fn wall_clock_passes_in_the_clock_and_in_tests_alone() {
    for source in [
        "let a = SystemTime::now();",
        "let a = jiff::Timestamp::now();",
        "let a = std::time::Instant::now();",
    ] {
        fails("no-wall-clock", "crates/dps-core/src/a.rs", source);
        passes("crates/dps-core/src/ports/clock.rs", source);
        passes("crates/dps-core/src/a/tests.rs", source);
        passes("xtask/src/a.rs", source);
    }
}

#[test]
fn instant_of_tokio_passes() {
    passes("crates/dps-device-api/src/a.rs", "let a = tokio::time::Instant::now();");
    passes(
        "crates/dps-device-api/src/a.rs",
        "use tokio::time::{Duration, Instant};\nfn f() { Instant::now(); }",
    );
    fails(
        "no-wall-clock",
        "crates/dps-device-api/src/a.rs",
        "use tokio::time::Instant;\nfn f() { std::time::Instant::now(); }",
    );
}

#[test]
fn environment_passes_in_config_alone() {
    let source = "let a = std::env::var_os(\"HOME\");";
    fails("no-env-outside-config", "crates/muster/src/dev.rs", source);
    passes("crates/muster/src/config/mod.rs", source);
    passes("crates/muster/src/a.rs", "let a = env!(\"CARGO_PKG_VERSION\");");
}

#[test]
fn unbounded_queue_fails_and_a_bounded_one_passes() {
    fails("no-unbounded-queue", "crates/dps-events/src/a.rs", "let (a, b) = mpsc::unbounded_channel();");
    fails("no-unbounded-queue", "crates/dps-events/src/a.rs", "let (a, b) = std::sync::mpsc::channel();");
    passes("crates/dps-events/src/a.rs", "let (a, b) = mpsc::channel(limits::QUEUE);");
}

#[test]
fn limit_constant_passes_in_limits_alone() {
    for source in ["pub const MAX_FRAME: usize = 1;", "const HANDSHAKE_TIMEOUT: Duration = A;"] {
        fails("limits-in-limits", "crates/dps-device-api/src/a.rs", source);
        passes("crates/dps-model/src/limits.rs", source);
        passes("crates/dps-wire/src/mqtt/limits.rs", source);
    }
    passes(
        "crates/dps-device-api/src/a.rs",
        "const NAME_MAX: &str = A; const NO_LIMIT: u32 = 1; const fn f() {}",
    );
}

#[test]
fn stub_fails_everywhere_and_a_task_wants_a_number() {
    for source in ["todo!()", "unimplemented!(\"x\")", "// TODO: later", "/* FIXME */"] {
        fails("no-todo", "crates/dps-core/src/a/tests.rs", source);
    }
    passes("crates/dps-core/src/a.rs", "// TODO(#12): later\nlet todo = \"TODO\";");
}

#[test]
fn sleep_in_a_test_fails_unless_the_clock_is_held() {
    let source = "#[tokio::test]\nasync fn a() { tokio::time::sleep(b).await; }";
    fails("no-sleep-in-tests", "crates/dps-core/src/a.rs", source);
    passes("crates/dps-core/src/a.rs", &source.replace("::test]", "::test(start_paused = true)]"));
    passes("crates/dps-core/src/a.rs", "async fn a() { tokio::time::sleep(b).await; }");
}

#[test]
fn blocking_sleep_in_the_product_fails() {
    fails("no-blocking-sleep", "crates/dps-core/src/a.rs", "fn a() { std::thread::sleep(b); }");
}
